"""Rows as token sequences, and sequences padded into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from adaptstilts.models.tokenizer import TokenSequence

IGNORE = -100  # targets that losses ignore


@dataclass(frozen=True)
class Feature:
    """One row as the model sees it.

    Attributes:
        example: index of the example that the row is; a long example gives several features.
        sequences: token ids; one sequence, or one for each choice.
        target: what the loss is computed on: a label, a choice, tag ids per token, or a (start, end) pair.
        place: the information that decoding needs to return to the example.
        second: for each sequence the place of the second text's first token, None without one; empty without pairs.
        typed: whether the tokens of second texts have a type of their own.
    """

    example: int
    sequences: tuple[list[int], ...]
    target: Any
    place: Any = None
    second: tuple[int | None, ...] = ()
    typed: bool = False

    @classmethod
    def of(cls, example: int, sequences: Sequence[TokenSequence], target: Any, place: Any = None) -> Feature:
        """Build the feature of some token sequences; the other arguments are as the attributes."""
        ids = tuple(sequence.ids for sequence in sequences)
        second = tuple(sequence.second for sequence in sequences)
        return cls(example, ids, target, place, second, typed=any(sequence.typed for sequence in sequences))

    @property
    def length(self) -> int:
        """Return the number of tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True)
class Features:
    """Features of a list of examples.

    Attributes:
        items: in the order of the examples.
        truncated: examples that lost tokens to ``max_length``.
        counts: what else was done -> to how many examples.
    """

    items: list[Feature]
    truncated: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """Return the number of tokens of the longest sequence of each feature."""
        return [item.length for item in self.items]

    @property
    def sizes(self) -> list[int]:
        """Return the number of sequences of each feature."""
        return [len(item.sequences) for item in self.items]


@dataclass(frozen=True)
class Batch:
    """Padded sequences of some features.

    Attributes:
        features: the features, in the order of their sequences.
        ids: (sequences, tokens).
        mask: (sequences, tokens), 1 for tokens and 0 for padding.
        types: (sequences, tokens), 1 from the second text of a pair on; None if no sequence has such tokens.
    """

    features: Sequence[Feature]
    ids: Tensor
    mask: Tensor
    types: Tensor | None = None


def collate(features: Sequence[Feature], pad: int, device: torch.device, length: int | None = None) -> Batch:
    """Pad the sequences of some features to one length.

    Args:
        features: at least one.
        pad: id of the padding token.
        device: where the tensors go.
        length: tokens of every sequence; None for those of the longest.
    """
    sequences = [*chain.from_iterable(feature.sequences for feature in features)]
    width = length or max(len(sequence) for sequence in sequences)
    ids = torch.tensor([sequence + [pad] * (width - len(sequence)) for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
    types = _token_types(features, mask)
    return Batch(features, ids.to(device), mask.to(device), None if types is None else types.to(device))


def _token_types(features: Sequence[Feature], mask: Tensor) -> Tensor | None:
    """Return 1 from the second text of every typed pair on, and 0 elsewhere; None if there is no such pair."""
    places: list[int | None] = []
    for feature in features:
        places += feature.second if feature.typed and feature.second else [None] * len(feature.sequences)
    if all(place is None for place in places):
        return None
    width = mask.shape[1]
    second = torch.tensor([width if place is None else place for place in places])
    return (torch.arange(width)[None, :] >= second[:, None]).long() * mask
