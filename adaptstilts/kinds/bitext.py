"""Sentence retrieval: aligned sentences in a foreign language and in English. Nothing is trained.

As XTREME does it for Tatoeba: English queries against the foreign sentences, the nearest one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptstilts.data.examples import Example, text_problem
from adaptstilts.kinds.retrieval import Found, Rows, Side, Untrained
from adaptstilts.metrics import Metric, accuracy
from adaptstilts.retrieval.search import nearest
from adaptstilts.tasks.base import Task


class Bitext(Untrained):
    """Fields: ``foreign`` and ``english``, translations of each other."""

    name = "bitext"
    fields: Mapping[str, tuple[str, ...]] = {"": ("foreign", "english")}

    def check(self, example: Example, task: Task) -> str | None:
        """Both sides are text; the newline that the hub's copies keep at the end is taken off."""
        problem = text_problem(example, "foreign", "english")
        if problem is None:
            example.update(foreign=example["foreign"].rstrip("\r\n"), english=example["english"].rstrip("\r\n"))
        return problem

    def problem(self, rows: Rows) -> tuple[str, str] | None:
        """Rows stand for themselves."""
        return None

    def sentences(self, rows: Rows) -> dict[str, list[str]]:
        """Both sides, by row."""
        return {side: [row[side] for row in rows[""].rows] for side in ("english", "foreign")}

    def search(self, rows: Rows, sides: Mapping[str, Side]) -> Found:
        """The nearest foreign row for each English one; row ``i`` is the translation of row ``i``."""
        examples, english, foreign = rows[""], sides["english"], sides["foreign"]
        found, _ = nearest(english.rows(), foreign.rows())
        counts = {
            "direction": "english to foreign",
            "truncated": int((english.cut | foreign.cut).sum()),
            "dropped": dict(examples.dropped),
        }
        return Found(found.tolist(), list(range(len(found))), examples.ids, examples.total, counts)

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Accuracy at rank one."""
        return {"accuracy": accuracy(predictions, gold)}


KIND = Bitext()
