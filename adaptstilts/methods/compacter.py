"""Compacter (Karimi Mahabadi et al. 2021, arXiv 2106.04647), through the ``adapters`` library.

Bottleneck adapters ``up(gelu(down(.)))`` whose two weights are sums of Kronecker products, ``sum over i of A_i x
(s_i t_i)``, of ``n = 4`` small matrices ``A_i`` that all layers share and matrices of rank one. They are placed, and
stacked, like the bottleneck adapters of the same placement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods import _adapters_library as with_adapters
from adaptstilts.methods.base import AdapterMethod, ascending

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

_N = 4


class Compacter(AdapterMethod):
    """Bottleneck adapters made of small shared matrices, in every layer of a frozen encoder.

    Attributes:
        placement: ``seq`` (after the feed-forward block, Compacter++) or ``double`` (after attention as well).
        reduction: hidden size divided by the size of the bottleneck; both sizes must be multiples of four.
        leave_out: indices of layers without an adapter, 0 the lowest.
    """

    kind: Literal["compacter"] = "compacter"
    placement: Literal["seq", "double"] = "seq"
    reduction: int = Field(32, ge=1, le=1024)
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "adapters"
    default_lr: ClassVar[float] = 1e-3

    def why_not_mergeable(self) -> str | None:
        """Refuse: a weighted sum of the factors is not the weighted sum of their products."""
        return "its weights are products of factors, and a sum of products has no factors of the same size"

    @property
    def spares_attention(self) -> bool:
        """The feed-forward block alone has an adapter, but in placement ``double``."""
        return self.placement == "seq"

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse sizes that the Kronecker products cannot have."""
        hidden, bottleneck = shape["hidden"], shape["hidden"] // self.reduction
        if hidden % _N or bottleneck % _N or not bottleneck:
            return (
                f"hidden size {hidden} and bottleneck {bottleneck} must be multiples of {_N}; choose another reduction"
            )
        return super().why_not_on(shape)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``n^3 + layers * modules * 3 (h + b)`` with ``b = h // reduction``: shared matrices and modules."""
        hidden, bottleneck = shape["hidden"], shape["hidden"] // self.reduction
        modules = len(self.layers(shape["layers"])) * (2 if self.placement == "double" else 1)
        return _N**3 + modules * 3 * (hidden + bottleneck)

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Give every layer the places where adapters go."""
        with_adapters.prepare(trunk)

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new adapter."""
        reason = self.why_not_on({"hidden": trunk.config.hidden_size, "layers": len(trunk.encoder.layer)})
        if reason:
            raise ConfigError(f"method {self.label}: {reason}")
        trunk.add_adapter(name, config=self._library_config())

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Stack ``names``, the first lowest."""
        with_adapters.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an adapter; nothing is active afterwards."""
        with_adapters.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the names the library gives them in its files, the shared ones last."""
        own = with_adapters.tensors(trunk, f".adapters.{name}.")
        return own | with_adapters.tensors(trunk, f"shared_parameters.{name}.")

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers whose slots hold this name at every place the placement asks for, if its shared matrices are there."""
        return with_adapters.attached_layers(trunk, name, self.placement) if name in trunk.shared_parameters else set()

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """The members of the active stack."""
        return with_adapters.active(trunk)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors``; the library leaves the shared matrices out."""
        with_adapters.save(trunk, name, self.tensors(trunk, name), folder)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Compacter:
        """Recognise a compacter; anything this class would compute otherwise is refused."""
        held = with_adapters.read(folder, "a compacter")
        try:
            method = cls(
                placement="double" if held["mh_adapter"] else "seq",
                reduction=int(held["reduction_factor"]),
                leave_out=tuple(held["leave_out"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            path = folder / "adapter_config.json"
            raise ArtifactError(f"{path}: not the config of a compacter ({error})") from None
        what = f"a compacter of placement {method.placement}"
        with_adapters.check_config(held, method._library_config(), folder, what)
        return method

    def _library_config(self) -> Any:
        from adapters import CompacterConfig, CompacterPlusPlusConfig

        config = CompacterPlusPlusConfig if self.placement == "seq" else CompacterConfig
        return config(reduction_factor=self.reduction, leave_out=list(self.leave_out), phm_dim=_N)
