"""BitFit (Ben Zaken et al. 2022, arXiv 2106.10199): only the biases are trained.

Every bias ``b`` of a layer (of its six linear layers and two layer normalisations) acts as ``b`` plus the offsets of
the active adapters. The biases outside the layers, those of the embeddings' normalisation, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from adaptstilts.methods._offsets import OffsetMethod

if TYPE_CHECKING:
    from torch import nn


class BitFit(OffsetMethod):
    """Offsets of the biases of a frozen encoder.

    Attributes:
        leave_out: indices of layers whose biases stay as they are, 0 the lowest.
    """

    kind: Literal["bitfit"] = "bitfit"
    default_lr: ClassVar[float] = 1e-3

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``layers * (7 h + i)``, with ``i`` the inner size of the feed-forward block."""
        return len(self.layers(shape["layers"])) * (7 * shape["hidden"] + shape["intermediate"])

    @classmethod
    def offset_weights(cls, module: nn.Module) -> tuple[str, ...]:
        """Return the bias of a linear layer or a normalisation."""
        from torch import nn

        return ("bias",) if isinstance(module, nn.Linear | nn.LayerNorm) else ()
