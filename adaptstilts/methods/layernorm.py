"""LN-tuning (Qi et al. 2022, arXiv 2211.08682): only the layer normalisations are trained.

The gain and the bias of the two layer normalisations of a layer act as themselves plus the offsets of the active
adapters. The normalisation of the embeddings stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from adaptstilts.methods._offsets import OffsetMethod

if TYPE_CHECKING:
    from torch import nn


class LayerNorm(OffsetMethod):
    """Offsets of the gains and biases of the layer normalisations of a frozen encoder.

    Attributes:
        leave_out: indices of layers whose normalisations stay as they are, 0 the lowest.
    """

    kind: Literal["layernorm"] = "layernorm"
    default_lr: ClassVar[float] = 1e-3

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``4 h`` for every layer."""
        return len(self.layers(shape["layers"])) * 4 * shape["hidden"]

    @classmethod
    def offset_weights(cls, module: nn.Module) -> tuple[str, ...]:
        """Return gain and bias of a normalisation."""
        from torch import nn

        return ("weight", "bias") if isinstance(module, nn.LayerNorm) else ()
