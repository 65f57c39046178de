"""The tables of a retrieval sweep: scores at the reported layer, and means at every layer."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts import tasks
from adaptstilts.io.wording import counted
from adaptstilts.reports.formats import Table
from adaptstilts.reports.formats.markdown import table_text
from adaptstilts.reports.retrieval_sweep import ORACLE, SweepResult
from adaptstilts.reports.tables import layers
from adaptstilts.reports.tables.cells import NOTHING, difference, metric, points, unique

CHOSEN = "best layer, chosen on dev"
HEADER = ("adapter", "task", "layer", "mean", "vs base", "xsim", "languages", CHOSEN, ORACLE, "sentences/s")
MUCH_TRUNCATED = 0.01  # share of sentences


def text(results: Sequence[SweepResult]) -> str:
    """Return all tables as Markdown."""
    return "\n\n".join(map(table_text, tables(results))) + "\n"


def tables(results: Sequence[SweepResult]) -> list[Table]:
    """Return the table of scores and, if several layers were scored, that of means by layer."""
    body = tuple(_row(result) for result in results)
    scores = Table("retrieval: means over languages", HEADER, body, _notes(results))
    swept = [((result.adapter, result.task), result.means(), result.layer) for result in results if result.layers]
    if not swept:
        return [scores]
    return [scores, layers.table("means over languages by hidden state", ("adapter", "task"), swept)]


def _row(result: SweepResult) -> tuple[str, ...]:
    record, rate = result.record, result.cost.get("sentences_per_second")
    return (
        result.adapter,
        result.task,
        str(result.layer),
        points(record.mean),
        difference(record.vs_none),
        points(record.metrics.get("xsim")),
        str(len(result.languages)),
        _mean_at(result, result.best_on_dev()),
        _mean_at(result, result.best_on_test()),
        f"{rate:,.0f}" if rate else NOTHING,
    )


def _mean_at(result: SweepResult, layer: int | None) -> str:
    return NOTHING if layer is None else f"{result.means()[layer]:.1f} at {layer}"


def _notes(results: Sequence[SweepResult]) -> tuple[str, ...]:
    notes = []
    for name in unique(result.task for result in results):
        first = next(result for result in results if result.task == name)
        notes += [f"{name}: {note}" for note in _task_notes(first)]
    if any("xsim" in result.record.metrics for result in results):
        notes.append("xsim is an error rate: lower is better")
    if any(result.cost.get("sentences_per_second") for result in results):
        notes.append("sentences/s: measured when the sentences were encoded, once for all phases that share them")
    return tuple(notes)


def _task_notes(result: SweepResult) -> list[str]:
    task, record = tasks.get(result.task), result.record
    notes = [" and ".join(map(metric, task.headline))]
    if result.unsupported:
        notes.append(f"the task does not have {', '.join(result.unsupported)}; not in the mean")
    if record.missing:
        notes.append(f"not in the data, not in the mean: {', '.join(record.missing)}")
    if record.truncated > MUCH_TRUNCATED:
        notes.append(f"{100 * record.truncated:.1f} % of the sentences were cut to the maximum length")
    if record.unknown_sentences:
        notes.append(f"the model knows no word of {counted(record.unknown_sentences, 'sentence')}")
    if task.train_from:
        notes.append(f"its benchmark uses an encoder trained on {' and '.join(task.train_from)}")
    return notes
