"""Rows of every kind with each column replaced by nulls, other types and nested values, or left out.

Such rows are either used or refused with one line that names the file and the row; never an internal error. Those of
them that are used must also become features, labels and gold answers.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.ranking import article, entity, paragraph, question

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.scan import scan
from adaptstilts.data.shots import Shots, take
from adaptstilts.data.sources import Sources, Split
from adaptstilts.errors import DataError
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.tasks import Source, Task, kind_specs

Row = dict[str, Any]

ODD: dict[str, Any] = {
    "null": None,
    "text": "x",
    "empty text": "",
    "list of text": ["a"],
    "empty list": [],
    "list of null": [None],
    "list of numbers": [0],
    "list of a list": [[["a"]]],
    "list of an object": [{"a": 1}],
    "list of bytes": [b"\xff"],
    "object": {"a": "b"},
    "null answers": {"text": None, "answer_start": None},
    "answers of null": {"text": [None], "answer_start": [None]},
    "answers of lists": {"text": [["x"]], "answer_start": [[0]]},
    "answers not in lists": {"text": "x", "answer_start": 0},
    "bytes": b"\xff\xfe",
    "true": True,
    "half": 0.5,
    "not a number": float("nan"),
    "zero": 0,
    "below zero": -7,
    "large": 2**40,
    "date": datetime.date(2020, 1, 1),
}


def _ranking_rows() -> dict[str, list[Row]]:
    generator = random.Random(1)
    context, breaks, made = paragraph(generator)
    asked = [question(generator, f"q{i}", made, i) for i in range(2)]
    named = entity(generator, "Q1", "sun tree")
    mentions = article(generator, "en", "a", [named])
    pair = {"contextual_mention": {"context": mentions["context"], "mention": mentions["mentions"][0]}, "entity": named}
    return {
        "lareqa": [{"paragraph": 1, "context": context, "sentence_breaks": breaks, "qas": asked}],
        "mewsli_x": [pair],
        "mewsli_x, articles": [mentions],
        "mewsli_x, candidates": [named],
    }


PAIR = {"premise": "a b", "hypothesis": "c", "label": 0}
SENTENCES = {"sentence1": "a b", "sentence2": "c", "label": 0}
ANSWERS = {"text": ["b"], "answer_start": [2]}
QUESTION = {"id": "1", "question": "what", "context": "a b", "answers": ANSWERS}
ROWS: dict[str, list[Row]] = {
    "mnli": [PAIR, {**PAIR, "label": 2}],
    "xnli": [{"sentence1": "a", "sentence2": "b", "gold_label": "neutral"}],
    "paws_x": [{**SENTENCES, "id": 1}],
    "stsb": [{**SENTENCES, "label": 2.5}],
    "udpos": [{"tokens": ["a", "b"], "pos_tags": [1, 2]}],
    "ccg": [{"0": "a b", "1": "N N/N"}],
    "squad": [QUESTION, QUESTION],
    "squad_v2": [QUESTION, {**QUESTION, "answers": {"text": [], "answer_start": []}}],
    "sample_choice": [{"context": "a", "choices": ["b", "c"], "label": 1}],
    "copa": [{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}],
    "social_i_qa": [{"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "c", "label": "1"}],
    "cosmos_qa": [{"context": "c", "question": "q", **{f"answer{i}": "a" for i in range(4)}, "label": 3}],
    "hellaswag": [{"ctx_a": "a", "ctx_b": "b", "endings": ["x", "y"], "label": "1"}],
    "commonsense_qa": [{"question": "q", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "answerKey": "A"}],
    "tatoeba": [{"source_sentence": "a", "target_sentence": "b"}],
    "tatoeba_r": [{"sentence1": "a", "sentence2": "b"}],
    "tatoeba_laser": [{"deu": "a", "eng": "b"}],
    "ntrex_mining, foreign": [{"id": "de-1", "sentence": "a"}],
    "ntrex_mining, gold": [{"source_id": "de-1", "target_id": "en-1"}],
    "bucc_training, gold": [{"sentence1": ["a"], "sentence2": ["b"], "gold": [[1, 1]]}],
    "bucc_training, english": [{"sentence1": ["a"], "sentence2": ["b"], "gold": [[1, 1]]}],
    "lareqa, pairs": [QUESTION],
    **_ranking_rows(),
}


# what replaces the parts of objects
DEEP = ("null", "list of null", "list of a list", "text", "object", "true", "half", "bytes")


def _changed(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """A value with each part of it replaced by odd values, or left out; of objects in a list, the first is changed."""
    inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
    if not isinstance(inner, dict):
        return
    for name, part in inner.items():
        odd = ODD if depth == 0 else {name: ODD[name] for name in DEEP}
        others = [(f"{name} = {what}", {**inner, name: other}) for what, other in odd.items()]
        others += [(f"{name} {what}", {**inner, name: other}) for what, other in _changed(part, depth + 1)]
        others.append((f"no {name}", {key: other for key, other in inner.items() if key != name}))
        for what, changed in others:
            yield what, [changed, *value[1:]] if isinstance(value, list) else changed


def _odd_rows(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Rows with one change, to the first of them and to all."""
    for what, row in _changed(rows[0]):
        yield what, [row, *rows[1:]]
        if len(rows) > 1:
            yield f"{what}, everywhere", [row] * len(rows)


