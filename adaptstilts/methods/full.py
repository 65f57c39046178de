"""Full fine-tuning: every weight of the encoder is trained. The reference that adapters are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from adaptstilts.methods.base import Method


class Full(Method):
    """Train the whole encoder. An intermediate phase then gives a new encoder, on which the target phase starts."""

    kind: Literal["full"] = "full"
    default_lr: ClassVar[float] = 2e-5

    def trainable(self, shape: Mapping[str, int]) -> int:
        """All parameters of the encoder, embeddings included."""
        return shape["parameters"]
