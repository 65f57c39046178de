"""LAReQA: pairs from SQuAD, questions and candidates from XQuAD-R."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.ranking import LAREQA, paragraph, question, squad_file, write_lareqa

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.sources import Sources
from adaptstilts.errors import DataError
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks.base import LeftOut

TASK = tasks.get("lareqa")
KIND = kinds.get("ranking")


def adapted(row: dict[str, Any]) -> Any:
    assert TASK.adapt is not None
    return TASK.adapt(row)


def squad(context: str, answer: str, at: int | None = None) -> dict[str, Any]:
    start = context.index(answer) if at is None else at
    answers = {"text": [answer, "other"], "answer_start": [start, 0]}
    return {"id": "q", "title": "t", "question": "Who?", "context": context, "answers": answers}


def test_declaration() -> None:
    assert TASK.languages == tuple("ar de el en es hi ru th tr vi zh".split())
    assert TASK.headline == ("map",)
    assert TASK.reads("test", LANGUAGES["de"]) == {"de": TASK.test.at(LANGUAGES["de"]) if TASK.test else None}
    assert not TASK.retrieval
    assert TASK.defaults == {"max_length": 256, "epochs": 3, "batch_size": 16}
    assert TASK.query_length == 96


def test_a_question_of_squad_is_a_pair() -> None:
    context = "It began in 1990. Mr. Brown won. Nobody knows why."
    found = adapted(squad(context, "Brown"))
    assert found == {"id": "q", "query": "Who?", "candidate": None, "text": "Mr. Brown won.", "context": context}
    assert KIND.check({name: found[column] for name, column in TASK.columns.items()}, TASK) is None


def test_answers_that_no_sentence_holds_are_left_out() -> None:
    context = "It began in 1990. Mr. Brown won. "
    assert adapted(squad(context, "1990. Mr. Brown")) == LeftOut("the answer crosses a sentence break")
    assert adapted(squad(context, "Brown", 17)) == LeftOut("the answer begins in no sentence")
    assert adapted(squad(context, "Brown", 1700)) == LeftOut("the answer begins in no sentence")
    assert adapted(squad(context, "won."))["text"] == "Mr. Brown won."


def test_a_paragraph_gives_candidates_and_questions() -> None:
    row = {
        "paragraph": 7,
        "context": "Eins zwei. Drei vier.",
        "sentence_breaks": [[0, 10], [11, 21]],
        "qas": [
            {"id": "a", "question": "Was?", "answers": [{"text": "Drei", "answer_start": 11}]},
            {"id": "b", "question": "Wo?", "answers": [{"text": " ", "answer_start": 10}]},
            {"id": "c", "question": "Wer?", "answers": [{"text": "zwei. Drei", "answer_start": 5}]},
        ],
    }
    held = dict.fromkeys(TASK.columns)
    assert adapted(row) == [
        {**held, "candidate": "7_0", "text": "Eins zwei.", "context": row["context"]},
        {**held, "candidate": "7_1", "text": "Drei vier.", "context": row["context"]},
        {**held, "id": "a", "query": "Was?", "candidate": "7_1"},
        LeftOut("the answer begins in no sentence"),
        {**held, "id": "c", "query": "Wer?", "candidate": "7_0"},
    ]


def rows_of(root: Path, code: str) -> Examples:
    assert TASK.test is not None
    return read(Sources(root).get(TASK.test.at(LANGUAGES[code])), TASK, KIND.check)


def test_from_the_original_files(tmp_path: Path) -> None:
    write_lareqa(tmp_path)
    text = (tmp_path / LAREQA / "xquad-r" / "de.json").read_text(encoding="utf-8")
    paragraphs = [held for article in json.loads(text)["data"] for held in article["paragraphs"]]
    found = rows_of(tmp_path, "de")
    candidates = {row["candidate"]: row["text"] for row in found.rows if row["text"] is not None}
    expected = {f"{i}_{j}": s for i, held in enumerate(paragraphs, 1) for j, s in enumerate(held["sentences"])}
    assert candidates == expected
    asked = [row for row in found.rows if row["query"] is not None]
    assert [row["id"] for row in asked] == [q["id"] for held in paragraphs for q in held["qas"]]
    answers = [q["answers"][0]["text"] for held in paragraphs for q in held["qas"]]
    assert all(text in candidates[row["candidate"]] for row, text in zip(asked, answers, strict=True))
    assert found.dropped == {}
    assert TASK.train is not None
    pairs = read(Sources(tmp_path).get(TASK.train), TASK, KIND.check)
    assert len(pairs.rows) == 40
    assert all(row["text"] in row["context"] for row in pairs.rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sentence_breaks": None}, "sentence_breaks: expected a list of pairs, found None"),
        ({"sentence_breaks": [[0, 1, 2]]}, "sentence_breaks: expected a list of pairs, found [[0, 1, 2]]"),
        ({"sentence_breaks": [[0, 1.5]]}, "sentence_breaks: expected pairs of whole numbers, found [0.0, 1.5]"),
        ({"context": None}, "context: expected text, found None"),
        ({"qas": [{"id": "a", "question": "x"}]}, "answers: no such column; found id, question"),
        ({"qas": [{"id": "a", "question": "x", "answers": []}]}, "qas.answers: expected one or more, found none"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    import random

    context, breaks, made = paragraph(random.Random(1))
    held = {"context": context, "sentence_breaks": breaks, "qas": [question(random.Random(2), "a", made, 1)]}
    path = squad_file(tmp_path / LAREQA / "xquad-r" / "de.json", [{**held, **change}])
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path, "de")
    assert f"{path}: paragraph 1: {told}" in str(caught.value)


def test_questions_of_the_real_squad(shared: Path) -> None:
    assert TASK.dev is not None
    found = read(Sources(shared / "hub").get(TASK.dev), TASK, KIND.check)
    left_out = sum(found.dropped.values())
    assert len(found.rows) + left_out == 10_570
    assert left_out < 30
    assert all(row["text"] in row["context"] and len(row["text"]) > 2 for row in found.rows)
