"""Answers with blanks, invisible characters and combining marks at their edges, and a perfect model on real rows."""

from __future__ import annotations

import unicodedata
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tokenizers
from support.builtin import BUILTIN

from adaptstilts import kinds, tasks
from adaptstilts.kinds import span
from adaptstilts.models import graphemes
from adaptstilts.models.architectures import PRETRAINED
from adaptstilts.models.batching import Features
from adaptstilts.models.tokenizer import Tokenizer

TASK = tasks.get("squad")
KIND = kinds.trainable("span")
SEOUL = unicodedata.normalize("NFD", "서울")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(BUILTIN / "nano", PRETRAINED)


def row(context: str, answer: str, start: int) -> dict[str, Any]:
    return {"id": "1", "question": "Who?", "context": context, "answers": {"text": [answer], "answer_start": [start]}}


def cut(features: Features, rows: list[dict[str, Any]]) -> list[str]:
    """What a perfect model answers: the text of the gold tokens; empty where no window has them."""
    outputs = []
    for item in features.items:
        second = item.place[0]
        first, last = (token - second for token in item.target)
        outputs.append((1.0, first, last) if first >= 0 else (0.0, 0, 0))
    known = {item.example for item in features.items if item.target != (0, 0)}
    texts = KIND.decode(outputs, features, rows, TASK)
    return [text if i in known else "" for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("context", "answer", "seen"),
    [
        ("the cat runs and sees", "cat ", "cat"),
        ("the cat runs and sees", " cat", "cat"),
        ("the cat\u200b runs and sees", "cat\u200b", "cat\u200b"),
        ("the \u200bcat runs and sees", "\u200bcat", "cat"),
        ("the cat\r\nruns and sees", "cat\r\n", "cat"),
        ("the cafe\u0301 is open", "cafe\u0301", "cafe\u0301"),
        ("a \u2764\ufe0f is red", "\u2764\ufe0f", "\u2764\ufe0f"),
        (
            unicodedata.normalize("NFD", "서울 에 있다"),
            unicodedata.normalize("NFD", "서울"),
            unicodedata.normalize("NFD", "서울"),
        ),
    ],
)
def test_the_target_is_what_is_visible_of_the_answer(
    tokenizer: Tokenizer, context: str, answer: str, seen: str
) -> None:
    rows = [row(context, answer, context.index(answer))]
    features = KIND.features(rows, tokenizer, TASK, 64)
    assert cut(features, rows) == [seen]
    assert (features.truncated, features.counts) == (0, {})


def test_an_edge_that_the_context_lacks_is_no_obstacle(tokenizer: Tokenizer) -> None:
    rows = [row("the cat runs", "cat  ", 4), row("the cat runs", "runs\u200b", 8)]
    features = KIND.features(rows, tokenizer, TASK, 64)
    assert cut(features, rows) == ["cat", "runs"]
    assert features.counts == {}


def test_rows_without_a_usable_answer_are_counted(tokenizer: Tokenizer) -> None:
    rows = [
        row("the \u200b cat", "\u200b", 4),
        row("the cat", "dog", 4),
        row("the cat", "", 0),
        row("the cat", "ca", 4),
    ]
    features = KIND.features(rows, tokenizer, TASK, 64)
    assert [item.target == (0, 0) for item in features.items] == [True, True, True, False]
    assert features.counts == {span.UNUSABLE: 3, span.INSIDE: 1}
    assert features.truncated == 0


def test_a_character_that_two_tokens_share_belongs_to_the_answer_with_one_of_them() -> None:
    """The last cluster of the answer is begun by one token, and ended by another one that has the next cluster too."""
    context = "హెక్టార్లలో"
    answer = context[:9]
    spans = graphemes.whole(context, [(0, 6), (6, 8), (8, 11)])
    assert [context[begin:end] for begin, end in spans] == [context[:6], context[6:9], context[6:]]
    assert span._answer_tokens(row(context, answer, 0), spans) == ((0, 1), [])
    assert span._answer_tokens(row(context, context, 0), spans) == ((0, 2), [])
    assert span._answer_tokens(row(context, context[6:], 6), spans) == ((1, 2), [])
    assert span._answer_tokens(row(context, context[:8], 0), spans) == ((0, 2), [span.INSIDE])


