"""Sentence retrieval: find the translation of an English sentence among foreign ones. Nothing is trained.

As XTREME does it for Tatoeba: English queries against the foreign sentences, the nearest one counts. Beside it the
error rate xSIM (Heffernan et al. 2022, arXiv 2205.12654), in the other direction and by margin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptstilts.data.examples import Example
from adaptstilts.kinds.sentence_search import RowSets, SearchResult, SentenceVectors
from adaptstilts.metrics.scores import Metric, accuracy
from adaptstilts.search import mutual_neighbours
from adaptstilts.search.base import Neighbours
from adaptstilts.search.margin import MARGINS
from adaptstilts.study import Margin, Retrieve
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task


class Bitext:
    """Sentence retrieval; fields ``foreign`` and ``english``, translations of each other."""

    name = "bitext"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that both sides are text, and take off the newline that the hub's copies keep at the end."""
        return row_checks.bitext(example, task)

    def problem(self, rows: RowSets) -> tuple[str, str] | None:
        """Return None: rows do not depend on each other."""
        return None

    def sentences(self, rows: RowSets) -> dict[str, list[str]]:
        """Return both sides, by row."""
        return {side: [row[side] for row in rows[""].rows] for side in ("english", "foreign")}

    def search(self, rows: RowSets, sides: Mapping[str, SentenceVectors], settings: Retrieve) -> SearchResult:
        """Find the nearest foreign row for each English one; row ``i`` is the translation of row ``i``."""
        examples, english, foreign = rows[""], sides["english"], sides["foreign"]
        ahead, back = mutual_neighbours(foreign.rows(), english.rows(), settings.k, settings.backend)
        nearest = back[0][:, 0]
        counts = {
            "direction": "english to foreign",
            "truncated": int((english.cut | foreign.cut).sum()),
            "unknown_sentences": int((~english.known).sum() + (~foreign.known).sum()),
            "dropped": dict(examples.dropped),
        }
        gold = self.gold(rows)
        more = {"xsim": Metric("ratio", [(float(each), 1.0) for each in misses(ahead, back, settings.margin)])}
        return SearchResult(nearest.tolist(), gold, examples.ids, examples.total, counts, more)

    def gold(self, rows: RowSets) -> list[Any]:
        """Return the number of every row: a sentence's translation is in its own row."""
        return list(range(len(rows[""].rows)))

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute the accuracy at rank one."""
        return {"accuracy": accuracy(predictions, gold)}


def misses(ahead: Neighbours, back: Neighbours, margin: Margin = "ratio") -> list[bool]:
    """Return which foreign sentences have a better English match than their translation; xSIM is their share.

    Of the ``k`` nearest English sentences of each foreign one, that with the largest margin of its cosine over the mean
    of both neighbourhoods counts; equal margins go to the nearer one. As in LASER's script, another row with an equal
    text is an error too.

    Args:
        ahead: English rows next to every foreign one, the nearest first, and cosines: (n, k) each. Row ``i`` is the
            translation of row ``i``.
        back: foreign rows next to every English one: (n, k) each.
        margin: see :mod:`adaptstilts.search.margin`.
    """
    (rows, cosines), (_, others) = ahead, back
    means = (cosines.mean(axis=1)[:, None] + others.mean(axis=1)[rows]) / 2
    best = MARGINS[margin](cosines, means).argmax(axis=1)
    return [int(found[place]) != i for i, (found, place) in enumerate(zip(rows, best, strict=True))]


KIND = Bitext()
