"""Score retrieval tasks with a base model and with adapters on it, at one or more layers; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstilts import languages as known_languages
from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.methods.full import Full
from adaptstilts.models.locate import Model, check_same
from adaptstilts.plan.expand import Plan, encodings
from adaptstilts.plan.phases import RetrievePhase, WeightsPhase, phase_of
from adaptstilts.plan.retrieval_settings import why_not_own
from adaptstilts.reports.records import Record, records
from adaptstilts.run import Listener, run_plan
from adaptstilts.store import entries
from adaptstilts.store.select import encoder_stack, select
from adaptstilts.store.store import Store
from adaptstilts.study import Arm, Part, Retrieve, Study
from adaptstilts.tasks import Task
from adaptstilts.workspace import Workspace

BASE = "base model"
ORACLE = "best layer, chosen on test: oracle"
DEV = "dev_f1"  # a layer's score on dev, for tasks that have one
BENCHMARKS = {"xtreme": "tatoeba", "xtreme-r": "tatoeba_r"}  # -> task that has the benchmark's languages
ADD_DATA = "add the data, or give its folder with --data-root"
OTHER_LANGUAGES = "add the data, or name languages that it has with --languages"
Values = Mapping[str, Mapping[str, float]]  # language -> metric -> value


@dataclass(frozen=True)
class SweepResult:
    """Scores of one adapter, or of the base model alone, on one task.

    Attributes:
        adapter: its name; :data:`BASE` for the model alone.
        method: method of the adapter; None without one.
        layer: the layer of ``record``: the requested one, or two thirds of the depth.
        record: scores, and the difference to the base model.
        unsupported: requested languages that the task does not have.
        languages: language -> metric -> value, at that layer.
        layers: the same at every layer that was requested in addition.
        cost: seconds of encoding, sentences a second; empty if the vectors were in the cache.
        seconds: wall time of the whole phase.
    """

    adapter: str
    method: str | None
    layer: int
    record: Record
    unsupported: tuple[str, ...]
    languages: Values
    layers: Mapping[int, Values]
    cost: Mapping[str, Any]
    seconds: float

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.record.task

    def means(self) -> dict[int, float]:
        """Return the mean score over languages at every layer."""
        metrics = tasks.get(self.task).headline
        return {layer: _mean(values, metrics) for layer, values in self.layers.items()}

    def best_on_dev(self) -> int | None:
        """Return the layer with the best mean score on dev; None for a task without dev."""
        on_dev = {layer: _mean(values, (DEV,)) for layer, values in self.layers.items() if _has(values, DEV)}
        return _best(on_dev)

    def best_on_test(self) -> int | None:
        """Return the layer with the best mean score on the test rows themselves: an oracle, not a result."""
        return _best(self.means())

    def json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        means = self.means()
        versus_base = self.record.vs_none
        return {
            "adapter": self.adapter,
            "method": self.method,
            "task": self.task,
            "phase": self.record.phases[0],
            "layer": self.layer,
            "mean": self.record.mean,
            "metrics": self.record.metrics,
            "vs_base": None if versus_base is None else vars(versus_base),
            "rows_per_language": self.record.n,
            "truncated": self.record.truncated,
            "unknown_sentences": self.record.unknown_sentences,
            "missing": list(self.record.missing),
            "unsupported": list(self.unsupported),
            "languages": {code: dict(values) for code, values in self.languages.items()},
            "layers": {str(layer): {"mean": means[layer], "languages": self.layers[layer]} for layer in self.layers},
            "best layer on dev": _layer_and_mean(self.best_on_dev(), means),
            ORACLE: _layer_and_mean(self.best_on_test(), means),
            "seconds": self.seconds,
            **self.cost,
        }


@dataclass(frozen=True)
class Sweep:
    """Scores of retrieval tasks with a base model and with adapters.

    Attributes:
        model: the base model, as it was named.
        settings: how sentences were encoded and searched.
        results: one for each adapter and task, the base model first.
        computed: phases that were run now.
        reused: phases that were in the store.
    """

    model: str
    settings: Retrieve
    results: list[SweepResult]
    computed: int
    reused: int

    def render(self) -> str:
        """Return the tables as Markdown: scores at the reported layer, and means at every layer."""
        from adaptstilts.reports.tables import sweeps

        return sweeps.text(self.results)

    def json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        results = [result.json() for result in self.results]
        return {"model": self.model, "settings": self.settings.model_dump(mode="json"), "results": results}


def retrieve(
    model: str,
    names: Sequence[str],
    workspace: Workspace,
    *,
    adapters: Sequence[str] = (),
    languages: str = "all",
    settings: Retrieve | None = None,
    listener: Listener | None = None,
    device: str | None = None,
) -> Sweep:
    """Score retrieval tasks with a base model, and with each of some adapters on it; nothing is trained.

    What the store has is not computed again.

    Args:
        model: built-in name, folder or hub id.
        names: retrieval tasks.
        workspace: store and data.
        adapters: folders of entries in any store, or beginnings of keys of entries in this one. Such an entry was
            written by a training phase: an adapter, which is used with those below it, or a fine-tuned encoder.
        languages: ``all`` that a task has, ``xtreme`` for XTREME's of Tatoeba, ``xtreme-r`` for XTREME-R's, or codes
            with commas between them.
        settings: how to encode and search; None for the defaults. A ``max_length`` that is not set is at most what the
            model takes.
        listener: receives the progress of the phases.
        device: torch device; None for the GPU if there is one.

    Raises:
        ConfigError: an unknown task or one that is not of retrieval; no such language, layer or adapter; a length that
            the model does not take.
        DataError: data that is missing or unreadable.
        ArtifactError: an entry is damaged, not an adapter, or belongs to another base model.
    """
    study = _study(model, names, languages, settings or Retrieve())
    study = _fit_to_model(study, workspace.model(study))
    plan = _expand(study, workspace, adapters, OTHER_LANGUAGES if study.missing == "error" else ADD_DATA)
    outcome = run_plan(plan, workspace, listener, device=device)
    results = _results(plan, workspace.store)
    return Sweep(model, study.retrieve, results, len(outcome.done), len(outcome.skipped))


def _study(model: str, names: Sequence[str], languages: str, settings: Retrieve) -> Study:
    """Return a study of retrieval tasks alone.

    Args:
        model: built-in name, folder or hub id.
        names: retrieval tasks.
        languages: see :func:`retrieve`.
        settings: how to encode and search.
    """
    codes = _codes(languages, _check_tasks(names))
    return Study(
        name="retrieve",
        model=model,
        targets=tuple(Part(task=name) for name in names),
        methods=(Arm(method=Full(kind="full")),),
        languages=codes,
        missing="skip" if languages in ("all", *BENCHMARKS) else "error",
        retrieve=settings,
    )


def _check_tasks(names: Sequence[str]) -> list[Task]:
    """Return the tasks.

    Raises:
        ConfigError: there is no task, or one is unknown, not a retrieval task, or given twice.
    """
    known = ", ".join(sorted(task.name for task in tasks.known().values() if task.retrieval))
    if not names:
        raise ConfigError(f"--task: expected a retrieval task; those are {known}")
    for number, name in enumerate(names):
        if not tasks.get(name).retrieval:
            raise ConfigError(f"--task {name}: not a retrieval task; those are {known}")
        if name in names[:number]:
            raise ConfigError(f"--task {name}: given twice")
    return [tasks.get(name) for name in names]


def _codes(languages: str, targets: Sequence[Task]) -> tuple[str, ...] | None:
    """Return the languages that are requested; None for all.

    Args:
        languages: see :func:`retrieve`.
        targets: the tasks.

    Raises:
        ConfigError: an unknown language, or one that no task has.
    """
    if languages == "all":
        return None
    if languages in BENCHMARKS:
        known = set().union(*(task.languages for task in targets))
        return tuple(code for code in tasks.get(BENCHMARKS[languages]).languages if code in known)
    codes = tuple(code.strip() for code in languages.split(",") if code.strip())
    if not codes:
        raise ConfigError("--languages: expected all, xtreme, xtreme-r, or codes with commas between them")
    for code in codes:
        if all(known_languages.resolve(code).code not in _languages_of(task) for task in targets):
            raise ConfigError(f"--languages: no data for {code!r} in {', '.join(task.name for task in targets)}")
    return codes


def _languages_of(task: Task) -> tuple[str, ...]:
    return *task.languages, *task.more_languages


def _fit_to_model(study: Study, model: Model) -> Study:
    """Limit the default maximum length to that of the model.

    Args:
        study: study of retrieval tasks.
        model: its base model.

    Raises:
        ConfigError: the model does not have a layer or a pooling of its own, or the length is too long for it.
    """
    settings, depth = study.retrieve, model.shape["layers"]
    if reason := why_not_own(settings, model):
        raise ConfigError(f"--pooling own: {reason}")
    if settings.layer is not None and settings.layer > depth:
        raise ConfigError(f"--layer {settings.layer}: the model has hidden states 0 to {depth}")
    for layer in settings.further_layers(depth):
        if layer > depth:
            raise ConfigError(f"--layers: no layer {layer}; the model has hidden states 0 to {depth}")
    limit = model.max_tokens
    if "max_length" not in settings.model_fields_set:
        settings = settings.model_copy(update={"max_length": min(settings.max_length, limit)})
    if settings.max_length > limit:
        raise ConfigError(f"--max-length {settings.max_length}: the model takes at most {limit} tokens")
    return study.model_copy(update={"retrieve": settings})


def _expand(study: Study, workspace: Workspace, adapters: Sequence[str], remedy: str) -> Plan:
    """Plan every task with the base model, then with each adapter.

    Args:
        study: see :func:`_study`.
        workspace: store and data.
        adapters: see :func:`retrieve`.
        remedy: what to do about missing data.
    """
    plan = encodings(study, workspace, remedy)
    with_base_model = list(plan.cells)
    for name in adapters:
        entry = select(name, workspace.store)
        base, stack = encoder_stack(entry)
        adapter = phase_of(entry, WeightsPhase)
        check_same(plan.model.fingerprint.identity(), adapter.model.identity(), f"adapter {entry.key[:12]}")
        label = f"{adapter.task}@{entry.key[:8]}"
        if any(cell.over == label for cell in plan.cells):
            raise ConfigError(f"--adapter {name}: {label} is given twice")
        for cell in with_base_model:
            phase = plan.phases[cell.phase]
            assert isinstance(phase, RetrievePhase)  # noqa: S101
            title = f"retrieve {cell.task}, {label}"
            adapted = replace(phase, method=adapter.method, base=base, stack=stack, title=title)
            plan.cells.append(replace(cell, trained_on=label, over=label, phase=plan.add(adapted)))
    return plan


def _results(plan: Plan, store: Store) -> list[SweepResult]:
    """Read the results of a plan that was run, in its order."""
    return [_result(record, plan.study, store) for record in records(plan, store)]


def _result(record: Record, study: Study, store: Store) -> SweepResult:
    (key,) = record.phases
    entry = store.peek(key)
    scores = entries.SCORES.read(entry)
    layers = entries.LAYERS.read(entry) if entries.LAYERS.exists(entry) else {}
    cost = entries.ENCODING_COST.read(entry) if entries.ENCODING_COST.exists(entry) else None
    method = phase_of(entry, RetrievePhase).method
    return SweepResult(
        adapter=BASE if record.over == "none" else record.over,
        method=method.label if method else None,
        layer=next(iter(scores.values()))["layer"],
        record=record,
        unsupported=_unsupported(study, tasks.get(record.task)),
        languages={code: score["values"] for code, score in scores.items()},
        layers={int(layer): values for layer, values in layers.items()},
        cost={**cost} if cost else {},
        seconds=float(entry.manifest.get("seconds", 0.0)),
    )


def _unsupported(study: Study, task: Task) -> tuple[str, ...]:
    """Return the requested languages that a task does not have."""
    codes = study.languages if isinstance(study.languages, tuple) else ()
    requested = [known_languages.resolve(code).code for code in codes]
    return tuple(code for code in requested if code not in _languages_of(task))


def _layer_and_mean(layer: int | None, means: Mapping[int, float]) -> dict[str, Any] | None:
    return None if layer is None else {"layer": layer, "mean": means[layer]}


def _best(means: Mapping[int, float]) -> int | None:
    return max(means, key=lambda layer: means[layer], default=None)


def _has(values: Values, metric: str) -> bool:
    return all(metric in of_language for of_language in values.values())


def _mean(values: Values, metrics: Sequence[str]) -> float:
    scores: list[float] = []
    for of_language in values.values():
        scores += [of_language[metric] for metric in metrics]
    return float(np.mean(scores))
