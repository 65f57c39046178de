"""Encoding: every layer of one pass is the model's own hidden state, pooled as its formula says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.inputs import WORDS

from adaptstilts import methods
from adaptstilts.errors import Interrupted
from adaptstilts.kinds.sentence_search import sentence_features
from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.retrieval import pooling
from adaptstilts.retrieval.encode import deduplicate, encode

CPU = torch.device("cpu")
TEXTS = [" ".join(WORDS[:n]) for n in (9, 7, 7, 4, 2, 1)] + [""]
EVERY = range(5)


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


@pytest.fixture(scope="module")
def features(tokenizer: Tokenizer) -> list[Feature]:
    return sentence_features(TEXTS, tokenizer, 48).items


def hidden(encoder: Encoder, features: list[Feature]) -> tuple[torch.Tensor, ...]:
    """Hidden states of one batch, as transformers itself gives them."""
    batch = collate(features, 1, CPU)
    with torch.inference_mode():
        held = encoder.trunk(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True)
    return tuple(held.hidden_states)


@pytest.mark.parametrize("layers", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4), (1, 3), (0, 4)])
@pytest.mark.parametrize("kind", [None, "bottleneck", "lora"])
def test_every_layer_is_the_hidden_state_to_the_bit(
    tiny: Path, features: list[Feature], layers: tuple[int, ...], kind: str | None
) -> None:
    method = methods.parse({"kind": kind}) if kind else None
    encoder = Encoder(tiny, method.backend if method else "plain")
    if method:
        encoder.add("a", method, 1)
        for parameter in encoder.delta("a").values():
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(2))
        encoder.compose(["a"])
    seen: list[torch.Tensor] = []

    def keep(states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen.append(states.clone())
        return states[:, 0]

    encode(encoder, features, layers, keep, 1, tokens=10_000)
    assert len(seen) == len(layers)
    expected = hidden(encoder, features)
    for layer, states in zip(layers, seen, strict=True):
        assert torch.equal(states, expected[layer]), layer
    assert encoder.depth == 4, "all layers are there again"


def test_no_layer_above_the_highest_is_computed(tiny: Path, features: list[Feature]) -> None:
    encoder, ran = Encoder(tiny), []
    for i, layer in enumerate(encoder.trunk.encoder.layer):
        layer.register_forward_hook(lambda *_, i=i: ran.append(i))
    encode(encoder, features, (0, 2), pooling.mean, 1, tokens=10_000)
    assert ran == [0, 1]
    encode(encoder, features, (0,), pooling.mean, 1, tokens=10_000)
    assert ran == [0, 1]


def test_hooks_are_gone_after_an_error(tiny: Path, features: list[Feature]) -> None:
    encoder = Encoder(tiny)

    def fail(*_: Any) -> Any:
        raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        encode(encoder, features, (0, 1), fail, 1)
    parts = (encoder.trunk.encoder, *encoder.trunk.encoder.layer)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    assert len(parts) == 5


def by_hand(name: str, states: np.ndarray, ids: list[int], tokenizer: Tokenizer) -> np.ndarray:
    """One sentence without padding, in float64."""
    states = states.astype(np.float64)
    if name == "cls":
        return states[0]
    if name == "max":
        return states.max(axis=0)
    if name == "mean":
        return states.mean(axis=0)
    sequences = [{0, *own, 2} for own in tokenizer.ids(TEXTS)]
    weights = np.array([math.log(8 / (1 + sum(i in own for own in sequences))) * (i not in (0, 1, 2)) for i in ids])
    if not weights.any():
        weights = np.ones(len(ids))
    return (states * weights[:, None]).sum(axis=0) / weights.sum()


@pytest.mark.parametrize("name", ["mean", "max", "cls", "idf"])
@pytest.mark.parametrize("layer", [0, 3])
def test_poolings(tiny: Path, tokenizer: Tokenizer, features: list[Feature], name: Any, layer: int) -> None:
    encoder = Encoder(tiny)
    pool = pooling.select(name, features, tokenizer, CPU)
    found = encode(encoder, features, (layer,), pool, 1, tokens=24)[0]
    for feature, vector in zip(features, found, strict=True):
        states = hidden(encoder, [feature])[layer][0].numpy()
        expected = by_hand(name, states, feature.sequences[0], tokenizer)
        assert np.allclose(vector, expected, atol=2e-5)
    assert np.isfinite(found).all(), "also of the empty text"
    others = [n for n in ("mean", "max", "cls", "idf") if n != name]
    for other in others:
        made = encode(encoder, features, (layer,), pooling.select(other, features, tokenizer, CPU), 1)[0]
        assert not np.allclose(made[0], found[0], atol=1e-3), other


def test_where_every_token_is_everywhere_the_mean_is_plain(tiny: Path, tokenizer: Tokenizer) -> None:
    items = sentence_features(["the cat"], tokenizer, 48).items
    encoder = Encoder(tiny)
    made = [encode(encoder, items, (4,), pooling.select(n, items, tokenizer, CPU), 1) for n in ("idf", "mean")]
    assert np.allclose(*made, atol=1e-6)


@pytest.mark.parametrize("tokens", [8, 40, 10_000])
def test_batches_do_not_matter(tiny: Path, features: list[Feature], tokens: int) -> None:
    counted: list[int] = []
    found = encode(Encoder(tiny), features, (2, 4), pooling.mean, 1, tokens=tokens, report=counted.append)
    whole = encode(Encoder(tiny), features, (2, 4), pooling.mean, 1, tokens=10_000)
    assert np.allclose(found, whole, atol=1e-5)
    assert sum(counted) == len(TEXTS)
    assert (len(counted) == 1) == (tokens == 10_000)


def test_bf16_is_near(tiny: Path, features: list[Feature]) -> None:
    whole, half = (encode(Encoder(tiny), features, (3,), pooling.mean, 1, bf16)[0] for bf16 in (False, True))
    assert not np.array_equal(whole, half)
    cosines = (whole * half).sum(1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(half, axis=1)
    assert cosines.min() > 0.999
    assert half.dtype == np.float32


def test_a_stop_is_heard_before_the_next_batch(tiny: Path, features: list[Feature]) -> None:
    counted: list[int] = []
    with pytest.raises(Interrupted):
        encode(Encoder(tiny), features, (1,), pooling.mean, 1, False, 8, lambda: len(counted) == 2, counted.append)
    assert len(counted) == 2


def test_distinct() -> None:
    assert deduplicate(["b", "a", "b", "", "a"]) == (["b", "a", ""], [0, 1, 0, 2, 1])
    assert deduplicate([]) == ([], [])