def test_an_answer_that_no_window_has_is_truncated(tokenizer: Tokenizer) -> None:
    context = "the cat sees the dog and runs " * 20
    rows = [row(context, context, 0)]
    features = KIND.features(rows, tokenizer, TASK, 64)
    assert features.truncated == 1
    assert all(item.target == (0, 0) for item in features.items)


@cache
def tokenizer_of(folder: Path) -> Tokenizer:
    return Tokenizer(folder, PRETRAINED)


@cache
def table_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(next(folder.glob("validation*.parquet"))).to_pylist()
    return rows


@cache
def rows_of(shared: Path, task: str, code: str, form: str, most: int) -> list[dict[str, Any]]:
    """Some real rows in one Unicode form, whose gold answer is the first one."""
    hub = shared / "hub" / "google" / "xtreme"
    folder = {"xquad": f"XQuAD.{code}", "mlqa": f"MLQA.{code}.{code}", "tydiqa": "tydiqa"}[task]
    table = table_of(hub / folder)
    if task == "tydiqa":
        table = [example for example in table if example["id"].startswith(f"{code}-")]
    rows = []
    for example in table[:: max(len(table) // most, 1)]:
        text, start = example["answers"]["text"][0], example["answers"]["answer_start"][0]
        before = unicodedata.normalize(form, example["context"][:start])
        context, answer = (unicodedata.normalize(form, part) for part in (example["context"], text))
        rows.append({**row(context, answer, len(before)), "id": example["id"]})
    return rows


def exact(rows: list[dict[str, Any]], tokenizer: Tokenizer, task: str, code: str) -> tuple[float, Features]:
    """Exact match of a perfect model, whose spans are the targets."""
    features = KIND.features(rows, tokenizer, TASK, 384)
    language = code if task == "mlqa" else "en"
    metric = KIND.score(cut(features, rows), KIND.gold(rows, TASK), tasks.get(task), language)["exact_match"]
    return metric.value, features


QA = {
    "xquad": "en es de ru tr ar vi th zh hi",
    "mlqa": "en es de ar hi vi zh",
    "tydiqa": "english arabic bengali finnish indonesian korean russian swahili telugu",
}
LANGUAGES = [(task, code) for task, codes in QA.items() for code in codes.split()]


COVERED: list[Any] = [pytest.param("xquad", code, marks=pytest.mark.slow) for code in QA["xquad"].split()]
COVERED += [("tydiqa", "telugu"), ("tydiqa", "bengali")]


@pytest.mark.parametrize(("task", "code"), COVERED)
def test_a_perfect_model_scores_99(shared: Path, task: str, code: str) -> None:
    """Decomposed Unicode and a vocabulary that has all of the languages: only spans can lose answers."""
    tokenizer = tokenizer_of(shared / "models" / "me5")
    rows = rows_of(shared, task, code, "NFD", 595)
    value, features = exact(rows, tokenizer, task, code)
    assert len(rows) > 100
    assert value >= 99
    assert features.counts.get(span.UNUSABLE, 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nano", "mini", "me5"])
@pytest.mark.parametrize(("task", "code"), LANGUAGES)
def test_a_perfect_model_loses_nothing(shared: Path, model: str, task: str, code: str) -> None:
    """Of the answers whose edges are edges of tokens, 99 of 100 are found exactly, in both forms."""
    folder = BUILTIN / model if model == "nano" else shared / "models" / model
    tokenizer = tokenizer_of(folder)
    for form in ("NFC", "NFD"):
        rows = rows_of(shared, task, code, form, 150)
        value, features = exact(rows, tokenizer, task, code)
        possible = 100 * sum(map(partial(is_whole_tokens, folder), rows)) / len(rows)
        assert value >= 0.99 * possible, form
        assert features.counts.get(span.UNUSABLE, 0) == 0
        assert features.truncated <= 0.01 * len(rows)


@cache
def plain_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def is_whole_tokens(folder: Path, example: dict[str, Any]) -> bool:
    """Whether tokens, as their library places them, begin and end with the answer."""
    context, answer = example["context"], example["answers"]["text"][0]
    start = example["answers"]["answer_start"][0]
    if not context.startswith(answer, start):
        return False  # found elsewhere, which other tests are about
    places = plain_tokenizer(folder).encode(context, add_special_tokens=False).offsets
    inside = [place for place in places if place[0] < start + len(answer) and place[1] > start]
    return bool(inside) and context[inside[0][0] : inside[-1][1]].strip() == answer.strip()
