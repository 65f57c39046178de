"""Rows with predictions or labels, as the text of XTREME's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptstilts.data.examples import Examples
from adaptstilts.errors import DataError
from adaptstilts.io.json import to_text
from adaptstilts.metrics.xtreme import FOLDERS, FORMATS, FileForm, TaskFormat
from adaptstilts.tasks import Task

LINED = ("labels", "tags", "choices", "places")  # forms whose files have one line or sentence for every row


@dataclass(frozen=True)
class TaskRows:
    """The test rows of a task in one language.

    Attributes:
        task: a task that XTREME has.
        sets: row set -> rows; the only row set of a task whose splits are one table is called ``""``.
    """

    task: Task
    sets: Mapping[str, Examples]

    @property
    def predicted(self) -> Examples:
        """The rows that have predictions: the only ones, or the foreign sentences of mining."""
        return self.sets[""] if "" in self.sets else self.sets["foreign"]

    def ids(self) -> list[str]:
        """Return the ids of the rows that have predictions.

        Raises:
            DataError: an id occurs twice.
        """
        ids = [str(row["id"]) for row in self.predicted.rows]
        if len(set(ids)) < len(ids):
            raise DataError(f"{self.task.name}: two questions have the same id; XTREME's files need distinct ids")
        return ids


def format_of(task: Task) -> TaskFormat:
    """Return the format of a task that XTREME has (see :data:`adaptstilts.metrics.xtreme.FOLDERS`)."""
    return FORMATS[FOLDERS[task.name]]


def prediction_text(rows: TaskRows, predictions: Sequence[Any]) -> str:
    """Return the content of a prediction file.

    Args:
        rows: the test rows of one language.
        predictions: one for each of ``rows.predicted``, in the form of the kind of the task.
    """
    return _WRITERS[format_of(rows.task).form](rows, predictions)


def label_text(rows: TaskRows, gold: Sequence[Any]) -> str:
    """Return the content of a label file.

    Args:
        rows: the test rows of one language.
        gold: one label for each of ``rows.predicted``, in the form of predictions; not used for answers and pairs,
            which are written from the rows.
    """
    form = format_of(rows.task).form
    if form == "answers":
        return _squad_file(rows)
    if form == "pairs":
        return _gold_pairs(rows)
    return prediction_text(rows, gold)


def _label_lines(rows: TaskRows, labels: Sequence[str]) -> str:
    names = format_of(rows.task).labels
    return _lines(names[rows.task.labels.index(label)] for label in labels)


def _tag_lines(rows: TaskRows, sentences: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines(tags) for tags in sentences)


def _choice_lines(rows: TaskRows, choices: Sequence[int]) -> str:
    return _lines(to_text({"label": label}) for label in choices)


def _by_id(rows: TaskRows, values: Sequence[Any]) -> str:
    return _json_file(dict(zip(rows.ids(), values, strict=True)))


def _place_lines(rows: TaskRows, places: Sequence[int]) -> str:
    """Return the place of every English sentence's translation, in alphabetical order as XTREME's English file is."""
    english = [row["english"].strip() for row in rows.predicted.rows]
    order = sorted(range(len(english)), key=english.__getitem__)
    return _lines(str(places[i]) for i in order)


def _pair_lines(rows: TaskRows, english: Sequence[str | None]) -> str:
    pairs = zip(rows.sets["foreign"].rows, english, strict=True)
    return _lines(f"{row['id']}\t{partner}" for row, partner in pairs if partner is not None)


def _gold_pairs(rows: TaskRows) -> str:
    """Return the gold pairs as the task kind counts them: one for each pair of texts, with their first ids."""
    foreign, english = (_first_ids(rows.sets[side]) for side in ("foreign", "english"))
    lines = [f"{foreign[pair['foreign']]}\t{english[pair['english']]}" for pair in rows.sets["gold"].rows]
    return _lines(dict.fromkeys(lines))


def _first_ids(sentences: Examples) -> dict[str, str]:
    """Return, for the id of every sentence, the id of the first sentence with the same text."""
    first: dict[str, str] = {}
    return {row["id"]: first.setdefault(row["text"], row["id"]) for row in sentences.rows}


def _squad_file(rows: TaskRows) -> str:
    """Return a SQuAD file with one paragraph per question."""
    paragraphs = []
    for row, key in zip(rows.predicted.rows, rows.ids(), strict=True):
        pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
        answers = [{"text": text, "answer_start": start} for text, start in pairs]
        question = {"id": key, "question": row["question"], "answers": answers}
        paragraphs.append({"context": row["context"], "qas": [question]})
    return _json_file({"version": "1.1", "data": [{"title": rows.task.name, "paragraphs": paragraphs}]})


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _json_file(value: object) -> str:
    return to_text(value, indent=1) + "\n"


_WRITERS: dict[FileForm, Callable[[TaskRows, Sequence[Any]], str]] = {
    "labels": _label_lines,
    "tags": _tag_lines,
    "choices": _choice_lines,
    "answers": _by_id,
    "places": _place_lines,
    "pairs": _pair_lines,
    "rankings": _by_id,
}
