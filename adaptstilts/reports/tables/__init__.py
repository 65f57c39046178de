"""Tables of a study: scores per target, benchmarks, costs, compositions and swaps; one module a family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

from adaptstilts.metrics import xtreme
from adaptstilts.reports import formats, summary
from adaptstilts.reports.formats import Document, Table
from adaptstilts.reports.records import Record, swapped
from adaptstilts.reports.tables import (
    benchmarks,
    compositions,
    costs,
    flat,
    inference,
    layers,
    scores,
    swaps,
    target_rows,
)
from adaptstilts.reports.tables.cells import unique

__all__ = ["document", "render", "tables"]


def render(records: Sequence[Record], form: str, name: str = "", config: str = "CONFIG") -> str:
    """Return all tables of a study as text.

    Args:
        records: the results of the study.
        form: name of a table format: ``md``, ``csv``, ``latex``, ``json`` or one that was added.
        name: name of the study.
        config: its file, for the command that adds seeds.

    Raises:
        ConfigError: the format is unknown.
    """
    return formats.rendered(formats.get(form), document(records, name, config))


def document(records: Sequence[Record], name: str = "", config: str = "CONFIG") -> Document:
    """Return what a format renders of a study's results, which may be those of several base models.

    Args:
        records: the results of the study.
        name: name of the study.
        config: its file, for the command that adds seeds.
    """
    by_model = [[record for record in records if record.model == model] for model in _models(records)]
    sentences = [_sentence(group, len(by_model) > 1, config) for group in by_model]
    counts = dict.fromkeys(chain.from_iterable(record.rows for record in records))
    data = {
        "study": name,
        "rows": [count.json() for count in counts],
        "records": [record.json() for record in records],
    }
    return Document(
        tables=tables(records),
        summary="\n".join(filter(None, sentences)),
        columns=flat.columns(records),
        rows=flat.rows(records),
        data=data,
    )


def tables(records: Sequence[Record]) -> list[Table]:
    """Return the tables of every target, of benchmarks, of costs, of compositions and of swaps.

    Each is of one base model, which its title names if there are several.
    """
    names = _models(records)
    if len(names) < 2:
        return _of_model(records)
    shown = []
    for name in names:
        for table in _of_model([record for record in records if record.model == name]):
            shown.append(replace(table, title=f"{table.title}, {name}"))
    return shown


def _models(records: Sequence[Record]) -> list[str]:
    return unique(record.model for record in records)


def _sentence(records: Sequence[Record], has_others: bool, config: str) -> str:
    text = summary.sentence([record for record in records if record.k is None], config)
    return f"{records[0].model}: {text}" if text and has_others else text


def _of_model(records: Sequence[Record]) -> list[Table]:
    in_language = [record for record in records if record.k is not None]
    records = [record for record in records if record.k is None]
    plain = [record for record in records if record.over == record.trained_on]
    shown: list[Table] = []
    for task in unique(record.task for record in plain):
        shown += _of_task(task, plain)
        few = [record for record in in_language if record.task == task]
        if few:
            shown.append(target_rows.table(task, few, plain))
    whole = [benchmarks.table(benchmark, plain) for benchmark in xtreme.BENCHMARKS]
    shown += [table for table in whole if table is not None]
    trained = [record for record in plain if record.trainable is not None]
    if trained:
        shown.append(costs.table(trained))
    if any(record.inference for record in trained):
        shown.append(inference.table(trained))
    shown += _by_method([record for record in plain if record.vs_others], compositions.table)
    return shown + _by_method(swapped(records), swaps.table)


def _of_task(task: str, records: Sequence[Record]) -> list[Table]:
    chosen = [record for record in records if record.task == task]
    shown = [scores.table(task, chosen)]
    if any(record.layers for record in chosen):
        rows = [((record.trained_on, record.method), record.layers, record.layer) for record in chosen]
        shown.append(layers.table(f"{task}: means over languages by hidden state", ("intermediate", "method"), rows))
    return shown


def _by_method(records: Sequence[Record], make: Callable[[str, str, Sequence[Record]], Table]) -> list[Table]:
    """Make one table for each task and method."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.task, record.method), []).append(record)
    return [make(task, method, group) for (task, method), group in groups.items()]
