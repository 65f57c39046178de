"""The ranking kind: features of queries and candidates, the loss over a whole batch, and scores of dev rows."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.inputs import WORDS, sentence

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples
from adaptstilts.errors import DataError
from adaptstilts.kinds import heads
from adaptstilts.models.batching import Batch, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.runtime.inference import predict

CPU = torch.device("cpu")
TASK = tasks.get("lareqa")
KIND = kinds.get("ranking")
BARE = dict.fromkeys(TASK.columns)


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> Encoder:
    return Encoder(tiny)


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


def pairs(count: int, seed: int = 1) -> list[dict[str, Any]]:
    generator = random.Random(seed)
    made = [(sentence(generator), sentence(generator, 9), sentence(generator, 20)) for _ in range(count)]
    return [{**BARE, "id": f"q{i}", "query": q, "text": t, "context": c} for i, (q, t, c) in enumerate(made)]


def batch_of(features: Features) -> Batch:
    return collate(features.items, 1, CPU)


# Rows


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"id": "q", "query": "a", "text": "b", "context": "c"}, None),
        ({"id": "q", "query": "a", "candidate": "1"}, None),
        ({"candidate": "1", "text": "b"}, None),
        ({"id": "q", "query": "", "text": ""}, None),
        ({"id": "q", "query": "a"}, "candidate"),
        ({"text": "b"}, "candidate"),
        ({"id": "q", "candidate": "1"}, "query"),
        ({}, "query"),
        ({"id": "q", "query": 3, "text": "b"}, "query"),
        ({"id": "q", "query": "a", "text": ["b"]}, "text"),
        ({"id": 7, "query": "a", "text": "b"}, "id"),
        ({"id": "q", "query": "a", "candidate": 5}, "candidate"),
        ({"candidate": "1", "text": "b", "context": 1}, "context"),
    ],
)
def test_what_a_row_may_be(row: dict[str, Any], field: str | None) -> None:
    problem = KIND.check({**BARE, **row}, TASK)
    assert (problem and problem.split(":")[0]) == field


def test_queries_are_told_from_candidates() -> None:
    rows = [{**BARE, "candidate": "a", "text": "x"}, {**BARE, "id": "q", "query": "y", "candidate": "a"}, *pairs(1)]
    found = KIND.queries(Examples(rows, [4, 6, 9], 3, {"why": 2}))
    assert found == Examples(rows[1:], [6, 9], 2, {"why": 2})


def test_candidates_without_an_id_get_that_of_their_text() -> None:
    first, second = pairs(2)
    named = {**BARE, "candidate": "a", "text": "x"}
    question = {**BARE, "id": "q", "query": "y", "candidate": "a"}
    rows = [first, named, second, question, {**first, "id": "again"}]
    found = KIND.numbered(Examples(rows, [0, 1, 2, 3, 4], 5)).rows
    assert [row["candidate"] for row in found] == ["0", "a", "1", "a", "0"]
    assert first["candidate"] is None


# Features


def test_features(tokenizer: Tokenizer) -> None:
    pair, query = (
        {**BARE, "id": "q", "query": "the cat", "text": "a dog", "context": "a dog runs"},
        {"query": "the sun"},
    )
    alone = {"candidate": "a", "text": "red"}
    rows = [pair, {**BARE, **query, "candidate": "a"}, {**BARE, **alone}]
    features = KIND.features(rows, tokenizer, TASK, 32)
    cat, dog, runs, sun, red = tokenizer.ids(["the cat", "a dog", "a dog runs", "the sun", "red"])
    assert [item.sequences for item in features.items] == [
        ([0, *cat, 2], [0, *dog, 2, 2, *runs, 2]),
        ([0, *sun, 2],),
        ([0, *red, 2],),
    ]
    assert features.truncated == 0
    assert features.sizes == [2, 1, 1]


def test_queries_have_a_length_of_their_own(tokenizer: Tokenizer) -> None:
    long = " ".join(WORDS)
    rows = [{**BARE, "id": "q", "query": long, "text": ""}, {**BARE, "query": "", "text": long, "context": long}]
    features = KIND.features(rows, tokenizer, replace(TASK, query_length=10), 20)
    assert [[len(ids) for ids in item.sequences] for item in features.items] == [[10, 2], [2, 20]]
    assert [item.place for item in features.items] == [True, True]
    assert features.truncated == 2
    assert len(KIND.features(rows, tokenizer, TASK, 8).items[0].sequences[0]) == 8
    assert len(KIND.features(rows, tokenizer, replace(TASK, query_length=None), 20).items[0].sequences[0]) == 20


# Head and loss


def test_vectors_have_unit_length(encoder: Encoder, tokenizer: Tokenizer) -> None:
    head = heads.new(encoder, TASK, 1)
    features = KIND.features(pairs(7), tokenizer, TASK, 32)
    outputs = predict(encoder, head, KIND, features, 1, False)
    assert [output.shape for output in outputs] == [(2, 32)] * 7
    assert all(output.dtype == np.float32 for output in outputs)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(outputs), axis=1), 1, rtol=1e-6)


def test_the_scale_starts_at_100_and_is_learned(encoder: Encoder) -> None:
    head = heads.new(encoder, TASK, 1)
    ((name, scale),) = head.named_parameters()
    assert name == "log_scale"
    assert math.exp(scale.item()) == pytest.approx(100, rel=1e-6)
    assert scale.requires_grad


def test_the_loss_is_that_of_the_plain_formula(encoder: Encoder, tokenizer: Tokenizer) -> None:
    """Minus the logarithm of each right candidate's share among the exponentials of its batch, in float64."""
    batch = batch_of(KIND.features(pairs(6), tokenizer, TASK, 32))
    states = encoder.states(batch.ids, batch.mask)
    head = heads.new(encoder, TASK, 1)
    with torch.no_grad():
        head.get_parameter("log_scale").fill_(math.log(12.5))
    loss, terms = KIND.loss(head, states, batch)
    first = states[:, 0].detach().double().numpy()
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    expected = 0.0
    for i in range(6):
        logits = [12.5 * float(first[2 * i] @ first[2 * j + 1]) for j in range(6)]
        expected += math.log(sum(math.exp(logit - logits[i]) for logit in logits))
    assert int(terms) == 6
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert head.get_parameter("log_scale").grad is not None


