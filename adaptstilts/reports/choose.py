"""Rank a study's intermediates for a target by cheap predictors, before the target is trained on any of them.

Each candidate costs one pass over a few hundred rows and the training of a head on frozen features. The intermediates'
own phases are needed too; they are shared with the study. If the study's targets are trained, their scores judge the
rankings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

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
from adaptstilts.reports.records import Record, model_name, records
from adaptstilts.run import Listener, run_plan
from adaptstilts.store import entries
from adaptstilts.store.store import Store
from adaptstilts.study import Arm, Part, PredictTransfer, Problems, Study
from adaptstilts.workspace import Workspace

PREDICTORS = ("probe", "logme", "embedding", "size")
PROBE_EPOCHS = 5


@dataclass(frozen=True)
class Candidate:
    """One intermediate of one method, with the phases that predict how much it helps.

    Attributes:
        name: label of the intermediate.
        method: label of the method.
        seed: seed of the phases.
        probe: key of the phase that trains a head on frozen features.
        transfer: key of the phase that computes the other predictors.
        size: training rows of the intermediate; None if they are not known.
    """

    name: str
    method: str
    seed: int
    probe: str
    transfer: str
    size: int | None


@dataclass(frozen=True)
class Ranking:
    """How one predictor ranks the intermediates of one method, averaged over seeds.

    Attributes:
        method: label of the method.
        predictor: ``probe``: English dev score of a head on frozen features, trained on a few rows; ``logme``: evidence
            of these rows; ``embedding``: similarity of the tasks' texts; ``size``: training rows of the intermediate.
        values: intermediate -> value of the predictor, the most promising first.
        truth: intermediate -> score of the target trained on it, mean over languages, in the same order; only those
            that the study has computed.
        regret: k -> what trying only the first k of ``truth`` loses, in per cent of the best score.
        correlation: Spearman's, of ``values`` and ``truth``; None if it is not defined.
        model: the base model, as the study names it.
    """

    method: str
    predictor: str
    values: Mapping[str, float]
    truth: Mapping[str, float] = field(default_factory=dict)
    regret: Mapping[int, float] = field(default_factory=dict)
    correlation: float | None = None
    model: str = ""


class ChoicePlan(Plan):
    """The phases of all predictors, and the candidates that they judge.

    Args:
        full: the plan of the whole study.
        target: the target task.
    """

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
    plan = prepare(study, workspace, target, method, rows)
    run_plan(plan, workspace, listener)
    return rankings(plan, workspace.store)


def prepare(study: Study, workspace: Workspace, target: str, method: str | None = None, rows: int = 512) -> ChoicePlan:
    """Return the plan that judges every intermediate of a study for one of its targets; arguments as of `choose`.

    Raises:
        ConfigError: the target or method is not in the study, or there is only one intermediate.
    """
    part = _target(study, target)
    arms = _arms(study, method)
    if len(study.intermediates) < 2:
        raise ConfigError("there is nothing to choose from: the study has only one intermediate")
    plan = ChoicePlan(expand(study, workspace), target)
    builder = _CandidateBuilder(plan, workspace, part, rows)
    for arm in arms:
        for seed in study.seeds:
            for name, foundation in intermediates(plan, workspace, arm, seed).items():
                plan.candidates.append(builder.candidate(arm, name, foundation, seed))
    builder.trainings.problems.raise_all()
    return plan


def rankings(plan: ChoicePlan, store: Store) -> list[Ranking]:
    """Return how every predictor ranks the candidates of a finished plan, and how well.

    Args:
        plan: a plan from :func:`prepare`, all of whose phases are done.
        store: where they are.
    """
    done = [record for record in records(plan.full, store) if record.task == plan.target and record.complete]
    results = []
    for method in dict.fromkeys(candidate.method for candidate in plan.candidates):
        candidates = [candidate for candidate in plan.candidates if candidate.method == method]
        truth = _scores(done, method)
        for predictor in PREDICTORS:
            values = _values(candidates, predictor, store)
            if values:
                ranking = _ranking(method, predictor, values, truth)
                results.append(replace(ranking, model=model_name(plan.study)))
    return results


def _target(study: Study, name: str) -> Part:
    trained = {part.task: part for part in study.targets if not tasks.get(part.task).retrieval}
    if name not in trained:
        raise ConfigError(f"--target {name!r}: no trained target of this study ({', '.join(trained)})")
    return trained[name]


def _arms(study: Study, method: str | None) -> list[Arm]:
    """Return the methods whose intermediates are trained with the same method."""
    chosen = [arm for arm in study.methods if method in (None, arm.method.kind, arm.label)]
    arms = [arm for arm in chosen if arm.method.below is arm.method and not arm.language_adapters]
    if not arms:
        raise ConfigError("no method of this study fits; see --method")
    return arms


class _CandidateBuilder:
    """Adds the phases that judge candidates to a plan.

    Args:
        plan: where the phases go.
        workspace: store and data.
        part: the target as the study has it.
        rows: training rows of each task that the predictors read.
    """

    def __init__(self, plan: ChoicePlan, workspace: Workspace, part: Part, rows: int) -> None:
        self.plan, self.workspace, self.part = plan, workspace, part
        self.settings = PredictTransfer(rows=rows)
        self.trainings = Trainings(plan, workspace, Problems())
        self.intermediates = {intermediate.label: intermediate for intermediate in plan.study.intermediates}

    def candidate(self, arm: Arm, name: str, foundation: Foundation, seed: int) -> Candidate:
        """Add the phases of one intermediate.

        Args:
            arm: the method.
            name: label of the intermediate.
            foundation: the intermediate's entries.
            seed: seed of the phases.
        """
        trained_on = self._tasks(name)
        rows = sum(sources.row_count(self._train_split(task)) for task in trained_on)
        return Candidate(
            name=name,
            method=arm.label,
            seed=seed,
            probe=self._probe(arm, foundation, seed),
            transfer=self._transfer(arm, name, foundation, trained_on),
            size=rows or None,
        )

    def _probe(self, arm: Arm, foundation: Foundation, seed: int) -> str:
        few_rows = {"examples": self.settings.rows, "epochs": PROBE_EPOCHS, "max_steps": None}
        head = Arm(method=Head(over=arm.method), train=few_rows)
        part = self.part.model_copy(update={"train": {**self.part.train, **few_rows}})
        return self.trainings.train_task(part, head, foundation, seed)[-1]

    def _transfer(self, arm: Arm, name: str, foundation: Foundation, trained_on: tuple[str, ...]) -> str:
        task = tasks.get(self.part.task)
        rows = task.train_from[-1] if task.train_from else task.name
        phase = PredictTransferPhase(
            task=task.name,
            rows=rows,
            data={read: self._train_split(read).identity(tasks.get(read).version) for read in (rows, *trained_on)},
            model=self.plan.model.fingerprint,
            method=arm.method if foundation.base or foundation.stack else None,
            base=foundation.base,
            stack=foundation.stack,
            sources=trained_on,
            settings=self.settings,
            title=f"foresee {task.name} over {name} ({arm.label})",
        )
        return self.plan.add(phase)

    def _train_split(self, name: str) -> sources.Split:
        task = tasks.get(name)
        assert task.train is not None  # noqa: S101
        return self.workspace.sources.get(task.fill(task.train))

    def _tasks(self, name: str) -> tuple[str, ...]:
        """Return the tasks that an intermediate was trained on; empty if they are not known."""
        part = self.intermediates[name]
        if part.merge:
            merged = map(self._tasks, part.merge.of)
            return tuple(dict.fromkeys(chain.from_iterable(merged)))
        if part.task == "none" or part.adapter:
            return ()
        several = part.mixture or part.chain
        return several.tasks if several else (part.task,)


def _scores(done: Sequence[Record], method: str) -> dict[str, float]:
    """Return the target's score on every intermediate that it was trained on in the usual way."""
    scores = {}
    for record in done:
        usual = record.over == record.trained_on and record.composition in ("stack", "none")
        if record.method == method and usual and record.mean is not None:
            scores[record.trained_on] = record.mean
    return scores


