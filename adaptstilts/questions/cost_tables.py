"""The tables and figures of cost: accuracy beside bills, ratios, what is shared, and the control of running."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts.metrics.intervals import LEVEL
from adaptstilts.questions.base import ENGLISH, NONE, Arm, Outcome
from adaptstilts.questions.bills import Bill, Ratio, running_ratio, training_ratio
from adaptstilts.questions.wording import arm_name
from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.page.charts.trends import TrendPoint, Trends
from adaptstilts.reports.page.model import Figure

_UNKNOWN = "-"
_SAME_GRAPH = 1e-6  # relative difference of operations


@dataclass(frozen=True)
class ArmResult:
    """One arm: how good it is and what it costs.

    Attributes:
        arm: how targets were trained.
        outcomes: outside English, one for each seed, task and language.
        score: mean over seeds, languages and tasks.
        bill: what it costs; None if that is not known.
        drawn: the outcomes with every draw of rows by itself.
        p: p-value of being further below another arm than the limit, corrected for the number of arms.
    """

    arm: Arm
    outcomes: Sequence[Outcome]
    score: float
    bill: Bill | None
    drawn: Sequence[Outcome]
    p: float

    @property
    def is_near(self) -> bool:
        """Whether it is surely as good as the best, within the limit."""
        return self.p <= 1 - LEVEL

    @property
    def name(self) -> str:
        """What tables call it."""
        return arm_name(self.arm, ENGLISH if self.arm.k is None else "each language")


def tables(results: Sequence[ArmResult], limit: float, is_scored: bool) -> list[Table]:
    """Return every table.

    Args:
        results: of all arms.
        limit: points within which accuracy is similar.
        is_scored: whether accuracy may be compared, which it may not at the level of chance.
    """
    if not results:
        return []
    shown = [_bills(results, limit, is_scored), _even(results), _control(results)]
    return [table for table in shown if table is not None]


def control(direct: ArmResult, after: ArmResult) -> Ratio | None:
    """Return how many times as long a row takes after an intermediate task; None unless the operations are the same.

    Args:
        direct: without the task.
        after: with it.
    """
    if direct.bill is None or after.bill is None or not _is_same_graph(direct.bill, after.bill):
        return None
    return running_ratio(after.bill, direct.bill)


def figures(results: Sequence[ArmResult], limit: float) -> list[Figure]:
    """Return accuracy against the cost of training, with the line of the limit; none without costs.

    Args:
        results: of all arms.
        limit: points within which accuracy is similar.
    """
    known = [result for result in results if result.bill is not None and result.bill.total > 0]
    if len(known) < 2:
        return []
    panel = "all tasks"
    points, series = [], [f"{result.name}, {result.arm.method}" for result in known]
    for name, result in zip(series, known, strict=True):
        total = result.bill.total if result.bill else 0.0
        points.append(
            TrendPoint(panel, name, total, result.score, name=f"{name}: {result.score:.1f}, {total:.0f} CPU s")
        )
    best = max(known, key=lambda result: result.score)
    level = (panel, f"{best.name}, {best.arm.method}", best.score - limit)
    chart = Trends(points, "CPU seconds of training", "score outside English", series, levels=[level])
    text = f"Every mark is one way of training; dashed: {limit:g} points below the best."
    return [Figure("accuracy-by-cost", "Accuracy against the cost of training", text, chart)]


def _bills(results: Sequence[ArmResult], limit: float, is_scored: bool) -> Table:
    reference = next((one for one in results if one.arm.k is None and one.arm.intermediate == NONE), results[0])
    rows = []
    for result in results:
        score = f"{result.score:.1f}" if is_scored else _UNKNOWN
        near = (Bold("yes") if result.is_near else "not sure") if is_scored else _UNKNOWN
        rows.append((result.name, result.arm.method, score, near, *_costs(result, reference)))
    header = ("arm", "method", "score", "near", "own", "shared", "amortised", "rows", "times direct", "ms a row")
    notes: tuple[str, ...] = (
        f"Near: surely not more than {limit:g} points below any other arm, corrected by Holm for the number of arms.",
        "CPU seconds of training: own, of intermediate tasks in full, and divided among all results that use them.",
        "Rows: of test languages, which people label. Times direct: training in full, median and range over seeds.",
        "Ms a row: CPU milliseconds of running one row, median over rounds.",
    )
    if not is_scored:
        notes = (
            "At the level of chance accuracy is not compared: costs are real, and similar accuracy says nothing.",
            *notes,
        )
    return Table("what each way of training costs", header, tuple(rows), notes)


def _costs(result: ArmResult, reference: ArmResult) -> tuple[str, ...]:
    if result.bill is None:
        return (_UNKNOWN,) * 6
    ratio = training_ratio(result.drawn, reference.drawn)
    milliseconds = result.bill.milliseconds
    return (
        f"{result.bill.own:.1f}",
        f"{result.bill.shared:.1f}",
        f"{result.bill.amortised:.1f}",
        str(result.bill.rows),
        ratio.text if ratio else _UNKNOWN,
        _UNKNOWN if milliseconds is None else f"{milliseconds:.1f}",
    )


def _even(results: Sequence[ArmResult]) -> Table | None:
    """Return from how many languages on intermediate training is cheaper than rows of each language."""
    rows = []
    for first in (one for one in results if one.arm.k is None and one.arm.intermediate != NONE and one.bill):
        for few in (one for one in results if one.arm.k is not None and one.arm.intermediate == NONE and one.bill):
            if first.arm.method == few.arm.method and first.bill and few.bill and few.bill.a_language > 0:
                count = math.ceil(first.bill.shared / few.bill.a_language)
                rows.append((first.name, few.name, first.arm.method, f"{max(1, count):,}"))
    header = ("arm", "instead of", "method", "languages")
    notes = ("From so many languages on, one intermediate training takes less CPU time than rows of each language.",)
    return Table("where intermediate training breaks even", header, tuple(rows), notes) if rows else None


def _control(results: Sequence[ArmResult]) -> Table | None:
    """Return the negative control: what running takes must not depend on how targets were trained."""
    by_method = {one.arm.method: one for one in results if one.arm.k is None and one.arm.intermediate == NONE}
    rows = []
    for result in results:
        direct = by_method.get(result.arm.method)
        if direct is None or direct is result or not (direct.bill and result.bill and result.bill.rounds):
            continue
        if not _is_same_graph(direct.bill, result.bill):
            rows.append((result.name, result.arm.method, "no", _UNKNOWN, "adapters are added"))
            continue
        ratio = running_ratio(result.bill, direct.bill)
        if ratio is not None:
            rows.append((result.name, result.arm.method, "yes", ratio.text, _passes(ratio)))
    header = ("arm", "method", "same operations", "times direct", "control")
    notes = (
        "Running the same operations takes the same time: if the range of the rounds leaves out 1, times mean little.",
    )
    return (
        Table("control: running with and without intermediate training", header, tuple(rows), notes) if rows else None
    )


def _passes(ratio: Ratio) -> str:
    """Return whether the range of a ratio holds 1; one round has no range."""
    if ratio.pairs < 2:
        return "one round"
    return "passed" if ratio.low <= 1 <= ratio.high else Bold("failed")


def _is_same_graph(ours: Bill, theirs: Bill) -> bool:
    if ours.operations is None or theirs.operations is None:
        return False
    return math.isclose(ours.operations, theirs.operations, rel_tol=_SAME_GRAPH)
