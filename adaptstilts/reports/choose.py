"""Which intermediate will help a target? Ranked by cheap predictors, before the target is trained on any of them.

Each candidate costs one pass over a few hundred rows and the training of a head on frozen features; the intermediates'
own phases are needed and shared with the study. Where the study's targets are trained, the ranking is judged by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adaptstilts import tasks
from adaptstilts.data import sources
from adaptstilts.errors import ConfigError
from adaptstilts.methods.head import Head
from adaptstilts.metrics.transfer import rank_correlation, regret
from adaptstilts.plan.expand import expand, intermediates
from adaptstilts.plan.graph import Plan
from adaptstilts.plan.phases import PredictTransferPhase, TrainPhase, phase_of
from adaptstilts.plan.stacking import Foundation
from adaptstilts.plan.training import Trainings
from adaptstilts.reports.records import Record, records
from adaptstilts.run import Listener, run_plan
from adaptstilts.store import entries
from adaptstilts.store.store import Store
from adaptstilts.study import Arm, Foresee, Part, Problems, Study
from adaptstilts.workspace import Workspace

PREDICTORS = ("probe", "logme", "embedding", "size")
EPOCHS = 5


@dataclass(frozen=True)
class Candidate:
    """One intermediate of one method, with the phases that judge it."""

    name: str
    method: str
    seed: int
    probe: str
    foresee: str
    size: int | None


@dataclass(frozen=True)
class Ranking:
    """What one predictor says of the intermediates of one method, averaged over seeds.

    Attributes:
        predictor: ``probe``: English dev score of a head on frozen features, trained on a few rows; ``logme``;
            ``embedding``: likeness of the tasks' texts; ``size``: training rows of the intermediate.
        values: of every intermediate, the most promising first.
        truth: the target's score on those that the study has computed, mean over languages, in the same order.
        regret: what trying the first k of those alone loses, in per cent of the best score, by k.
        correlation: Spearman's, of values and truth.
    """

    method: str
    predictor: str
    values: Mapping[str, float]
    truth: Mapping[str, float] = field(default_factory=dict)
    regret: Mapping[int, float] = field(default_factory=dict)
    correlation: float | None = None


class Choice(Plan):
    """A plan of predictors, with the candidates that they judge."""

    def __init__(self, full: Plan, target: str) -> None:
        super().__init__(full.study, full.model)
        self.full, self.target = full, target
        self.candidates: list[Candidate] = []


def choose(
    study: Study,
    workspace: Workspace,
    target: str,
    method: str | None = None,
    rows: int = 512,
    listener: Listener | None = None,
) -> list[Ranking]:
    """Rank a study's intermediates for one of its targets; run the phases that this needs.

    Args:
        study: a study with two or more intermediates.
        workspace: store and data.
        target: a trained target task of the study.
        method: only this method, by kind or label.
        rows: training rows of each task that the predictors read.
        listener: receives the progress of the phases.

    Returns:
        One ranking for each method and predictor.

    Raises:
        ConfigError: the target or method is not in the study, or there is only one intermediate.
    """
    plan = choice(study, workspace, target, method, rows)
    run_plan(plan, workspace, listener)
    return rankings(plan, workspace.store)


def choice(study: Study, workspace: Workspace, target: str, method: str | None = None, rows: int = 512) -> Choice:
    """The plan of judging every intermediate of a study for one of its targets.

    Args:
        study: with two or more intermediates.
        workspace: store and data.
        target: a trained target task of the study.
        method: only this method, by kind or label.
        rows: training rows of the target (and of each intermediate task) that predictors look at.

    Raises:
        ConfigError: nothing fits.
    """
    part = next((part for part in study.targets if part.task == target), None)
    if part is None or tasks.get(target).retrieval:
        trained = [part.task for part in study.targets if not tasks.get(part.task).retrieval]
        raise ConfigError(f"--target {target!r}: no trained target of this study ({', '.join(trained)})")
    arms = [arm for arm in study.methods if method in (None, arm.method.kind, arm.label)]
    arms = [arm for arm in arms if arm.method.below is arm.method and not arm.language_adapters]
    if not arms:
        raise ConfigError("no method of this study fits; see --method")
    if len(study.intermediates) < 2:
        raise ConfigError("there is nothing to choose from: the study has one intermediate")
    plan = Choice(expand(study, workspace), target)
    builder = _Judges(plan, workspace, part, Foresee(rows=rows))
    for arm in arms:
        for seed in study.seeds:
            for name, under in intermediates(plan, workspace, arm, seed).items():
                plan.candidates.append(builder.candidate(arm, name, under, seed))
    builder.trainings.problems.raise_all()
    return plan


def rankings(plan: Choice, store: Store) -> list[Ranking]:
    """What the predictors say, and how right they were; read from the store."""
    held = [record for record in records(plan.full, store) if record.task == plan.target and record.complete]
    found = []
    for method in dict.fromkeys(candidate.method for candidate in plan.candidates):
        own = [candidate for candidate in plan.candidates if candidate.method == method]
        truth = _truth(held, method)
        for predictor in PREDICTORS:
            values = _values(own, predictor, store)
            if values:
                found.append(_ranking(method, predictor, values, truth))
    return found


class _Judges:
    """Adds the phases of candidates to a plan."""

    def __init__(self, plan: Choice, workspace: Workspace, part: Part, settings: Foresee) -> None:
        self.plan, self.workspace, self.part, self.settings = plan, workspace, part, settings
        self.trainings = Trainings(plan, workspace, Problems())
        self.parts = {own.label: own for own in plan.study.intermediates}

    def candidate(self, arm: Arm, name: str, under: Foundation, seed: int) -> Candidate:
        """One intermediate with its judges."""
        few = {"examples": self.settings.rows, "epochs": EPOCHS, "max_steps": None}
        probe = Arm(method=Head(over=arm.method), train=few)
        own = self.part.model_copy(update={"train": {**self.part.train, **few}})
        key = self.trainings.train_task(own, probe, under, seed)[-1]
        named = self._tasks(name)
        sizes = [sources.row_count(self._split(task)) for task in named]
        return Candidate(name, arm.label, seed, key, self._foresee(arm, name, under, named), sum(sizes) or None)

    def _foresee(self, arm: Arm, name: str, under: Foundation, named: tuple[str, ...]) -> str:
        task = tasks.get(self.part.task)
        rows = task.train_from[-1] if task.train_from else task.name
        phase = PredictTransferPhase(
            task=task.name,
            rows=rows,
            data={own: self._split(own).identity(tasks.get(own).version) for own in (rows, *named)},
            model=self.plan.model.fingerprint,
            method=arm.method if under.base or under.stack else None,
            base=under.base,
            stack=under.stack,
            sources=named,
            settings=self.settings,
            title=f"foresee {task.name} over {name} ({arm.label})",
        )
        return self.plan.add(phase)

    def _split(self, name: str) -> sources.Split:
        task = tasks.get(name)
        assert task.train is not None  # noqa: S101
        return self.workspace.sources.get(task.fill(task.train))

    def _tasks(self, name: str) -> tuple[str, ...]:
        """The tasks that an intermediate was trained on; none where that is not known."""
        part = self.parts[name]
        if part.merge:
            return tuple(dict.fromkeys(task for own in part.merge.of for task in self._tasks(own)))
        if part.task == "none" or part.adapter:
            return ()
        several = part.mixture or part.chain
        return several.tasks if several else (part.task,)


def _truth(held: Sequence[Record], method: str) -> dict[str, float]:
    own = [r for r in held if r.method == method and r.over == r.trained_on and r.composition in ("stack", "none")]
    return {r.trained_on: r.mean for r in own if r.mean is not None}


def _values(candidates: Sequence[Candidate], predictor: str, store: Store) -> dict[str, float]:
    """Mean over seeds of what a predictor says of each intermediate that it can judge."""
    found: dict[str, list[float]] = {}
    for candidate in candidates:
        value = _value(candidate, predictor, store)
        if value is not None:
            found.setdefault(candidate.name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _value(candidate: Candidate, predictor: str, store: Store) -> float | None:
    if predictor == "size":
        return candidate.size
    if predictor == "probe":
        entry = store.peek(candidate.probe)
        dev = entries.TRAIN_RESULT.read(entry)["dev"]
        names = tasks.get(phase_of(entry, TrainPhase).task).headline
        return float(sum(dev[name] for name in names) / len(names))
    value = entries.PREDICTORS.read(store.peek(candidate.foresee))[predictor]
    return None if value is None else float(value)


def _ranking(method: str, predictor: str, values: Mapping[str, float], truth: Mapping[str, float]) -> Ranking:
    order = sorted(values, key=lambda name: -values[name])
    known = {name: truth[name] for name in order if name in truth}
    ranked = {name: values[name] for name in order}
    if len(known) < 2:
        return Ranking(method, predictor, ranked)
    lost = {k: regret(known, [*known], k) for k in range(1, len(known))}
    likeness = rank_correlation([values[name] for name in known], [*known.values()])
    return Ranking(method, predictor, ranked, known, lost, likeness)
