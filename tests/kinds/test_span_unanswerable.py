"""Questions that may have no answer (SQuAD v2.0): their rows, the score of having none, and the threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from adaptstilts import kinds, tasks
from adaptstilts.kinds import heads
from adaptstilts.kinds.span import SpanHead
from adaptstilts.models.batching import Feature, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.runtime.inference import predict

TASK = tasks.get("squad_v2")
KIND = kinds.get("span")


def row(i: int, answer: str | None) -> dict[str, Any]:
    context = "the cat runs and the dog sees a tree"
    answers = {"text": [answer] if answer else [], "answer_start": [context.index(answer)] if answer else []}
    return {"id": f"q{i}", "question": "the cat ?", "context": context, "answers": answers}


def test_rows_without_an_answer_are_rows() -> None:
    assert KIND.check(row(0, None), TASK) is None
    assert "one or more" in str(KIND.check(row(0, None), tasks.get("squad")))


def test_having_no_answer_is_the_first_token_and_is_not_counted(tiny: Path) -> None:
    features = KIND.features([row(0, None), row(1, "dog")], Tokenizer(tiny), TASK, 64)
    assert [item.target == (0, 0) for item in features.items] == [True, False]
    assert features.truncated == 0
    assert features.counts == {}


@pytest.mark.parametrize("lead", [-1.0, 1.0])
def test_the_empty_answer_wins_when_its_score_is_higher_in_every_window(lead: float) -> None:
    rows = [row(0, "dog")]
    features = Features([feature(0), feature(0)])
    outputs = [(3.0, 1, 1, 3.0 - lead), (1.0, 0, 0, 9.0)]
    assert KIND.decode(outputs, features, rows, TASK) == (["cat"] if lead > 0 else [""])


def feature(example: int) -> Any:
    spans = [(0, 3), (4, 7), (8, 12)]
    return Feature(example, ([0, 5, 6, 7, 2],), (0, 0), (1, 0, spans))


@pytest.mark.parametrize(
    ("leads", "answers", "given"),
    [
        ([5.0, 3.0, 1.0, -1.0], ["cat", "cat", None, None], 2),
        ([5.0, 3.0, 1.0, -1.0], [None, None, None, None], 0),
        ([-5.0, -6.0, -7.0, -8.0], ["cat", "cat", "cat", "cat"], 4),
        ([5.0, 3.0, 1.0, -1.0], ["cat", None, "cat", None], 3),
    ],
)
def test_the_threshold_is_best_on_dev(leads: list[float], answers: list[str | None], given: int) -> None:
    """By hand: all orders of the surest answers; a tie goes to fewer answers."""
    rows = [row(i, answer) for i, answer in enumerate(answers)]
    features = Features([feature(i) for i in range(4)])
    head = SpanHead(8, unanswerable=True)
    outputs = [(lead, 1, 1, 0.0) for lead in leads]
    KIND.calibrate(head, outputs, features, rows, TASK)
    shifted = [(lead, 1, 1, float(head.none)) for lead in leads]
    found = KIND.decode(shifted, features, rows, TASK)
    if answers == ["cat", None, "cat", None]:
        given = 1 if found.count("cat") == 1 else 3  # as good as each other
    assert [text != "" for text in found] == [i < given for i in range(4)]


def test_the_threshold_is_kept_with_the_head(tiny: Path, tmp_path: Path) -> None:
    encoder = Encoder(tiny)
    head = heads.new(encoder, TASK, 1)
    assert isinstance(head, SpanHead)
    head.none += 2.5
    heads.save(head, encoder, TASK, tmp_path)
    again = heads.load(encoder, TASK, tmp_path)
    assert float(again.none) == 2.5  # type: ignore[arg-type]
    assert "none" not in dict(again.named_parameters())
    assert "none" not in heads.new(encoder, tasks.get("squad"), 1).state_dict()


def test_the_threshold_moves_the_score_of_having_no_answer(tiny: Path) -> None:
    encoder, tokenizer = Encoder(tiny), Tokenizer(tiny)
    rows = [row(0, "dog"), row(1, None)]
    features = KIND.features(rows, tokenizer, TASK, 64)
    head = heads.new(encoder, TASK, 1)
    before = predict(encoder, head, KIND, features, tokenizer.pad, False)
    assert isinstance(head, SpanHead)
    head.none += 1e4
    after = predict(encoder, head, KIND, features, tokenizer.pad, False)
    assert KIND.decode(after, features, rows, TASK) == ["", ""]
    assert [a[:3] for a in after] == [b[:3] for b in before]
    batch = collate(features.items, tokenizer.pad, torch.device("cpu"))
    loss, terms = KIND.loss(head, encoder.states(batch.ids, batch.mask), batch)
    assert torch.isfinite(loss)
    assert int(terms) == 2


def test_scores_are_those_of_squad_2() -> None:
    metrics = KIND.score(["", "cat", "", "the cat"], [[], [], ["cat"], ["cat"]], TASK, "en")
    assert {name: metric.value for name, metric in metrics.items()} == {"f1": 50.0, "exact_match": 50.0}
