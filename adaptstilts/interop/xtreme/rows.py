"""Rows with predictions or labels as the text of XTREME's files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from adaptstilts.data.examples import Examples
from adaptstilts.errors import DataError
from adaptstilts.metrics.xtreme import FOLDERS, FORMATS, Form, Format
from adaptstilts.tasks import Task

LINED = ("labels", "tags", "choices", "places")  # forms whose files have one line or sentence for every row
Rows = Mapping[str, Examples]


def format_of(task: Task) -> Format:
    """How XTREME writes a task down; ``FOLDERS`` has the names of those that it has."""
    return FORMATS[FOLDERS[task.name]]


def examined(rows: Rows) -> Examples:
    """The rows that predictions are for: the only ones, or the foreign sentences of mining."""
    return rows[""] if "" in rows else rows["foreign"]


def predicted_text(task: Task, rows: Rows, predictions: Sequence[Any]) -> str:
    """A prediction file.

    Args:
        task: one that XTREME has.
        rows: its test rows in one language, by row set; ``""`` where a split is one table.
        predictions: of :func:`examined`, in the form of the task's kind.
    """
    return _TEXTS[format_of(task).form](task, rows, predictions)


def gold_text(task: Task, rows: Rows, gold: Sequence[Any]) -> str:
    """A label file; ``gold`` is in the form of predictions, and not used where rows have more to say."""
    form = format_of(task).form
    if form == "answers":
        return _squad(task, rows)
    if form == "pairs":
        return _gold_pairs(rows)
    return predicted_text(task, rows, gold)


def _label_lines(task: Task, rows: Rows, labels: Sequence[str]) -> str:
    known = format_of(task).labels
    return _lines(known[task.labels.index(label)] for label in labels)


def _tag_lines(task: Task, rows: Rows, sentences: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines(tags) for tags in sentences)


def _choice_lines(task: Task, rows: Rows, chosen: Sequence[int]) -> str:
    return _lines(json.dumps({"label": label}) for label in chosen)


def _answer_map(task: Task, rows: Rows, texts: Sequence[Any]) -> str:
    return _json(dict(zip(_ids(task, rows), texts, strict=True)))


def _place_lines(task: Task, rows: Rows, found: Sequence[int]) -> str:
    """For each English sentence in alphabetical order the row of the foreign one: XTREME sorts the English file."""
    english = [row["english"].strip() for row in rows[""].rows]
    return _lines(str(found[i]) for i in sorted(range(len(english)), key=english.__getitem__))


def _pair_lines(task: Task, rows: Rows, english: Sequence[str | None]) -> str:
    pairs = zip(rows["foreign"].rows, english, strict=True)
    return _lines(f"{row['id']}\t{found}" for row, found in pairs if found is not None)


def _gold_pairs(rows: Rows) -> str:
    """Gold pairs as the kind counts them: one for each pair of texts, by the first row of a text."""
    first: dict[str, dict[str, str]] = {}
    for side in ("foreign", "english"):
        texts: dict[str, str] = {}
        first[side] = {row["id"]: texts.setdefault(row["text"], row["id"]) for row in rows[side].rows}
    gold = rows["gold"].rows
    return _lines(dict.fromkeys(f"{first['foreign'][g['foreign']]}\t{first['english'][g['english']]}" for g in gold))


def _squad(task: Task, rows: Rows) -> str:
    """A SQuAD file; one paragraph per question."""
    paragraphs = []
    for row, key in zip(rows[""].rows, _ids(task, rows), strict=True):
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
        ]
        question = {"id": key, "question": row["question"], "answers": answers}
        paragraphs.append({"context": row["context"], "qas": [question]})
    return _json({"version": "1.1", "data": [{"title": task.name, "paragraphs": paragraphs}]})


def _ids(task: Task, rows: Rows) -> list[str]:
    ids = [str(row["id"]) for row in examined(rows).rows]
    if len(set(ids)) < len(ids):
        raise DataError(f"{task.name}: the ids of its questions are not distinct; XTREME's files go by them")
    return ids


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


_TEXTS: dict[Form, Callable[[Task, Rows, Sequence[Any]], str]] = {
    "labels": _label_lines,
    "tags": _tag_lines,
    "choices": _choice_lines,
    "answers": _answer_map,
    "places": _place_lines,
    "pairs": _pair_lines,
    "rankings": _answer_map,
}
