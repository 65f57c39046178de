"""The average of many differences, with one interval.

The comparisons of a study share seeds, test items and often one side, so their intervals cannot be averaged. Their
differences are: for every seed, language and test item. The average then has an interval like any single difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from adaptstilts import tasks
from adaptstilts.metrics.intervals import Array, Difference, Numbers, corrected, paired_difference
from adaptstilts.reports.comparisons import Scored, read
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record

Pair = tuple[Record, Record]


def average(results: Results, pairs: Sequence[Pair]) -> Difference | None:
    """Return the average difference of pairs of complete records; every task counts the same.

    A page has only one average of each kind, so its p-value is not corrected.

    Args:
        results: results of the study.
        pairs: what is compared, and what is subtracted.

    Returns:
        None if there are no pairs, if they have no seed in common, or if two results of a task are not of the same
        examples.
    """
    seeds = _common_seeds(pairs)
    by_task: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_task.setdefault(pair[0].task, []).append(pair)
    values: dict[int, dict[str, Array]] = {seed: {} for seed in seeds}
    items: dict[str, Numbers] = {}
    count = 0  # of items so far: those of different tasks are different ones
    for task, of_task in by_task.items():
        mean = _TaskMean(results, task, of_task)
        for seed in seeds:
            if not mean.add(seed):
                return None
        for seed, differences in mean.differences.items():
            weight = 1 / (len(by_task) * len(differences))
            values[seed].update({f"{task} {code}": weight * block for code, block in differences.items()})
        items.update({f"{task} {code}": numbers + count for code, numbers in mean.items.items()})
        count = 1 + max((int(numbers.max()) for numbers in items.values()), default=-1)
    if not items:
        return None
    return _interval(list(values.values()), items)


def _interval(values: Sequence[Mapping[str, Array]], items: Mapping[str, Numbers]) -> Difference:
    """Return the sum over blocks of the mean of each, with its interval.

    Args:
        values: for each seed, block -> weighted differences.
        items: block -> number of the item of each.
    """
    blocks = len(items)
    scaled = [_times(blocks, of_seed) for of_seed in values]
    zero = [_times(0, of_seed) for of_seed in values]
    return corrected({"average": paired_difference(scaled, zero, items)})["average"]


def _times(factor: float, blocks: Mapping[str, Array]) -> dict[str, Array]:
    return {name: factor * block for name, block in blocks.items()}


def _common_seeds(pairs: Sequence[Pair]) -> list[int]:
    """Return the seeds that both sides of all pairs have, in order."""
    if not pairs:
        return []
    sets = [set(record.seeds) for record in chain.from_iterable(pairs)]
    return sorted(set.intersection(*sets))


class _TaskMean:
    """The mean over the comparisons of one task, for every seed, language and example.

    Args:
        results: results of the study.
        task: name of the task.
        pairs: its comparisons.
    """

    def __init__(self, results: Results, task: str, pairs: Sequence[Pair]) -> None:
        self.store, self.task, self.pairs = results.store, tasks.get(task), pairs
        self.differences: dict[int, dict[str, Array]] = {}
        self.items: Mapping[str, Numbers] = {}
        self._ids: Mapping[str, list[int]] | None = None

    def add(self, seed: int) -> bool:
        """Read one seed; return False if something of it is not of the same examples as the rest."""
        total: dict[str, Array] = {}
        phases: dict[str, Scored] = {}
        for ours, theirs in self.pairs:
            for record, sign in ((ours, 1.0), (theirs, -1.0)):
                key = record.phases[record.seeds.index(seed)]
                scored = phases.setdefault(key, read(self.store.peek(key), self.task))
                if not self._has_same_examples(scored):
                    return False
                for code, values in scored.values.items():
                    total[code] = total.get(code, 0.0) + sign / len(self.pairs) * values
        self.differences[seed] = total
        return True

    def _has_same_examples(self, scored: Scored) -> bool:
        if self._ids is None:
            self._ids, self.items = scored.ids, scored.items
        return scored.ids == self._ids
