"""Attempts to prove the answer wrong."""

from __future__ import annotations

from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.model import Section
from adaptstilts.reports.page.parts.chance import chance_level, not_above_chance
from adaptstilts.reports.page.parts.results import Results, judge

_FAMILIES = {
    "vs_none": "an intermediate task instead of none",
    "vs_reference": "a method instead of the reference",
    "vs_trained": "a swapped adapter instead of the trained one",
}
_MARGINS = (0.5, 1.0, 2.0)  # times the margin of the study


def section(results: Results) -> Section:
    """Return the checks that results of this kind allow."""
    tables = [table for table in (_margins(results), _seeds(results)) if table is not None]
    return Section(text=_chance(results), tables=tables)


def _chance(results: Results) -> str:
    """Say which results are above chance in English, where a task has labels."""
    checked = [task for task in results.tasks if chance_level(task) is not None]
    if not checked or not results.done:
        return ""
    failed = not_above_chance(results)
    if failed:
        return f"Not above chance in English: {'; '.join(failed)}. What was not learned cannot be transferred."
    return f"English is above chance in all results of {', '.join(checked)}."


def _margins(results: Results) -> Table | None:
    """Count the verdicts at smaller and larger margins."""
    rows = []
    for field, name in _FAMILIES.items():
        shown = [getattr(record, field) for record in results.records]
        differences = [difference for difference in shown if difference is not None]
        for factor in _MARGINS if differences else ():
            margin = factor * results.margin
            verdicts = [judge(difference, margin) for difference in differences]
            counts = [str(verdicts.count(verdict)) for verdict in ("effect", "no effect", "not resolved")]
            rows.append((name, f"{margin:g}", *counts))
    if not rows:
        return None
    header = ("comparison", "margin", "effect", "no effect", "not resolved")
    note = "an answer that depends on the margin is not firm"
    return Table("verdicts by the size of differences that do not matter", header, tuple(rows), (note,))


def _seeds(results: Results) -> Table | None:
    """Say in how many seeds a difference has the sign of its mean."""
    rows = []
    for record in results.done:
        if record.vs_none is None or record.vs_none.seeds < 2:
            continue
        other = results.find(record.task, record.method, "none")
        differences = results.seed_differences(record, other)
        same = sum(difference * record.vs_none.value > 0 for difference in differences)
        span = f"{min(differences):+.1f} to {max(differences):+.1f}"
        rows.append((record.task, record.trained_on, record.method, f"{same} of {len(differences)}", span))
    if not rows:
        return None
    header = ("target", "intermediate", "method", "seeds with the sign of the mean", "smallest to largest")
    return Table("differences to no intermediate task, seed by seed", header, tuple(rows))
