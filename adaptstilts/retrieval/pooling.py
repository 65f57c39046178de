"""Pooling: from the hidden states of a sentence's tokens to one vector."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.models.batching import Feature
from adaptstilts.models.means import masked_mean
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.search.base import Vectors
from adaptstilts.study import Pooling

# states (sequences, tokens, hidden), ids and mask (sequences, tokens) -> (sequences, hidden) float32
PoolingFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


def select(name: Pooling, features: Sequence[Feature], tokenizer: Tokenizer, device: torch.device) -> PoolingFunction:
    """Return the pooling function with a name.

    Args:
        name: ``mean``, ``cls``, ``max`` or ``idf``; ``own`` is replaced by one of them before.
        features: features of the whole collection, one sequence each; only ``idf`` looks at them.
        tokenizer: says which tokens are special.
        device: where the hidden states are.
    """
    if name == "idf":
        return _weighted_mean(idf(features, tokenizer).to(device))
    return {"mean": mean, "cls": first, "max": largest}[name]


def mean(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Take the mean over all tokens, special tokens included, as XTREME's scripts do."""
    return masked_mean(states, mask)


def first(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Take the first token, which begins every sequence."""
    return states[:, 0].float()


def largest(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Take the maximum of every dimension over all tokens, special tokens included (as LASER's encoder does)."""
    is_padding = mask[:, :, None] == 0
    pooled: Tensor = states.float().masked_fill(is_padding, -torch.inf).amax(1)
    return pooled


def idf(features: Sequence[Feature], tokenizer: Tokenizer) -> Tensor:
    """Compute the inverse document frequency of every token: (vocabulary,) float32.

    ``log((N + 1) / (df + 1))`` with N texts, of which df contain the token (Spärck Jones 1972, smoothed as in
    BERTScore: Zhang et al. 2020, arXiv 1904.09675). Special tokens have weight 0, as there.

    Args:
        features: one sequence for each distinct text of the collection, as the encoder sees it.
        tokenizer: tokenizer of the encoder.
    """
    texts_with: Counter[int] = Counter()
    for feature in features:
        texts_with.update(set(feature.sequences[0]))
    weights = torch.full((tokenizer.size,), math.log(len(features) + 1))
    for token, count in texts_with.items():
        weights[token] = math.log((len(features) + 1) / (count + 1))
    weights[[tokenizer.begin, tokenizer.end, tokenizer.pad]] = 0.0
    return weights


def _weighted_mean(token_weights: Tensor) -> PoolingFunction:
    """Compute the mean over tokens by weight, ``sum w h / sum w``; the plain mean if no token of a text has weight."""

    def pool(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        weights = token_weights[ids] * mask
        weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, mask.float())
        total: Tensor = (states.float() * weights[:, :, None]).sum(1)
        pooled = total / weights.sum(1, keepdim=True)
        return pooled

    return pool


def subtract_mean(vectors: Vectors, counts: NDArray[np.int64]) -> Vectors:
    """Subtract the mean of a collection, the part that all sentences of a language share.

    Libovický, Rosa and Fraser 2020 (arXiv 2004.05160, section 4); vectors are centred as they are pooled, before they
    are scaled to length one.

    Args:
        vectors: (n, hidden) of distinct texts.
        counts: (n,) how often each of them is in the collection.
    """
    centre = np.average(vectors.astype(np.float64), axis=0, weights=counts)
    centred: Vectors = (vectors - centre).astype(np.float32)
    return centred


def default_layer(depth: int) -> int:
    """Return the layer at two thirds of the depth: 8 of 12, as XTREME takes for models of that size."""
    return round(depth * 2 / 3)