def _read_and_scan(split: Split, task: Task) -> Examples:
    """Read a split; what planning says of it, which looks at whole columns, is the same."""
    check: Any = kind_specs.get(task.kind).check
    try:
        found = scan(split, task, check)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            read(split, task, check)
        raise
    examples = read(split, task, check)
    assert found.count == examples.total
    return examples


def _use(split: Split, task: Task, tokenizer: Tokenizer) -> None:
    """Do with a split what phases do before anything is computed."""
    kind: Any = kinds.get(task.kind)
    examples = _read_and_scan(split, task)
    if task.open_labels:
        tags = {tag for row in examples.rows for tag in row["tags"]}
        task = replace(task, labels=tuple(sorted(tags)), open_labels=False)
        examples = read(split, task, kind.check)
    if task.kind == "ranking":
        kind.queries(kind.numbered(examples))
    if not hasattr(kind, "features"):
        return
    kind.features(examples.rows, tokenizer, task, 64)
    if task.kind != "ranking":
        kind.labels(kind.gold(examples.rows, task))
    take(examples, task, Shots("en", 1, 0))


FAST = ("mnli", "stsb", "udpos", "squad", "sample_choice", "tatoeba", "bucc_training, gold", "lareqa")
EACH = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ROWS]


@pytest.mark.parametrize("name", EACH)
def test_odd_rows_are_used_or_refused(name: str, tmp_path: Path, tiny: Path) -> None:
    task_name, _, row_set = name.partition(", ")
    task = tasks.get(task_name)
    task = task.row_set(row_set) if task.sets else task
    tokenizer = Tokenizer(tiny)
    path = tmp_path / "owner/name/conf/test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    counts = {"used": 0, "refused": 0}
    for what, rows in [("as it is", ROWS[name]), *_odd_rows(ROWS[name])]:
        try:
            pq.write_table(pa.Table.from_pylist(rows), path)
        except pa.ArrowException:
            continue  # no file can have such rows
        try:
            split = Sources(tmp_path).get(Source("owner/name", "conf", "test"))
            _use(split, task, tokenizer)
            counts["used"] += 1
        except DataError as error:
            message = str(error)
            assert what != "as it is", message
            assert message.startswith(f"{path}: "), (what, message)
            assert "\n" not in message, (what, message)
            assert "not a row of" not in message, (what, message)
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{what}: internal error") from error
    assert counts["refused"] > 20, counts
