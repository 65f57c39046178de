"""Retrieval tasks with a base model and any adapters, one after the other, at any layers; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.methods.full import Full
from adaptstilts.models.locate import check_same
from adaptstilts.plan.expand import Plan, encodings
from adaptstilts.plan.phases import RetrievePhase, WeightsPhase, phase_of
from adaptstilts.reports.formats import Table
from adaptstilts.reports.formats.markdown import table_text
from adaptstilts.reports.records import Record, records
from adaptstilts.reports.tables import layers as layer_tables
from adaptstilts.run import Listener, run_plan
from adaptstilts.store import entries
from adaptstilts.store.select import composition, select
from adaptstilts.store.store import Store
from adaptstilts.study import Arm, Part, Retrieve, Study
from adaptstilts.workspace import Workspace

BASE = "base model"
ORACLE = "best layer, chosen on test: oracle"
CHOSEN = "best layer, chosen on dev"
DEV = "dev_f1"  # a layer's score on dev, for tasks that have one
Values = Mapping[str, Mapping[str, float]]  # language -> metric -> value


@dataclass(frozen=True)
class Row:
    """One adapter on one task.

    Attributes:
        adapter: what it is called; :data:`BASE` for none.
        method: of the adapter; None for none.
        layer: the one that ``record`` is of: the one asked for, or two thirds of the depth.
        record: its scores, and the difference to the base model.
        languages: language -> metric -> value, at that layer.
        layers: the same at every layer that was asked for.
        cost: seconds of encoding, sentences a second; none where the vectors were there already.
        seconds: of the whole phase.
    """

    adapter: str
    method: str | None
    layer: int
    record: Record
    languages: Values
    layers: Mapping[int, Values]
    cost: Mapping[str, Any]
    seconds: float

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.record.task

    def means(self) -> dict[int, float]:
        """Mean score over languages at every layer."""
        names = tasks.get(self.task).headline
        return {layer: _mean(values, names) for layer, values in self.layers.items()}

    def best_on_dev(self) -> int | None:
        """The layer with the best mean score on dev; None for a task without."""
        found = {layer: _mean(values, (DEV,)) for layer, values in self.layers.items() if _has(values, DEV)}
        return max(found, key=lambda layer: found[layer]) if found else None

    def best_on_test(self) -> int | None:
        """The layer with the best mean score on the test rows themselves: an oracle, no result."""
        found = self.means()
        return max(found, key=lambda layer: found[layer]) if found else None

    def json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        means, dev, test = self.means(), self.best_on_dev(), self.best_on_test()
        against = self.record.vs_none
        return {
            "adapter": self.adapter,
            "method": self.method,
            "task": self.task,
            "phase": self.record.phases[0],
            "layer": self.layer,
            "mean": self.record.mean,
            "metrics": self.record.metrics,
            "vs_base": vars(against) if against else None,
            "rows_per_language": self.record.n,
            "truncated": self.record.truncated,
            "missing": list(self.record.missing),
            "languages": {code: dict(values) for code, values in self.languages.items()},
            "layers": {str(layer): {"mean": means[layer], "languages": self.layers[layer]} for layer in self.layers},
            "best layer on dev": None if dev is None else {"layer": dev, "mean": means[dev]},
            ORACLE: None if test is None else {"layer": test, "mean": means[test]},
            "seconds": self.seconds,
            **self.cost,
        }


def retrieve(
    model: str,
    names: Sequence[str],
    workspace: Workspace,
    adapters: Sequence[str] = (),
    settings: Retrieve | None = None,
    languages: str = "all",
    max_length: int | None = None,
    listener: Listener | None = None,
    device: str | None = None,
) -> list[Row]:
    """Score retrieval tasks with a base model, and with each of some adapters; nothing is trained.

    Args:
        model: built-in name, folder or hub id.
        names: retrieval tasks.
        workspace: store and data.
        adapters: see :func:`expand`.
        settings: how sentences are encoded and searched; None for the defaults.
        languages: see :func:`study`.
        max_length: maximum tokens of a sentence; None for the settings' or, if smaller, what the model has.
        listener: receives the progress of the phases.
        device: torch device; None for the GPU if there is one.

    Returns:
        One row for each task and adapter, the base model first.

    Raises:
        ConfigError, DataError, ArtifactError: see :func:`study` and :func:`expand`.
    """
    plan = prepare(model, names, workspace, adapters, settings or Retrieve(), languages, max_length)
    run_plan(plan, workspace, listener, device=device)
    return rows(plan, workspace.store)


def prepare(
    model: str,
    names: Sequence[str],
    workspace: Workspace,
    adapters: Sequence[str],
    settings: Retrieve,
    languages: str,
    max_length: int | None,
) -> Plan:
    """Return the plan that :func:`retrieve` runs; it has the same arguments."""
    asked = study(model, names, settings, languages)
    length = max_length or min(settings.max_length, workspace.model(asked).shape["positions"] - 2)
    clipped = settings.model_copy(update={"max_length": length})
    return expand(asked.model_copy(update={"retrieve": clipped}), workspace, adapters)


def study(model: str, names: Sequence[str], settings: Retrieve, languages: str = "all") -> Study:
    """A study of retrieval tasks alone.

    Args:
        model: built-in name, folder or hub id.
        names: of the tasks.
        settings: how sentences are encoded, and which layers are scored.
        languages: ``all`` that a task has, ``xtreme`` for XTREME's of Tatoeba, ``xtreme-r`` for XTREME-R's, or codes
            with commas between them.

    Raises:
        ConfigError: an unknown task, one that is not of retrieval, or a task twice.
    """
    known = ", ".join(sorted(task.name for task in tasks.known().values() if task.retrieval))
    if not names:
        raise ConfigError(f"--task: expected a retrieval task; those are {known}")
    for name in names:
        if not tasks.get(name).retrieval:
            raise ConfigError(f"--task {name}: not a retrieval task; those are {known}")
    return Study(
        name="retrieve",
        model=model,
        targets=tuple(Part(task=name) for name in names),
        methods=(Arm(method=Full(kind="full")),),
        languages=_codes(languages, names),
        missing="skip" if languages in ("all", "xtreme", "xtreme-r") else "error",
        retrieve=settings,
    )


def expand(asked: Study, workspace: Workspace, adapters: Sequence[str] = ()) -> Plan:
    """The plan: every task with the base model, then with each adapter.

    Args:
        asked: see :func:`study`.
        workspace: store and data.
        adapters: folders of entries from any store, or beginnings of keys of entries in this one. Such an entry is
            what a training phase left: an adapter with those that it stands on, or a fine-tuned encoder.

    Raises:
        ConfigError: no such adapter or layer, or the same adapter twice.
        DataError: data that is missing or unreadable.
        ArtifactError: an entry is damaged, no adapter, or belongs to another base model.
    """
    plan = encodings(asked, workspace)
    bare = list(plan.cells)
    for name in adapters:
        entry = select(name, workspace.store)
        base, stack = composition(entry)
        adapter = phase_of(entry, WeightsPhase)
        check_same(plan.model.fingerprint.identity(), adapter.model.identity(), f"adapter {entry.key[:12]}")
        called = f"{adapter.task}@{entry.key[:8]}"
        if any(cell.over == called for cell in plan.cells):
            raise ConfigError(f"--adapter {name}: {called} is given twice")
        for cell in bare:
            phase = plan.phases[cell.phase]
            assert isinstance(phase, RetrievePhase)  # noqa: S101
            title = f"retrieve {cell.task}, {called}"
            own = replace(phase, method=adapter.method, base=base, stack=stack, title=title)
            plan.cells.append(replace(cell, trained_on=called, over=called, phase=plan.add(own)))
    return plan


def rows(plan: Plan, store: Store) -> list[Row]:
    """What a plan that was executed gave, in its order."""
    found = []
    for record in records(plan, store):
        (key,) = record.phases
        entry = store.peek(key)
        scores = entries.SCORES.read(entry)
        layers = entries.LAYERS.read(entry) if entries.LAYERS.exists(entry) else {}
        method = phase_of(entry, RetrievePhase).method
        found.append(
            Row(
                BASE if record.over == "none" else record.over,
                method.label if method else None,
                next(iter(scores.values()))["layer"],
                record,
                {code: score["values"] for code, score in scores.items()},
                {int(layer): values for layer, values in layers.items()},
                {**entries.ENCODING_COST.read(entry)} if entries.ENCODING_COST.exists(entry) else {},
                float(entry.manifest.get("seconds", 0.0)),
            )
        )
    return found


def render(found: Sequence[Row]) -> str:
    """Both tables as Markdown: scores at the reported layer, and means at every layer."""
    return "\n\n".join(map(table_text, [_scores(found), *_layers(found)])) + "\n"


def _codes(languages: str, names: Sequence[str]) -> tuple[str, ...] | None:
    if languages == "all":
        return None
    whole = {"xtreme": "tatoeba", "xtreme-r": "tatoeba_r"}
    if languages not in whole:
        codes = tuple(code.strip() for code in languages.split(",") if code.strip())
        if not codes:
            raise ConfigError("--languages: expected all, xtreme, xtreme-r, or codes with commas between them")
        return codes
    known = {code for name in names for code in tasks.get(name).languages}
    return tuple(code for code in tasks.get(whole[languages]).languages if code in known)


def _scores(found: Sequence[Row]) -> Table:
    header = (
        "adapter",
        "task",
        "layer",
        "mean",
        "vs base",
        "xsim",
        "languages",
        CHOSEN,
        ORACLE,
        "sentences/s",
    )
    body = []
    for row in found:
        means, dev, test = row.means(), row.best_on_dev(), row.best_on_test()
        rate = row.cost.get("sentences_per_second")
        against = row.record.vs_none
        body.append(
            (
                row.adapter,
                row.task,
                str(row.layer),
                f"{row.record.mean:.1f}",
                f"{against.value:+.1f} [{against.low:+.1f}, {against.high:+.1f}]" if against else "-",
                f"{row.record.metrics['xsim']:.1f}" if "xsim" in row.record.metrics else "-",
                str(len(row.languages)),
                "-" if dev is None else f"{means[dev]:.1f} at {dev}",
                "-" if test is None else f"{means[test]:.1f} at {test}",
                f"{rate:,.0f}" if rate else "-",
            )
        )
    return Table("retrieval: means over languages", header, tuple(body), _notes(found))


def _notes(found: Sequence[Row]) -> tuple[str, ...]:
    told = []
    for name in dict.fromkeys(row.task for row in found):
        task = tasks.get(name)
        record = next(row.record for row in found if row.task == name)
        told.append(f"{name}: {' and '.join(task.headline).replace('_', ' ')}")
        if record.missing:
            told.append(f"{name}: not in the data, not in the mean: {' '.join(record.missing)}")
        if record.truncated > 0.01:
            told.append(f"{name}: {100 * record.truncated:.1f} % of the sentences were cut to the maximum length")
        if task.train_from:
            told.append(f"{name}: its benchmark encodes with a model trained on {' and '.join(task.train_from)}")
    if any("xsim" in row.record.metrics for row in found):
        told.append("xsim is an error rate: lower is better")
    if any(row.cost.get("sentences_per_second") for row in found):
        told.append("sentences/s: as they were encoded, once for all phases that share them")
    return tuple(told)


def _layers(found: Sequence[Row]) -> list[Table]:
    """Means at every layer."""
    swept = [((row.adapter, row.task), row.means(), row.layer) for row in found if row.layers]
    return [layer_tables.table("means over languages by hidden state", ("adapter", "task"), swept)] if swept else []


def _has(values: Values, name: str) -> bool:
    return all(name in held for held in values.values())


def _mean(values: Values, names: Sequence[str]) -> float:
    return float(np.mean([held[name] for held in values.values() for name in names]))
