"""What decides whether the answer can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from adaptstilts.io.wording import counted, joined
from adaptstilts.plan.graph import Plan
from adaptstilts.reports.page.model import Fact
from adaptstilts.reports.page.parts.answer import AverageChange, smallest
from adaptstilts.reports.page.parts.provenance import entries_in, environments
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import unique
from adaptstilts.reports.tables.scores import TRUNCATED
from adaptstilts.store.store import Store

ENOUGH_SEEDS = 5
_NAMED = 6  # missing phases that are named


def facts(results: Results, averages: Sequence[AverageChange]) -> list[Fact]:
    """Return the facts in the order in which a reviewer asks for them."""
    every = [
        seeds_fact(results.plan.study.seeds),
        _languages(results),
        _items(results),
        phases_fact([results.plan], results.store),
        _tests(results),
        _power(averages),
        *_losses(results.done),
        *_environment(results),
    ]
    return [fact for fact in every if fact is not None]


def seeds_fact(seeds: Sequence[int]) -> Fact:
    """Return the fact about the number of seeds, and what it means."""
    names = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        note = f"Seed {names}. Training noise is unknown: no difference can be claimed."
    elif len(seeds) < ENOUGH_SEEDS:
        note = f"Seeds {names}. Intervals account for them, and are wide with so few; {ENOUGH_SEEDS} are better."
    else:
        note = f"Seeds {names}. Intervals account for them."
    return Fact("Seeds", str(len(seeds)), note, is_warning=len(seeds) < ENOUGH_SEEDS)


def _languages(results: Results) -> Fact | None:
    codes = unique(code for record in results.done for code in record.languages)
    if not codes:
        return None
    missing = sorted({code for record in results.records for code in record.missing})
    note = joined(codes)
    if missing:
        note += f". Not in the data, and in no mean: {joined(missing)}"
    return Fact("Languages", str(len(codes)), f"{note}.", is_warning=bool(missing))


def _items(results: Results) -> Fact | None:
    sizes = [record.n for record in results.done if record.n]
    if not sizes:
        return None
    low, high = min(size[0] for size in sizes), max(size[1] for size in sizes)
    value = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    notes = []
    subsets = unique(record.task for record in results.done if record.subset)
    if subsets:
        notes.append(f"Only some of the rows of {joined(subsets)} were read.")
    splits = unique(f"{record.task} ({record.split})" for record in results.done if record.split != "test")
    if splits:
        notes.append(f"Not the test rows: {joined(splits)}.")
    return Fact("Test items in a language", value, " ".join(notes), is_warning=bool(notes))


def phases_fact(plans: Sequence[Plan], store: Store) -> Fact:
    """Return the fact about the phases that are done, and those that are missing."""
    missing = [phase for plan in plans for phase in plan.missing(store)]
    total = sum(len(plan.phases) for plan in plans)
    note = ""
    if missing:
        shown = [phase.title for phase in missing[:_NAMED]]
        more = len(missing) - len(shown)
        note = f"Missing, whether they failed or were never run: {'; '.join(shown)}"
        note += f"; and {more} more (adaptstilts status)." if more else "."
    return Fact("Phases", f"{total - len(missing)} of {total} done", note, is_warning=bool(missing))


def _tests(results: Results) -> Fact:
    families = {
        "with no intermediate task": [record.vs_none for record in results.records],
        "with the reference method": [record.vs_reference for record in results.records],
        "after swaps": [record.vs_trained for record in results.records],
    }
    counts = {name: sum(each is not None for each in family) for name, family in families.items()}
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    note = f"{joined(parts)}; p-values are corrected within each of these (Holm)." if parts else ""
    return Fact("Comparisons", str(sum(counts.values())), note[:1].upper() + note[1:])


def _power(averages: Sequence[AverageChange]) -> Fact | None:
    if not averages:
        return None
    value = smallest(averages)
    if math.isinf(value):
        return Fact(
            "Smallest detectable effect",
            "unknown",
            "With one seed no effect can be told from training noise.",
            is_warning=True,
        )
    note = "Of the first number above, in 80 of 100 such studies. For single comparisons see the column sees."
    return Fact("Smallest detectable effect", f"{value:.1f} points", note)


def _losses(records: Sequence[Record]) -> list[Fact]:
    facts = []
    truncated = max(records, key=lambda record: record.truncated, default=None)
    if truncated is not None and truncated.truncated > TRUNCATED:
        share = f"up to {100 * truncated.truncated:.1f} % of examples"
        facts.append(Fact("Truncated", share, f"Most on {truncated.task}: tokens beyond max_length.", is_warning=True))
    dropped = {record.task: record.dropped for record in records if record.dropped}
    if dropped:
        parts = [f"{counted(count, 'row')} of {task}" for task, count in dropped.items()]
        note = "Over all languages and seeds, mostly for lack of a gold label."
        facts.append(Fact("Left out", joined(parts), note, is_warning=True))
    joined_tasks = unique(record.task for record in records if not record.is_joined)
    if joined_tasks:
        note = f"Stored by an earlier version: items that languages of {joined(joined_tasks)} share count as several."
        facts.append(Fact("Intervals", "too narrow", note, is_warning=True))
    return facts


def _environment(results: Results) -> list[Fact]:
    known = environments(results.store, entries_in(results))
    if len(known) < 2:
        return []
    note = "Entries were computed with different versions, devices or numbers of threads; see the provenance."
    return [Fact("Environments", str(len(known)), note, is_warning=True)]
