"""Rows that are JSON objects: one a line, or paragraphs of a SQuAD file; what is read, and what is refused where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptstilts.data import file_formats, json_rows
from adaptstilts.data.examples import REMEDY, Example, read
from adaptstilts.data.sources import Sources, byte_size, row_count
from adaptstilts.errors import DataError
from adaptstilts.tasks import Source, Task
from adaptstilts.tasks.base import LeftOut, Row

SQUAD = Source("owner/lareqa", "xquad-r", "de", format="squad")
PAIRS = Source("owner/mewsli", "dataset", "pairs-train", format="jsonl")


def put(root: Path, source: Source, text: str) -> Path:
    """The file of a source."""
    path = root / source.repo / source.config / (source.split + file_formats.SUFFIXES[source.format])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows(path: Path, form: str) -> list[dict[str, Any]]:
    return list(file_formats.read([path], form)[0].to_pylist())


def told(path: Path, form: str) -> str:
    """What is said of a file, whether it is counted or read."""
    with pytest.raises(DataError) as caught:
        file_formats.read([path], form)
    return str(caught.value).removeprefix(str(path))


# One object a line


def test_objects_are_rows(tmp_path: Path) -> None:
    held = [{"a": 1, "b": {"c": "ü", "d": [{"e": 1}]}}, {"b": {"d": []}, "f": [[0, 1], [2, 3]]}]
    path = put(tmp_path, PAIRS, "\ufeff" + "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in held))
    assert file_formats.count(path, "jsonl") == 2
    assert rows(path, "jsonl") == [
        {"a": 1, "b": {"c": "ü", "d": [{"e": 1}]}, "f": None},
        {"a": None, "b": {"c": None, "d": []}, "f": [[0, 1], [2, 3]]},
    ]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    path = put(tmp_path, PAIRS, "")
    assert file_formats.count(path, "jsonl") == 0
    assert rows(path, "jsonl") == []


def test_keys_may_come_after_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "CHUNK", 3)
    held: list[dict[str, Any]] = [
        {"n": i, "more": {"k": str(i)}} if i < 7 else {"n": i + 0.5, "x": i} for i in range(9)
    ]
    held[8]["more"] = {"other": "y"}
    path = put(tmp_path, PAIRS, "\n".join(map(json.dumps, held)))
    found = rows(path, "jsonl")
    assert [row["n"] for row in found] == [row["n"] for row in held]
    assert found[0] == {"n": 0, "more": {"k": "0", "other": None}, "x": None}
    assert found[8] == {"n": 8.5, "more": {"k": None, "other": "y"}, "x": 8}


_VALUES = st.none() | st.text(st.characters(codec="utf-8")) | st.lists(st.integers(-9, 9), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.fixed_dictionaries({"a": st.text(st.characters(codec="utf-8"))}, optional={"b": st.integers(0, 9)})))
def test_any_objects_come_back(tmp_path: Path, held: list[dict[str, Any]]) -> None:
    path = put(tmp_path, PAIRS, "".join(json.dumps(row) + "\n" for row in held))
    every = {key for row in held for key in row}
    assert rows(path, "jsonl") == [{key: row.get(key) for key in row.keys() | every} for row in held]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "not JSON (Expecting value)"),
        ('{"a": 1', "not JSON (Expecting ',' delimiter)"),
        ("{'a': 1}", "not JSON (Expecting property name enclosed in double quotes)"),
        ('{"a": NaN}', "not JSON (NaN is not a JSON value)"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "expected a JSON object, found a list"),
        ('"a"', "expected a JSON object, found text"),
        ("3", "expected a JSON object, found a number"),
        ("true", "expected a JSON object, found true or false"),
        ("null", "expected a JSON object, found nothing"),
    ],
)
def test_a_line_that_is_no_object(tmp_path: Path, line: str, problem: str) -> None:
    path = put(tmp_path, PAIRS, f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
    assert told(path, "jsonl").startswith(f":2: {problem}")
    with pytest.raises(DataError, match=":2: "):
        file_formats.count(path, "jsonl")


@pytest.mark.parametrize("value", ['"x"', "{}", "true", str(10**30), '"\\ud800"', "[1]"])
@pytest.mark.parametrize("chunk", [2, 100])
def test_values_that_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, chunk: int
) -> None:
    monkeypatch.setattr(json_rows, "CHUNK", chunk)
    lines = [f'{{"a": {i}}}' for i in range(12)]
    lines[6] = f'{{"a": {value}}}'
    path = put(tmp_path, PAIRS, "\n".join(lines))
    text = told(path, "jsonl")
    assert text.startswith(": line 7") or text.startswith(": line 8")  # in chunks of two the row after it differs
    assert "a value has another type than in the rows before" in text


# A SQuAD file


def test_paragraphs_are_rows(tmp_path: Path) -> None:
    paragraphs = [{"context": f"c{i}", "sentence_breaks": [[0, 2]], "qas": [{"id": "a"}]} for i in range(3)]
    held = {"version": "1.1", "data": [{"paragraphs": paragraphs[:1]}, {"title": "t", "paragraphs": paragraphs[1:]}]}
    path = put(tmp_path, SQUAD, json.dumps(held, indent=1))
    assert rows(path, "squad") == [{**row, "paragraph": i + 1} for i, row in enumerate(paragraphs)]
    split = Sources(tmp_path).get(SQUAD)
    assert (row_count(split), byte_size(split)) == (3, path.stat().st_size)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"data":\n [}', ":2: not JSON (Expecting value)"),
        ("", ":1: not JSON (Expecting value)"),
        ("[]", ": data: expected a list, as in SQuAD, found nothing"),
        ('{"data": {}}', ": data: expected a list, as in SQuAD, found an object"),
        ('{"data": [{"paragraphs": []}, {}]}', ": data[1].paragraphs: expected a list, as in SQuAD, found nothing"),
        ('{"data": [{"paragraphs": [{}, 3]}]}', ": paragraph 2: expected an object, found a number"),
        ('{"data": [{"paragraphs": [{"a": 1}, {"a": ""}]}]}', ": paragraph 2: a value has another type"),
    ],
)
def test_a_file_that_is_not_like_squad(tmp_path: Path, text: str, problem: str) -> None:
    assert told(put(tmp_path, SQUAD, text), "squad").startswith(problem)


# From files to examples


def several(row: Row) -> dict[str, Any] | LeftOut | list[dict[str, Any] | LeftOut]:
    return [LeftOut("bad") if text == "-" else {"text": text} for text in row["texts"]]


TASK = Task(name="toy", kind="masked", languages=("en",), columns={"text": "text"}, adapt=several)


def check(example: Example, task: Task) -> str | None:
    return "text: expected no x" if example["text"] == "x" else None


@pytest.mark.parametrize("source", [SQUAD, PAIRS])
def test_errors_name_the_row_of_the_file(tmp_path: Path, source: Source) -> None:
    held = [{"texts": ["a", "-"]}, {"texts": ["b", "x"]}]
    lines = "".join(json.dumps(row) + "\n" for row in held)
    path = put(tmp_path, source, lines if source is PAIRS else json.dumps({"data": [{"paragraphs": held}]}))
    with pytest.raises(DataError) as caught:
        read(Sources(tmp_path).get(source), TASK, check)
    what = "line" if source is PAIRS else "paragraph"
    assert str(caught.value) == f"{path}: {what} 2: text: expected no x; {REMEDY}"


def test_a_column_within_objects_tells_rows_apart(tmp_path: Path) -> None:
    held = [{"of": {"language": code}, "texts": [code]} for code in ("de", "en", "de")]
    put(tmp_path, PAIRS, "".join(json.dumps(row) + "\n" for row in held))
    source = Source(PAIRS.repo, PAIRS.config, PAIRS.split, where=("of.language", "de"), format="jsonl")
    here = Sources(tmp_path)
    assert row_count(here.get(source)) == 2
    assert [row["text"] for row in read(here.get(source), TASK, check).rows] == ["de", "de"]
    absent = Source(PAIRS.repo, PAIRS.config, PAIRS.split, where=("of.language", "fr"), format="jsonl")
    assert here.find(absent) is None
    for column in ("of.code", "language", "of.language.x", "texts.language"):
        with pytest.raises(DataError, match=f"no column '{column}'; found of, texts"):
            here.find(Source(PAIRS.repo, PAIRS.config, PAIRS.split, where=(column, "de"), format="jsonl"))


def test_a_column_whose_name_has_a_dot(tmp_path: Path) -> None:
    put(tmp_path, PAIRS, '{"a.b": "x", "a": {"b": "y"}}\n')
    here = Sources(tmp_path)
    assert here.find(Source(PAIRS.repo, PAIRS.config, PAIRS.split, where=("a.b", "x"), format="jsonl"))
    assert not here.find(Source(PAIRS.repo, PAIRS.config, PAIRS.split, where=("a.b", "y"), format="jsonl"))
