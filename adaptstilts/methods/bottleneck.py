"""Bottleneck adapters (Houlsby et al. 2019; Pfeiffer et al. 2021; He et al. 2022), through the ``adapters`` library.

With ``h`` the output of a layer's feed-forward block before its residual ``x``, an adapter adds
``up(relu(down(LayerNorm(h + x))))`` to ``h`` (Pfeiffer et al. 2021, arXiv 2005.00247); two stacked adapters do so
one after the other. Placement ``double`` adds a second module after the attention block (Houlsby et al. 2019,
arXiv 1902.00751), both without that normalisation and with ``silu``. Placement ``parallel`` reads the input of the
feed-forward block and adds ``4 up(relu(down(x)))`` (He et al. 2022, arXiv 2110.04366).

An invertible part (MAD-X: Pfeiffer et al. 2020, arXiv 2005.00052) changes the embeddings, in halves ``(a, b)``, to
``a' = a + F(b), b' = b + G(a')``, and its inverse the last hidden states before a language-model head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import _adapters_library as with_adapters
from adaptstilts.methods.base import AdapterMethod, ascending

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


class Bottleneck(AdapterMethod):
    """A small two-layer network in every layer of a frozen encoder.

    Attributes:
        placement: ``seq`` (after the feed-forward block), ``double`` (after attention as well) or ``parallel`` (beside
            the feed-forward block; such adapters cannot be stacked).
        reduction: hidden size divided by the size of the bottleneck.
        leave_out: indices of layers without an adapter, 0 the lowest.
        invertible: an invertible part at the embeddings as well; such an adapter can only be the lowest of a stack.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    placement: Literal["seq", "double", "parallel"] = "seq"
    reduction: int = Field(16, ge=1, le=1024)
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    invertible: bool = False
    backend: ClassVar[str] = "adapters"
    default_lr: ClassVar[float] = 1e-4

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a reduction to less than one unit."""
        hidden = shape["hidden"]
        if self.reduction > hidden:
            return f"reduction {self.reduction} is more than the model's hidden size; give at most {hidden}"
        return super().why_not_on(shape)

    def why_not_stackable(self) -> str | None:
        """Refuse parallel adapters: the library runs only the top one of a stack."""
        return "of parallel adapters the library lets only the upper one act" if self.placement == "parallel" else None

    def why_not_above(self) -> str | None:
        """Refuse an invertible part: of a stack the library applies only the lowest adapter's."""
        return "of a stack only the lowest adapter's invertible part acts" if self.invertible else None

    def why_not_fusable(self) -> str | None:
        """Refuse what the library fuses wrongly or only in part."""
        if self.placement == "parallel":
            return "of parallel adapters the library fuses what they read, not where they add"
        return "the invertible parts of fused adapters would be left out" if self.invertible else None

    @property
    def spares_attention(self) -> bool:
        """The feed-forward block alone has an adapter, but in placement ``double``."""
        return self.placement != "double" and not self.invertible

    def lowest(self, depth: int) -> int:
        """The first layer, because an invertible part changes the embeddings; else the lowest one with an adapter."""
        return 0 if self.invertible else super().lowest(depth)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``layers * modules * (2 h b + b + h)`` with ``b = h // reduction``, one at least.

        An invertible part has two networks from one half ``n`` of the hidden size to the other ``m``, with ``n // 2``
        units between: ``n u + u + u m + m``.
        """
        hidden, bottleneck = shape["hidden"], max(shape["hidden"] // self.reduction, 1)
        one = 2 * hidden * bottleneck + bottleneck + hidden
        low, high = hidden // 2, hidden - hidden // 2
        invertible = sum(n * (n // 2) + n // 2 + (n // 2) * m + m for n, m in ((low, high), (high, low)))
        layers = len(self.layers(shape["layers"])) * one * (2 if self.placement == "double" else 1)
        return layers + (invertible if self.invertible else 0)

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Give every layer the places where adapters go."""
        with_adapters.prepare(trunk)

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new adapter."""
        trunk.add_adapter(name, config=self._library_config())

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Stack ``names``, the first lowest."""
        with_adapters.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an adapter; nothing is active afterwards."""
        with_adapters.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names the library gives them in its files."""
        return with_adapters.tensors(trunk, f".adapters.{name}.", f"invertible_adapters.{name}.")

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers whose slots hold this name at every place the placement asks for; none if the invertible part is not
        as the settings say."""
        if (name in trunk.invertible_adapters) != self.invertible:
            return set()
        return with_adapters.attached_layers(trunk, name, self.placement)

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """The members of the active stack."""
        return with_adapters.active(trunk)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors``, as the library does."""
        folder.mkdir(parents=True, exist_ok=True)
        trunk.save_adapter(str(folder), name, with_head=False, use_safetensors=True)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Bottleneck:
        """Recognise a bottleneck adapter; anything this class would compute otherwise is refused."""
        held = with_adapters.read(folder, "a bottleneck adapter")
        try:
            beside: Literal["seq", "parallel"] = "parallel" if held["is_parallel"] else "seq"
            method = cls(
                placement="double" if held["mh_adapter"] else beside,
                reduction=int(held["reduction_factor"]),
                leave_out=tuple(held["leave_out"]),
                invertible=held["inv_adapter"] is not None,
            )
        except (KeyError, TypeError, ValueError) as error:
            path = folder / "adapter_config.json"
            raise ArtifactError(f"{path}: not the config of a bottleneck adapter ({error})") from None
        what = f"a bottleneck adapter of placement {method.placement}"
        with_adapters.check_config(held, method._library_config(), folder, what)
        return method

    def _library_config(self) -> Any:
        from adapters import DoubleSeqBnConfig, ParBnConfig, SeqBnConfig

        config = {"seq": SeqBnConfig, "double": DoubleSeqBnConfig, "parallel": ParBnConfig}[self.placement]
        invertible = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2} if self.invertible else {}
        return config(reduction_factor=self.reduction, leave_out=list(self.leave_out), **invertible)
