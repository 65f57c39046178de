"""Paired differences between the results of a study, with intervals over seeds, test items and, if wanted, languages.

Examples of several languages that are one item (a translated row, a question with one id) count as one; a task declares
which are (``parallel`` and ``item`` of :class:`adaptstilts.tasks.Task`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from adaptstilts import tasks
from adaptstilts.metrics.intervals import Array, Difference, LanguagesAs, Numbers, number_items, paired_difference
from adaptstilts.metrics.intervals import values_of as influence_values
from adaptstilts.metrics.scores import LanguageStats
from adaptstilts.plan.expand import Cell
from adaptstilts.store import entries
from adaptstilts.store.contents import LanguageScores, Predictions
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.tasks import Task


class Combination(NamedTuple):
    """The subject of a record. The cells of one combination differ only in their seeds."""

    task: str
    method: str
    trained_on: str
    over: str

    @property
    def is_swapped(self) -> bool:
        """Return whether the target was evaluated over another intermediate than it was trained on."""
        return self.trained_on != self.over


Groups = Mapping[Combination, Sequence[Cell]]


class Scored(NamedTuple):
    """The data that comparisons read from one phase.

    Attributes:
        values: language -> the influence value of every example.
        ids: language -> row number of every example in the split.
        items: language -> the number of every example's item.
        is_joined: False if languages may share items that the entry does not name.
    """

    values: Mapping[str, Array]
    ids: Mapping[str, list[int]]
    items: Mapping[str, Numbers]
    is_joined: bool


class Comparisons:
    """Differences between combinations; reads every phase once.

    Args:
        groups: the cells of every combination.
        store: where the phases are.
        languages_as: whether intervals are about these languages (``fixed``) or languages like these (``sample``).
    """

    def __init__(self, groups: Groups, store: Store, languages_as: LanguagesAs) -> None:
        self.groups, self.store, self.languages_as = groups, store, languages_as
        self._scored: dict[str, Scored] = {}
        self._known: dict[tuple[Combination, Combination], Difference | None] = {}

    def between(self, ours: Combination, theirs: Combination) -> Difference | None:
        """Return the difference paired over seeds and examples; None unless both sides have the same examples.

        Args:
            ours: what is compared.
            theirs: what is subtracted.
        """
        if (ours, theirs) not in self._known:
            self._known[ours, theirs] = self._compare(ours, theirs)
        return self._known[ours, theirs]

    def is_joined(self, cell: Cell) -> bool:
        """Return whether all items that the languages of a phase share are known to be one."""
        return self._read(cell).is_joined

    def _compare(self, ours: Combination, theirs: Combination) -> Difference | None:
        partners = {_run(cell): cell for cell in self.groups.get(theirs, ())}
        cells = [(cell, partners[_run(cell)]) for cell in self.groups[ours] if _run(cell) in partners]
        if not cells or not all(self.store.has(cell.phase) for cell in chain.from_iterable(cells)):
            return None
        pairs = [(self._read(a), self._read(b)) for a, b in cells]
        if not all(_have_same_examples(a, b) for a, b in pairs):
            return None
        values = [a.values for a, _ in pairs], [b.values for _, b in pairs]
        if len({cell.seed for cell, _ in cells}) == 1:  # draws of rows do not show how seeds vary
            values = [_mean(values[0])], [_mean(values[1])]
        return paired_difference(*values, pairs[0][0].items, self.languages_as)

    def _read(self, cell: Cell) -> Scored:
        if cell.phase not in self._scored:
            self._scored[cell.phase] = read(self.store.peek(cell.phase), tasks.get(cell.task))
        return self._scored[cell.phase]


def read(entry: Entry, task: Task) -> Scored:
    """Return what comparisons read of an evaluate or retrieve phase.

    Args:
        entry: entry of the phase.
        task: the task that it scored.
    """
    stats: LanguageStats = entries.STATS.read(entry)
    scores = entries.SCORES.read(entry)
    values = influence_values(stats, task.headline)
    predicted = {code: entries.predictions(code).read(entry) for code in values}
    ids = {code: of_language["ids"] for code, of_language in predicted.items()}
    names, is_joined = _item_ids(task, predicted, scores)
    for code, of_language in values.items():
        if len(names[code]) != len(of_language):  # scores whose unit is not the row
            names[code] = [(code, place) for place in range(len(of_language))]
    return Scored(values, ids, number_items(names), is_joined)


def _item_ids(
    task: Task, predicted: Mapping[str, Predictions], scores: Mapping[str, LanguageScores]
) -> tuple[dict[str, list[Hashable]], bool]:
    """Return the id of the item of every example, by language, and whether all shared items are known.

    Args:
        task: says how languages share items.
        predicted: language -> its examples.
        scores: language -> counts of the rows that its split has.
    """
    ids: dict[str, list[Hashable]] = {}
    is_joined = True
    for code, of_language in predicted.items():
        if "items" in of_language:
            ids[code] = [*of_language["items"]]
        elif task.parallel:
            rows = scores[code]["rows"] + sum(scores[code].get("dropped", {}).values())
            ids[code] = [(rows, number) for number in of_language["ids"]]
        else:
            ids[code] = [(code, number) for number in of_language["ids"]]
            is_joined = task.item is None
    return ids, is_joined or len(ids) == 1


def _run(cell: Cell) -> tuple[int, int]:
    """Return the seed and the draw of the training rows, in which the cells of one combination differ."""
    return cell.seed, cell.shots.draw if cell.shots else 0


def _mean(values: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {code: np.mean([one[code] for one in values], axis=0) for code in values[0]}


def _have_same_examples(ours: Scored, theirs: Scored) -> bool:
    return _sizes(ours) == _sizes(theirs) and ours.ids == theirs.ids


def _sizes(scored: Scored) -> dict[str, int]:
    return {code: len(values) for code, values in scored.values.items()}
