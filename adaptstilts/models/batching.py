"""Rows as token sequences, and sequences padded into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

IGNORE = -100  # targets that no loss counts


@dataclass(frozen=True)
class Feature:
    """One row as the model sees it.

    Attributes:
        example: index of the example it comes from; a long example gives several features.
        sequences: token ids; one sequence, or one for each choice.
        target: what the loss is computed on: a label, a choice, tag ids per token, or a (start, end) pair.
        place: what decoding needs to find its way back to the example.
    """

    example: int
    sequences: tuple[list[int], ...]
    target: Any
    place: Any = None

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True)
class Features:
    """Features of a list of examples.

    Attributes:
        items: in the order of the examples.
        truncated: examples that lost tokens to ``max_length``.
        counts: what else was done to how many examples.
    """

    items: list[Feature]
    truncated: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """Tokens of the longest sequence of each feature."""
        return [item.length for item in self.items]

    @property
    def sizes(self) -> list[int]:
        """Sequences of each feature."""
        return [len(item.sequences) for item in self.items]


@dataclass(frozen=True)
class Batch:
    """Padded sequences of some features: ``ids`` and ``mask`` are (sequences, tokens)."""

    features: Sequence[Feature]
    ids: Tensor
    mask: Tensor


def collate(features: Sequence[Feature], pad: int, device: torch.device, length: int | None = None) -> Batch:
    """Pad the sequences of some features to the longest one, or to ``length``."""
    sequences = [sequence for feature in features for sequence in feature.sequences]
    width = length or max(len(sequence) for sequence in sequences)
    ids = torch.tensor([sequence + [pad] * (width - len(sequence)) for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
    return Batch(features, ids.to(device), mask.to(device))
