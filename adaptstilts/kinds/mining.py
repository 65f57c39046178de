"""Bitext mining: which sentences of two collections are translations, where most have none. Nothing is trained.

The BUCC protocol of XTREME and LASER: ratio margin over four neighbours, candidates from both directions, one-to-one,
and a score threshold that is best on dev and applied to test. The best threshold of test itself is looked for only
where a task has no dev, and then the scores are called oracle: they are higher than what anybody gets who mines.
Settings may ask for another margin. Equal texts of a side are one sentence. XTREME then leaves gold pairs of such texts
unfound and jiant emits all their ids; here a pair is right when its texts are those of a gold pair, and gold pairs of
equal texts count once.

Sentences of which the tokenizer knows no word are left out and counted: their vectors are alike, so that they would be
each other's best matches, whatever they say. Gold pairs that have one are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adaptstilts.data.examples import Example
from adaptstilts.kinds.sentence_search import RowSets, SearchResult, SentenceVectors
from adaptstilts.metrics.scores import Metric, pair_metrics
from adaptstilts.search import bucc
from adaptstilts.search.base import RowNumbers, Vectors
from adaptstilts.search.margin import Pairs, candidate_pairs
from adaptstilts.study import Retrieve
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

SIDES = ("foreign", "english")
SMALL = 100  # sentences of a side; in so few, that all have a translation can be meant


class Mining:
    """Bitext mining; row sets ``foreign`` and ``english`` (id, text), and ``gold`` (foreign id, English id)."""

    name = "mining"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that fields are text, and take off a newline at the end."""
        return row_checks.mining(example, task)

    def problem(self, rows: RowSets) -> tuple[str, str] | None:
        """Report ids that occur twice in a row set, and gold pairs of sentences that are not there."""
        for part in _parts(rows):
            for name in (f"{part}.{side}" for side in SIDES):
                if problem := _first_of(_twice(rows, name)):
                    return name, problem
            if problem := _first_of(_dangling(rows, part)):
                return f"{part}.gold", problem
            if _only_gold(rows, part):
                return f"{part}.gold", (
                    "every sentence of both sides is in a gold pair, so there is nothing to mine and no score to"
                    " compare (as in copies of BUCC that have only gold pairs); put the full sets there"
                )
        return None

    def sentences(self, rows: RowSets) -> dict[str, list[str]]:
        """Return both sides of both parts."""
        names = [f"{part}.{side}" for part in _parts(rows) for side in SIDES]
        return {name: [row["text"] for row in rows[name].rows] for name in names}

    def search(self, rows: RowSets, sides: Mapping[str, SentenceVectors], settings: Retrieve) -> SearchResult:
        """Find the pairs of test above the threshold of dev; one example is one foreign sentence.

        A prediction is the id of an English sentence or None; a text that occurs twice has it at its first row. Without
        dev the threshold is the one that is best on test itself, an oracle, and is called so.
        """
        test, gold = _mine(rows, sides, "test", settings)
        if "dev" in _parts(rows):
            threshold, facts = _from_dev(*_mine(rows, sides, "dev", settings))
        else:
            threshold = bucc.oracle_threshold(test, gold)
            facts = {"oracle_threshold": threshold}
        kept = test.at(test.scores >= threshold)
        foreign, english = rows["test.foreign"], rows["test.english"]
        predictions: list[str | None] = [None] * len(foreign.rows)
        wanted: list[list[str]] = [[] for _ in foreign.rows]
        for i, j in zip(kept.foreign.tolist(), kept.english.tolist(), strict=True):
            predictions[i] = english.rows[j]["id"]
        for i, j in gold.tolist():
            wanted[i].append(english.rows[j]["id"])
        counts = {
            "direction": "both" if settings.retrieval == "max" else settings.retrieval,
            "neighbours": settings.k,
            "margin": settings.margin,
            **facts,
            "sentences": len(foreign.rows) + len(english.rows),
            "truncated": int(sum(sides[f"test.{side}"].cut.sum() for side in SIDES)),
            "merged": _merged(rows, sides, len(gold)),
            "unknown_sentences": int(sum((~sides[f"test.{side}"].known).sum() for side in SIDES)),
        }
        return SearchResult(predictions, wanted, foreign.ids, len(foreign.rows), counts)

    def gold(self, rows: RowSets) -> list[Any]:
        """Return nothing: gold pairs are a row set, and a search compares them with its own."""
        return []

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute F1, precision and recall of the extracted pairs; ``oracle_f1`` and so on for a task without dev."""
        metrics = pair_metrics(predictions, gold)
        return metrics if task.dev else {f"oracle_{name}": metric for name, metric in metrics.items()}


def _from_dev(pairs: Pairs, gold: RowNumbers) -> tuple[float, dict[str, Any]]:
    """Return the threshold that is best on dev, and what the result says about it."""
    threshold = bucc.best_threshold(pairs.scores, bucc.is_correct(pairs, gold), len(gold))
    return threshold, {"threshold": threshold, "dev_f1": 100 * bucc.quality(pairs, gold, threshold).f1}


def _mine(
    rows: RowSets, sides: Mapping[str, SentenceVectors], part: str, settings: Retrieve
) -> tuple[Pairs, RowNumbers]:
    """One-to-one pairs of a part, the best first, and its distinct gold pairs (g, 2); by first row of each text."""
    foreign, english = (sides[f"{part}.{name}"] for name in SIDES)
    first_f, group_f = bucc.merge_equal_texts(foreign.places)
    first_e, group_e = bucc.merge_equal_texts(english.places)
    known_f, known_e = first_f[foreign.known[first_f]], first_e[english.known[first_e]]
    pairs = _pair(foreign.rows(known_f), english.rows(known_e), settings)
    columns = [first_f[group_f[_gold(rows, part, "foreign")]], first_e[group_e[_gold(rows, part, "english")]]]
    gold = np.unique(np.stack(columns, axis=1), axis=0)
    return Pairs(known_f[pairs.foreign], known_e[pairs.english], pairs.scores), gold


def _pair(foreign: Vectors, english: Vectors, settings: Retrieve) -> Pairs:
    """Return the one-to-one pairs of two sets of vectors, the best first; none if one set is empty."""
    if not len(foreign) or not len(english):
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    candidates = candidate_pairs(foreign, english, settings.k, settings.backend, settings.margin, settings.retrieval)
    return bucc.one_to_one(candidates)


def _gold(rows: RowSets, part: str, side: str) -> RowNumbers:
    """Return the rows of one side that the gold list names, in its order."""
    at = {row["id"]: i for i, row in enumerate(rows[f"{part}.{side}"].rows)}
    return np.array([at[row[side]] for row in rows[f"{part}.gold"].rows], np.int64)


def _merged(rows: RowSets, sides: Mapping[str, SentenceVectors], gold: int) -> dict[str, int]:
    """Rows of test that became one with an earlier row of the same text."""
    places = {name: sides[f"test.{name}"].places for name in SIDES}
    repeated = {name: len(texts) - len(np.unique(texts)) for name, texts in places.items()}
    return {**repeated, "gold": len(rows["test.gold"].rows) - gold}


def _parts(rows: RowSets) -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in rows))


def _only_gold(rows: RowSets, part: str) -> bool:
    """Whether no sentence of either side is without a translation."""
    pairs = rows[f"{part}.gold"].rows
    return all(len({pair[side] for pair in pairs}) == len(rows[f"{part}.{side}"].rows) >= SMALL for side in SIDES)


def _twice(rows: RowSets, name: str) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, row in zip(rows[name].ids, rows[name].rows, strict=True):
        earlier = seen.setdefault(row["id"], number)
        if earlier != number:
            place, other = rows[name].place(number), rows[name].place(earlier)
            yield f"{place}: id: expected one that no other row has, found {row['id']!r} of {other}"


def _dangling(rows: RowSets, part: str) -> Iterator[str]:
    known = {side: {row["id"] for row in rows[f"{part}.{side}"].rows} for side in SIDES}
    gold = rows[f"{part}.gold"]
    for number, row in zip(gold.ids, gold.rows, strict=True):
        for side in SIDES:
            if row[side] not in known[side]:
                place = gold.place(number)
                yield f"{place}: {side}: expected the id of a {part} sentence, found {row[side]!r}"


def _first_of(problems: Iterator[str]) -> str:
    """Return the first three problems, and how many there are."""
    listed = list(problems)
    return "; ".join(listed[:3]) + (f" ({len(listed)} such rows)" if len(listed) > 3 else "")


KIND = Mining()
