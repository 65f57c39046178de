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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adaptstilts.methods._adapters_library import AdaptersMethod, layers_with_bottleneck, named_tensors
from adaptstilts.methods.base import LayerIndices

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host, ModuleNames


class Bottleneck(AdaptersMethod):
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
    leave_out: LayerIndices = ()
    invertible: bool = False
    default_lr: ClassVar[float] = 1e-4
    noun: ClassVar[str] = "a bottleneck adapter"
    feature: ClassVar[str] = "bottleneck"

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a reduction to less than one unit."""
        hidden = shape["hidden"]
        if self.reduction > hidden:
            return f"reduction {self.reduction} is more than the model's hidden size; give at most {hidden}"
        return super().why_not_on(shape)

    def why_not_for(self, names: ModuleNames) -> str | None:
        """Refuse an invertible part or parallel adapters where the library has none."""
        if self.invertible and "invertible" not in names.adapters:
            return "the adapters library has no invertible part for encoders of this architecture"
        if self.placement == "parallel" and names.interface is not None:
            return "the adapters library has no parallel adapters for encoders of this architecture"
        return super().why_not_for(names)

    def why_not_stackable(self) -> str | None:
        """Refuse parallel adapters: the library runs only the top one of a stack."""
        return (
            "the library runs only the top one of stacked parallel adapters" if self.placement == "parallel" else None
        )

    def why_not_above(self) -> str | None:
        """Refuse an invertible part: in a stack, the library applies only that of the lowest adapter."""
        return "in a stack, only the lowest adapter's invertible part acts" if self.invertible else None

    def why_not_fusable(self) -> str | None:
        """Refuse adapters that the library fuses wrongly or only in part."""
        if self.placement == "parallel":
            return "the library fuses parallel adapters at their input, not where their outputs are added"
        return "the invertible parts of fused adapters would be left out" if self.invertible else None

    @property
    def spares_attention(self) -> bool:
        """Return whether there is no module after the attention block or at the embeddings."""
        return self.placement != "double" and not self.invertible

    def lowest(self, depth: int) -> int:
        """Return the first layer if an invertible part changes the embeddings; else the lowest adapted one."""
        return 0 if self.invertible else super().lowest(depth)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``layers * modules * (2 h b + b + h)`` with ``b = h // reduction``, but at least one.

        An invertible part has two networks from one half ``n`` of the hidden size to the other ``m``, with ``n // 2``
        units between: ``n u + u + u m + m``.
        """
        hidden = shape["hidden"]
        bottleneck = max(hidden // self.reduction, 1)
        one_module = 2 * hidden * bottleneck + bottleneck + hidden
        modules = len(self.layers(shape["layers"])) * (2 if self.placement == "double" else 1)
        return modules * one_module + (_invertible_size(hidden) if self.invertible else 0)

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return the parameters by their keys in the library's files.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        return named_tensors(host, name, "adapters", "invertible_adapters")

    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the layers with a module at every place of the placement; none if the invertible part does not match.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        if (name in getattr(host.model, "invertible_adapters", ())) != self.invertible:
            return set()
        return layers_with_bottleneck(host, name, self.placement)

    @property
    def variant(self) -> str:
        """Return what messages call this placement."""
        return f"a bottleneck adapter of placement {self.placement}"

    def library_config(self) -> Any:
        """Return the library's config of this placement."""
        from adapters import DoubleSeqBnConfig, ParBnConfig, SeqBnConfig

        config = {"seq": SeqBnConfig, "double": DoubleSeqBnConfig, "parallel": ParBnConfig}[self.placement]
        invertible = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2} if self.invertible else {}
        return config(reduction_factor=self.reduction, leave_out=list(self.leave_out), **invertible)

    @classmethod
    def from_library(cls, config: Mapping[str, Any]) -> Bottleneck:
        """Return the bottleneck adapter of a config."""
        placement: Literal["seq", "double", "parallel"] = "parallel" if config["is_parallel"] else "seq"
        return cls(
            placement="double" if config["mh_adapter"] else placement,
            reduction=int(config["reduction_factor"]),
            leave_out=tuple(config["leave_out"]),
            invertible=config["inv_adapter"] is not None,
        )


def _invertible_size(hidden: int) -> int:
    """Return the number of parameters of both networks of an invertible part."""
    low, high = hidden // 2, hidden - hidden // 2
    size = 0
    for inputs, outputs in ((low, high), (high, low)):
        units = inputs // 2
        size += inputs * units + units + units * outputs + outputs
    return size
