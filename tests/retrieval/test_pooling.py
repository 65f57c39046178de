"""Poolings without an encoder: weights of tokens, and what a collection has in common."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from adaptstilts.models.batching import Feature
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.retrieval import pooling


def test_rare_tokens_weigh_more(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    texts = [[0, 5, 6, 2], [0, 5, 7, 7, 2], [0, 5, 8, 2], [0, 5, 6, 9, 2]]
    weights = pooling.idf([Feature(i, (ids,), None) for i, ids in enumerate(texts)], tokenizer)
    assert weights[5] == pytest.approx(0.0), "in every text"
    assert weights[6] == pytest.approx(math.log(5 / 3))
    assert weights[7] == weights[8] == pytest.approx(math.log(5 / 2)), "texts are counted, not tokens"
    assert weights[10] == pytest.approx(math.log(5)), "in none"
    assert weights[[tokenizer.begin, tokenizer.pad, tokenizer.end]].tolist() == [0, 0, 0]
    assert len(weights) == tokenizer.size


def test_centred() -> None:
    vectors = np.array([[1, 2], [3, 8]], np.float32)
    found = pooling.subtract_mean(vectors, np.array([3, 1]))
    assert found.tolist() == [[-0.5, -1.5], [1.5, 4.5]]
    assert found.dtype == np.float32
