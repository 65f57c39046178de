"""From the hidden states of a sentence's tokens to one vector: mean, first token, maximum, or weighted by rarity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.models.batching import Feature
from adaptstilts.models.encoder import masked_mean
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.search.base import Vectors
from adaptstilts.study import Pooling

# states (sequences, tokens, hidden), ids and mask (sequences, tokens) -> (sequences, hidden) float32
Pool = Callable[[Tensor, Tensor, Tensor], Tensor]


def make(name: Pooling, features: Sequence[Feature], tokenizer: Tokenizer, device: torch.device) -> Pool:
    """A pooling by its name.

    Args:
        name: ``mean``, ``cls``, ``max`` or ``idf``.
        features: of the whole collection, one sequence each; only ``idf`` looks at them.
        tokenizer: says which tokens are special.
        device: where the hidden states are.
    """
    if name == "idf":
        return _by_rarity(idf(features, tokenizer).to(device))
    return {"mean": mean, "cls": first, "max": largest}[name]


def mean(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean over all tokens, special tokens included, as XTREME's scripts have it."""
    return masked_mean(states, mask)


def first(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The first token, ``<s>``."""
    return states[:, 0].float()


def largest(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Maximum over all tokens, special tokens included, of every dimension (as LASER's encoder pools)."""
    found: Tensor = states.float().masked_fill(mask[:, :, None] == 0, -torch.inf).amax(1)
    return found


def idf(features: Sequence[Feature], tokenizer: Tokenizer) -> Tensor:
    """Inverse document frequency of every token: (vocabulary,) float32.

    ``log((N + 1) / (df + 1))`` with N texts, of which df hold the token (Spärck Jones 1972, smoothed as in BERTScore:
    Zhang et al. 2020, arXiv 1904.09675). Special tokens have weight 0, as there.

    Args:
        features: one sequence for each distinct text of the collection, as the encoder sees it.
        tokenizer: of the encoder.
    """
    held = Counter(token for feature in features for token in set(feature.sequences[0]))
    weights = torch.full((tokenizer.size,), math.log(len(features) + 1))
    for token, count in held.items():
        weights[token] = math.log((len(features) + 1) / (count + 1))
    weights[[tokenizer.begin, tokenizer.end, tokenizer.pad]] = 0.0
    return weights


def _by_rarity(weights: Tensor) -> Pool:
    """Mean over tokens by weight: ``sum w h / sum w``; the plain mean where no token of a text has any."""

    def pool(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        own = weights[ids] * mask
        own = torch.where(own.sum(1, keepdim=True) > 0, own, mask.float())
        found: Tensor = (states.float() * own[:, :, None]).sum(1) / own.sum(1, keepdim=True)
        return found

    return pool


def centred(vectors: Vectors, counts: NDArray[np.int64]) -> Vectors:
    """Vectors of a collection minus their mean: what all sentences of a language have in common is taken away.

    Libovický, Rosa and Fraser 2020 (arXiv 2004.05160, section 4); vectors are centred as they are pooled, before they
    are scaled to length one.

    Args:
        vectors: (n, hidden) of distinct texts.
        counts: (n,) how often each of them is in the collection.
    """
    middle = np.average(vectors.astype(np.float64), axis=0, weights=counts)
    found: Vectors = (vectors - middle).astype(np.float32)
    return found


def default_layer(depth: int) -> int:
    """Two thirds of the depth: 8 of 12 layers, as XTREME takes for models of that size."""
    return round(depth * 2 / 3)
