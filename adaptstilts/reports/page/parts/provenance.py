"""Where numbers come from: study file, entries, versions, licences."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from adaptstilts import tasks
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.plan.phases import TaskPhase, TrainPhase
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.model import Evidence, Provenance
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import unique
from adaptstilts.store.store import Store

KEY_DIGITS = 12
MOST_SWAPS = 100  # that are listed one by one


def provenance(results: Results, text: str, overrides: Sequence[str], store: Path | None = None) -> Provenance:
    """Return everything that a reader needs to reproduce the numbers and to check that nobody changed them.

    Args:
        results: results of the study.
        text: text of the study file.
        overrides: overrides of its keys on the command line.
        store: the folder that commands name; None for the default one.
    """
    command = "adaptstilts verify"
    if store is not None:
        command += f" --store {shlex.quote(str(store))}"
    return Provenance(
        study=text,
        overrides=overrides,
        evidence=_evidence(results, command),
        tables=[_model(results), _versions(results), _licences(results)],
    )


def short(key: str) -> str:
    """Return the beginning of a key, as people and commands use it."""
    return key[:KEY_DIGITS]


def entries_in(results: Results) -> list[str]:
    """Return the keys of the phases of a study that are in the store."""
    return [phase.key for phase in results.plan.order() if results.store.has(phase.key)]


def environments(store: Store, keys: Sequence[str]) -> dict[tuple[tuple[str, str], ...], int]:
    """Return the versions, Python and device that entries were computed with, and the number of entries for each.

    Args:
        store: store with the entries.
        keys: keys of the entries.
    """
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for key in keys:
        env = store.peek(key).manifest.get("env", {})
        versions = {str(name): str(version) for name, version in env.get("versions", {}).items()}
        more = {name: str(env[name]) for name in ("python", "system", "machine", "device", "threads") if name in env}
        environment = tuple({**versions, **more}.items())
        counts[environment] = counts.get(environment, 0) + 1
    return counts


def _evidence(results: Results, command: str) -> list[Evidence]:
    """Return the entries behind all results; those of very many swaps are not listed one by one."""
    in_language = [record for record in results.in_language if record.complete]
    evidence = [_entries(record, command) for record in (*results.done, *in_language)]
    if len(results.swapped) > MOST_SWAPS:
        return [*evidence, Evidence(f"{len(results.swapped):,} results of swaps, with all others", command)]
    return [*evidence, *(_entries(record, command) for record in results.swapped)]


def _entries(record: Record, command: str) -> Evidence:
    return Evidence(name_of(record), command, unique(short(key) for key in record.phases))


def name_of(record: Record) -> str:
    """Return the name of a result: ``xnli, full, on mnli``."""
    swap = "" if record.over == record.trained_on else f", over {record.over}"
    rows = ""
    if record.k is not None:
        rows = f", then {record.k} rows of {record.language}"
        if record.after == "none":
            rows = f", {record.k} rows of {record.language} alone"
    return f"{record.task}, {record.method}, on {record.trained_on}{swap}{rows}"


def _model(results: Results) -> Table:
    model, study = results.plan.model, results.plan.study
    rows = [
        ("name", study.model),
        ("revision", study.revision or "-"),
        *model.fingerprint.identity().items(),
        ("parameters", f"{model.shape['parameters']:,}"),
    ]
    return Table("base model", ("what", "value"), tuple(rows))


def _versions(results: Results) -> Table:
    known = environments(results.store, entries_in(results))
    names = unique(name for environment in known for name, _ in environment)
    rows = []
    for environment, count in known.items():
        values = dict(environment)
        rows.append((f"{count:,}", *(values.get(name, "-") for name in names)))
    return Table("what entries were computed with", ("entries", *names), tuple(rows))


def _licences(results: Results) -> Table:
    rows = []
    for name in _tasks(results):
        try:
            task = tasks.get(name)
        except AdaptstiltsError:  # masked text and language adapters are no tasks
            continue
        rows.append((name, task.kind, task.licence, task.citation or "-"))
    return Table("data sets and their licences", ("task", "kind", "licence", "citation"), tuple(rows))


def _tasks(results: Results) -> list[str]:
    """Return the names of all tasks whose rows the study reads."""
    names = []
    for phase in results.plan.order():
        if isinstance(phase, TaskPhase):
            names.append(phase.task)
        if isinstance(phase, TrainPhase):
            names += [phase.rows, *(stream.rows for stream in phase.streams)]
    return unique(names)