def test_every_other_row_of_the_batch_counts(encoder: Encoder, tokenizer: Tokenizer) -> None:
    features = KIND.features(pairs(6), tokenizer, TASK, 32)
    head = heads.new(encoder, TASK, 1)
    losses = []
    for size in (1, 2, 6):
        batch = collate(features.items[:size], 1, CPU)
        losses.append(KIND.loss(head, encoder.states(batch.ids, batch.mask).detach(), batch)[0].item())
    assert losses[0] == 0
    assert losses[0] < losses[1] < losses[2]
    assert KIND.joint


@pytest.mark.parametrize("column", ["query", "text"])
def test_only_pairs_are_trained_on(encoder: Encoder, tokenizer: Tokenizer, column: str) -> None:
    rows = pairs(3)
    rows[1][column] = None
    batch = batch_of(KIND.features(rows, tokenizer, TASK, 32))
    with pytest.raises(DataError, match="rows that have a query and the text of its candidate"):
        KIND.loss(heads.new(encoder, TASK, 1), encoder.states(batch.ids, batch.mask), batch)


def test_half_precision_does_not_reach_the_logits(encoder: Encoder, tokenizer: Tokenizer) -> None:
    batch = batch_of(KIND.features(pairs(8), tokenizer, TASK, 32))
    states = encoder.states(batch.ids, batch.mask).detach()
    head = heads.new(encoder, TASK, 1)
    expected, _ = KIND.loss(head, states, batch)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = KIND.loss(head, states, batch)
    assert found.item() == expected.item()


# Scores of dev rows


def slow_map(queries: np.ndarray, candidates: np.ndarray, right: list[int]) -> float:
    """Mean over queries of 1 / the right candidate's place, 0 beyond 20."""
    total = 0.0
    for query, wanted in zip(queries, right, strict=True):
        products = candidates.astype(np.float64) @ query.astype(np.float64)
        place = 1 + sum(p > products[wanted] or (p == products[wanted] and i < wanted) for i, p in enumerate(products))
        total += 1 / place if place <= 20 else 0.0
    return 100 * total / len(right)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_dev_scores_equal_a_slow_definition(data: st.DataObject) -> None:
    """Candidates are those of all rows; equal texts are one candidate."""
    count = data.draw(st.integers(1, 40))
    texts = data.draw(st.lists(st.integers(0, 45), min_size=count, max_size=count))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    vectors = generator.normal(size=(2, 50, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    rows = [{**BARE, "id": f"{i}", "query": "q", "text": f"t{n % 9}", "context": f"{n}"} for i, n in enumerate(texts)]
    outputs = [np.stack([vectors[0, i], vectors[1, n]]) for i, n in enumerate(texts)]
    found = KIND.decode(outputs, Features([]), rows, TASK)
    gold = KIND.gold(rows, TASK)
    distinct = list(dict.fromkeys(texts))
    assert gold == [[distinct.index(n)] for n in texts]
    assert all(len(ranked) == len(set(ranked)) == min(20, len(distinct)) for ranked in found)
    expected = slow_map(vectors[0, :count], vectors[1, distinct], [one for (one,) in gold])
    assert KIND.score(found, gold, TASK, "en")["map"].value == pytest.approx(expected)


def test_rankings_are_json_values() -> None:
    import json

    rows = pairs(3)
    outputs = [np.eye(2, 4, dtype=np.float32)] * 3
    assert json.loads(json.dumps(KIND.decode(outputs, Features([]), rows, TASK))) == [[0, 1, 2]] * 3
