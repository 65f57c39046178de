"""Full fine-tuning: every weight of the encoder is trained. The reference that adapters are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from adaptstilts.methods.base import Method

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


class Full(Method):
    """Train the whole encoder. An intermediate phase then gives a new encoder, on which the target phase starts.

    Attributes:
        freeze_embeddings: leave the embeddings (of words and positions, and their normalisation) as they are.
        freeze_layers: how many of the lowest layers stay as they are.
    """

    kind: Literal["full"] = "full"
    freeze_embeddings: bool = False
    freeze_layers: int = Field(0, ge=0)
    trains_encoder: ClassVar[bool] = True
    default_lr: ClassVar[float] = 2e-5
    flops_per_weight: ClassVar[int] = 6

    @property
    def is_reference(self) -> bool:
        """Return whether every weight is trained."""
        return self == Full()

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse to freeze more layers than there are, or all of them."""
        depth = shape["layers"]
        if self.freeze_layers < depth:
            return None
        return f"freeze_layers {self.freeze_layers} leaves no layer to train; the model has {depth}, give fewer"

    def layers(self, depth: int) -> tuple[int, ...]:
        """The layers that are trained."""
        return tuple(range(self.freeze_layers, depth))

    def lowest(self, depth: int) -> int:
        """The lowest layer that is trained, if the embeddings below it are not."""
        return min(self.freeze_layers, depth) if self.freeze_embeddings else 0

    def trainable(self, shape: Mapping[str, int]) -> int:
        """All parameters of the encoder, embeddings included, but those that stay as they are."""
        hidden, inner = shape["hidden"], shape["intermediate"]
        # four projections of the attention block, two of the feed-forward block, two normalisations
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
        layers = shape["layers"] * layer
        embeddings = 0 if self.freeze_embeddings else shape["parameters"] - layers
        return embeddings + len(self.layers(shape["layers"])) * layer

    def frozen_modules(self, trunk: XLMRobertaModel) -> list[nn.Module]:
        """Return the embeddings and the lowest layers, as far as they stay as they are."""
        embeddings = [trunk.embeddings] if self.freeze_embeddings else []
        return [*embeddings, *trunk.encoder.layer[: self.freeze_layers]]