def _values(candidates: Sequence[Candidate], predictor: str, store: Store) -> dict[str, float]:
    """Return the mean over seeds of a predictor for each intermediate that it applies to."""
    by_name: dict[str, list[float]] = {}
    for candidate in candidates:
        value = _value(candidate, predictor, store)
        if value is not None:
            by_name.setdefault(candidate.name, []).append(value)
    return {name: sum(values) / len(values) for name, values in by_name.items()}


def _value(candidate: Candidate, predictor: str, store: Store) -> float | None:
    """Return the value of a predictor for a candidate; None if it does not apply."""
    if predictor == "size":
        return candidate.size
    if predictor == "probe":
        entry = store.peek(candidate.probe)
        dev = entries.TRAIN_RESULT.read(entry)["dev"]
        names = tasks.get(phase_of(entry, TrainPhase).task).headline
        return float(sum(dev[name] for name in names) / len(names))
    value = entries.PREDICTORS.read(store.peek(candidate.transfer))[predictor]
    return None if value is None else float(value)


def _ranking(method: str, predictor: str, values: Mapping[str, float], truth: Mapping[str, float]) -> Ranking:
    """Sort the values of a predictor and judge their order by the scores that are known.

    Args:
        method: label of the method.
        predictor: name of the predictor.
        values: intermediate -> value.
        truth: intermediate -> score.
    """
    order = sorted(values, key=lambda name: -values[name])
    ranked = {name: values[name] for name in order}
    known = {name: truth[name] for name in order if name in truth}
    if len(known) < 2:
        return Ranking(method, predictor, ranked)
    names = list(known)
    regrets = {k: regret(known, names, k) for k in range(1, len(known))}
    correlation = rank_correlation([values[name] for name in names], [known[name] for name in names])
    return Ranking(method, predictor, ranked, known, regrets, correlation)
