"""The results behind a page, and questions that several parts ask about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from adaptstilts import tasks
from adaptstilts.metrics.intervals import Difference
from adaptstilts.plan.expand import Plan
from adaptstilts.reports.means import mean_scores
from adaptstilts.reports.page.model import Verdict
from adaptstilts.reports.records import NO_INTERMEDIATE, Record
from adaptstilts.reports.tables.cells import unique
from adaptstilts.store.store import Store

MARGIN = 1.0  # points


@dataclass(frozen=True)
class Results:
    """The results of a study so far.

    Attributes:
        plan: plan of the study.
        store: store with its entries.
        records: from :func:`adaptstilts.reports.records.records`.
        margin: points; a difference that is surely smaller does not matter.
        in_language: from :func:`adaptstilts.reports.records.row_records`.
    """

    plan: Plan
    store: Store
    records: Sequence[Record]
    margin: float = MARGIN
    in_language: Sequence[Record] = ()

    @cached_property
    def plain(self) -> list[Record]:
        """The records of targets that were not swapped, those of a target together."""
        records = [record for record in self.records if record.over == record.trained_on]
        order = unique(record.task for record in records)
        return sorted(records, key=lambda record: order.index(record.task))

    @cached_property
    def done(self) -> list[Record]:
        """Those of :attr:`plain` that are complete."""
        return [record for record in self.plain if record.complete]

    @cached_property
    def swapped(self) -> list[Record]:
        """The complete records of swaps."""
        return [record for record in self.records if record.over != record.trained_on and record.complete]

    @cached_property
    def intermediates(self) -> list[str]:
        """The intermediates of the targets, ``none`` first: the series of figures, in the order of their colours."""
        names = unique(record.trained_on for record in self.plain)
        return sorted(names, key=lambda name: name != NO_INTERMEDIATE)

    @cached_property
    def methods(self) -> list[str]:
        """The labels of the methods."""
        return unique(record.method for record in self.plain)

    @cached_property
    def reference(self) -> str:
        """The label of the method that others are compared with."""
        arms = self.plan.study.methods
        return next((arm for arm in arms if arm.method.is_reference), arms[0]).label

    @cached_property
    def tasks(self) -> list[str]:
        """The names of the targets."""
        return unique(record.task for record in self.plain)

    def seed_means(self, record: Record) -> dict[int, float]:
        """Return the mean score over languages of every seed of a complete record."""
        headline = tasks.get(record.task).headline
        means = {}
        for seed, key in zip(record.seeds, record.phases, strict=True):
            means[seed] = float(mean_scores([self.store.peek(key)], headline)["mean"])
        return means

    def seed_differences(self, record: Record, other: Record | None) -> list[float]:
        """Return the difference of the mean scores of two records for every seed that both have.

        Args:
            record: a complete record.
            other: what is subtracted; no differences if it is None or not complete.
        """
        if other is None or not other.complete:
            return []
        ours, theirs = self.seed_means(record), self.seed_means(other)
        return [ours[seed] - theirs[seed] for seed in ours if seed in theirs]

    def find(self, task: str, method: str, trained_on: str, over: str | None = None) -> Record | None:
        """Return the record of a combination; None if the study has none.

        Args:
            task: the target.
            method: label of the method.
            trained_on: what it was trained on.
            over: what it is evaluated over; None for what it was trained on.
        """
        place = (task, method, trained_on, over or trained_on)
        for record in self.records:
            if (record.task, record.method, record.trained_on, record.over) == place:
                return record
        return None


def judge(difference: Difference, margin: float) -> Verdict:
    """Return what a difference shows.

    With one seed it shows nothing. It is no effect if its whole 95 % interval is nearer to zero than the margin, which
    is stricter than two one-sided tests at 5 %; it is an effect if it differs from zero at 5 %, corrected for the
    number of comparisons of its family.

    Args:
        difference: difference with its interval.
        margin: points.
    """
    if difference.seeds < 2:
        return "not resolved"
    if -margin < difference.low and difference.high < margin:
        return "no effect"
    return "effect" if difference.is_claimed else "not resolved"
