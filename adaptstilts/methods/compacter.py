"""Compacter (Karimi Mahabadi et al. 2021, arXiv 2106.04647), through the ``adapters`` library.

Bottleneck adapters ``up(gelu(down(.)))`` whose two weights are sums of Kronecker products, ``sum over i of A_i x
(s_i t_i)``, of ``n = 4`` small matrices ``A_i`` that all layers share and matrices of rank one. They are placed, and
stacked, like the bottleneck adapters of the same placement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adaptstilts.errors import ConfigError
from adaptstilts.methods._adapters_library import AdaptersMethod, layers_with_bottleneck, named_tensors
from adaptstilts.methods.base import LayerIndices

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host

_N = 4


class Compacter(AdaptersMethod):
    """Bottleneck adapters made of small shared matrices, in every layer of a frozen encoder.

    Attributes:
        placement: ``seq`` (after the feed-forward block, Compacter++) or ``double`` (after attention as well).
        reduction: hidden size divided by the size of the bottleneck; both sizes must be multiples of four.
        leave_out: indices of layers without an adapter, 0 the lowest.
    """

    kind: Literal["compacter"] = "compacter"
    placement: Literal["seq", "double"] = "seq"
    reduction: int = Field(32, ge=1, le=1024)
    leave_out: LayerIndices = ()
    default_lr: ClassVar[float] = 1e-3
    noun: ClassVar[str] = "a compacter"
    feature: ClassVar[str] = "compacter"

    def why_not_mergeable(self) -> str | None:
        """Refuse: a weighted sum of the factors is not the weighted sum of their products."""
        return "its weights are products of factors, and a sum of products has no factors of the same size"

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse sizes that the Kronecker products cannot have."""
        hidden, bottleneck = shape["hidden"], shape["hidden"] // self.reduction
        if hidden % _N or bottleneck % _N or not bottleneck:
            return (
                f"hidden size {hidden} and bottleneck {bottleneck} must be multiples of {_N}; choose another reduction"
            )
        return super().why_not_on(shape)

    @property
    def spares_attention(self) -> bool:
        """Return whether there is no module after the attention block."""
        return self.placement == "seq"

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``n^3 + layers * modules * 3 (h + b)`` with ``b = h // reduction``: shared matrices and modules."""
        hidden, bottleneck = shape["hidden"], shape["hidden"] // self.reduction
        modules = len(self.layers(shape["layers"])) * (2 if self.placement == "double" else 1)
        return _N**3 + modules * 3 * (hidden + bottleneck)

    def add(self, host: Host, name: str) -> None:
        """Attach a new adapter.

        Args:
            host: the encoder.
            name: name of the adapter.

        Raises:
            ConfigError: the sizes do not fit the encoder.
        """
        shape = {"hidden": host.hidden, "layers": host.depth}
        if reason := self.why_not_on(shape):
            raise ConfigError(f"method {self.label}: {reason}")
        super().add(host, name)

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return the parameters by their keys in the library's files, the shared ones last.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        return named_tensors(host, name, "adapters", "shared_parameters")

    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the layers with a module at every place of the placement; none without the shared matrices.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        if name not in host.model.shared_parameters:
            return set()
        return layers_with_bottleneck(host, name, self.placement)

    @property
    def variant(self) -> str:
        """Return what messages call this placement."""
        return f"a compacter of placement {self.placement}"

    def library_config(self) -> Any:
        """Return the library's config of this placement."""
        from adapters import CompacterConfig, CompacterPlusPlusConfig

        config = CompacterPlusPlusConfig if self.placement == "seq" else CompacterConfig
        return config(reduction_factor=self.reduction, leave_out=list(self.leave_out), phm_dim=_N)

    @classmethod
    def from_library(cls, config: Mapping[str, Any]) -> Compacter:
        """Return the compacter of a config."""
        return cls(
            placement="double" if config["mh_adapter"] else "seq",
            reduction=int(config["reduction_factor"]),
            leave_out=tuple(config["leave_out"]),
        )
