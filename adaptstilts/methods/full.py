"""Full fine-tuning: the encoder's own weights are trained. It is the reference for adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from adaptstilts.methods.base import Method

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host


class Full(Method):
    """Train the whole encoder. An intermediate phase then leaves a new encoder, on which the target phase starts.

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
        """Refuse to freeze every layer, or more layers than there are."""
        depth = shape["layers"]
        if self.freeze_layers < depth:
            return None
        return f"freeze_layers {self.freeze_layers} leaves no layer to train; the model has {depth}, give fewer"

    def layers(self, depth: int) -> tuple[int, ...]:
        """Return the layers that are trained."""
        return tuple(range(self.freeze_layers, depth))

    def lowest(self, depth: int) -> int:
        """Return the lowest trained layer: the first one if the embeddings are trained."""
        return min(self.freeze_layers, depth) if self.freeze_embeddings else 0

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters that are not frozen, embeddings included."""
        hidden, inner = shape["hidden"], shape["intermediate"]
        # four projections of the attention block, two of the feed-forward block, two normalisations
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
        trained_layers = len(self.layers(shape["layers"])) * layer
        if self.freeze_embeddings:
            return trained_layers
        return trained_layers + shape["parameters"] - shape["layers"] * layer

    def frozen_modules(self, host: Host) -> list[nn.Module]:
        """Return those of the embeddings and the lowest layers that are frozen."""
        frozen: list[nn.Module] = list(host.inputs) if self.freeze_embeddings else []
        return [*frozen, *host.layers[: self.freeze_layers]]
