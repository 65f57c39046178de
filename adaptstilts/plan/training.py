"""The training phases of a study, on one task or several, and merges of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adaptstilts import tasks
from adaptstilts.data.shots import Shots
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method, fusion
from adaptstilts.methods.base import ascending
from adaptstilts.plan.graph import Plan
from adaptstilts.plan.phases import MergePhase, StreamSpec, TrainPhase, WeightsPhase
from adaptstilts.plan.stacking import Foundation
from adaptstilts.plan.validation import ENGLISH, check_length, stacking_to_blame
from adaptstilts.study import (
    Arm,
    LanguageAdapters,
    Masked,
    Part,
    Place,
    Problems,
    Study,
    StudyError,
    Train,
    masked_text,
    merge_train,
    train_settings,
)
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class Merging:
    """A weighted sum of adapters or encoders that is to be planned.

    Attributes:
        name: what tables call it.
        keys: keys of the phases.
        weights: one for each phase.
        place: where the study has it.
        left_out: layers whose part is dropped.
        target: task of the last phase, if that is a target, whose head is kept.
    """

    name: str
    keys: Sequence[str]
    weights: Sequence[float]
    place: Place
    left_out: Sequence[int] = ()
    target: str | None = None


@dataclass
class _Rows:
    """What a training phase reads: its streams, and the digests of their rows by name."""

    streams: list[StreamSpec] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)


class Trainings:
    """Adds training phases to a plan and returns their keys.

    Args:
        plan: that grows.
        workspace: the data.
        problems: where settings that the model does not allow are noted; other mistakes are raised.
    """

    def __init__(self, plan: Plan, workspace: Workspace, problems: Problems) -> None:
        self.plan, self.study, self.workspace, self.problems = plan, plan.study, workspace, problems

    def train_task(self, part: Part, arm: Arm, foundation: Foundation, seed: int) -> tuple[str, ...]:
        """Add one phase for each training set of a task, each of which trains the one before further.

        Args:
            part: the task in the study.
            arm: the method.
            foundation: what it is trained on.
            seed: seed of the phases.

        Returns:
            The keys of the phases, in the order in which they run.

        Raises:
            StudyError: the method cannot be trained on the foundation.
            DataError: rows are missing.
        """
        task = tasks.get(part.task)
        reason = self.why_not_over(arm, foundation, seed)
        if reason:
            message = f"method {arm.label}: cannot be trained over {foundation.name}: {reason}"
            raise StudyError(stacking_to_blame(arm), message, cause=reason)
        keys: tuple[str, ...] = ()
        for trained, rows_of in training_steps(task):
            over = f" over {foundation.name}" if foundation.name != "none" else ""
            placebo = " with permuted labels" if part.placebo else ""
            phase = TrainPhase(
                task=trained.name,
                rows=rows_of.name,
                data={
                    "train": self._digest(rows_of.train, rows_of, part),
                    "dev": self._digest(trained.dev, trained, part),
                },
                model=self.plan.model.fingerprint,
                method=arm.method,
                base=foundation.base,
                stack=(*self._floor(arm, seed), *foundation.stack),
                init=keys[-1] if keys else None,
                start=None if keys else foundation.start,
                fuse=foundation.fuse,
                settings=self._settings(arm, part, trained.name),
                seed=seed,
                placebo=part.placebo,
                title=f"train {trained.name}{placebo} ({arm.label}){over}, seed {seed}",
            )
            keys += (self._add(phase, arm, part),)
        return keys

    def train_shots(
        self, part: Part, arm: Arm, foundation: Foundation, seed: int, shots: Shots, init: str | None
    ) -> str:
        """Add a phase that trains a target on a few rows of a language.

        Args:
            part: the target, with ``rows``.
            arm: the method.
            foundation: what it is trained on.
            seed: seed of the phase.
            shots: the rows.
            init: key of the phase that is trained further; None to train on these rows alone.
        """
        task, trained = tasks.get(part.task), rows_task(part)
        settings = self._settings(arm, with_rows_settings(part), trained.name)
        over = f" over {foundation.name}" if foundation.name != "none" else ""
        rows = f"{shots.k} rows of {shots.language} (draw {shots.draw}{', after English' if init else ''})"
        phase = TrainPhase(
            task=trained.name,
            rows=task.name,
            data={
                "train": self._digest(task.shot_source(shots.language), task, part),
                "dev": self._digest(trained.dev, trained, part),
            },
            model=self.plan.model.fingerprint,
            method=arm.method,
            base=foundation.base,
            stack=foundation.stack,
            init=init,
            start=None if init else foundation.start,
            fuse=foundation.fuse,
            settings=settings.model_copy(update={"examples": None}),
            seed=seed,
            shots=shots,
            title=f"train {task.name} on {rows} ({arm.label}){over}, seed {seed}",
        )
        return self._add(phase, arm, part)

    def train_streams(self, part: Part, arm: Arm, seed: int) -> str:
        """Add one phase for a mixture of tasks, or for a task together with masked language modelling.

        Args:
            part: the intermediate.
            arm: its method.
            seed: seed of the phase.
        """
        names = part.mixture.tasks if part.mixture else (part.task,)
        rows = _Rows()
        for name in names:
            task = tasks.get(name)
            rows.streams.append(StreamSpec(name, name, self._settings(arm, part, name)))
            rows.data[f"{name}.train"] = self._digest(task.train, task, part)
            rows.data[f"{name}.dev"] = self._digest(task.dev, task, part)
        if part.masked:
            self._add_text(rows, part.masked, self._settings(arm, part, None), part)
        return self._train_rows(part.label, arm, part, rows, self._floor(arm, seed), seed)

    def language_adapters(self, arm: Arm, seed: int) -> dict[str, str]:
        """Add the phases of the language adapters that a method uses.

        Args:
            arm: the method.
            seed: seed of the phases.

        Returns:
            Language -> key; nothing if the method does not use them.

        Raises:
            StudyError: the study has none.
        """
        adapters = self.study.language_adapters
        if not arm.language_adapters:
            return {}
        if adapters is None:
            message = f"method {arm.label}: this study has no language_adapters; add them, with their text"
            raise StudyError(arm.place, message)
        return {code: self._train_language(adapters, code, seed) for code in adapters.text}

    def merge(self, arm: Arm, merging: Merging) -> str:
        """Add a phase for a weighted sum.

        Args:
            arm: the method of the merged adapters.
            merging: what is merged.

        Raises:
            StudyError: such adapters have no weighted sum.
        """
        methods = self.methods_of(merging.keys)
        reason = _why_not_mergeable(arm.method, methods)
        if reason:
            raise StudyError(merging.place, f"method {arm.label}: cannot be merged ({merging.name}): {reason}")
        method = type(arm.method).merged_method(methods)
        if merging.left_out:
            method = _without_layers(method, merging, self.plan.model.shape["layers"])
        phase = MergePhase(
            task=merging.target or merging.name,
            data={},
            model=self.plan.model.fingerprint,
            method=method,
            of=tuple(merging.keys),
            weights=tuple(merging.weights),
            title=f"merge {merging.name} ({arm.label})",
        )
        return self.plan.add(phase)

    def methods_of(self, keys: Iterable[str]) -> list[Method]:
        """Return the methods of phases of the plan."""
        phases = (self.plan.phases[key] for key in keys)
        return [phase.method for phase in phases if isinstance(phase, WeightsPhase)]

    def why_not_over(self, arm: Arm, foundation: Foundation, seed: int) -> str | None:
        """Return why a method cannot be trained on a foundation, or evaluated over it; None if it can.

        Args:
            arm: the method.
            foundation: what is under it.
            seed: seed of the phases.
        """
        methods = [*self.methods_of((*self._floor(arm, seed), *foundation.stack)), arm.method]
        stack = [method for method in methods if method.attaches]
        for height, method in enumerate(stack if len(stack) > 1 else ()):
            reason = method.why_not_stackable()
            if not reason and height > 0:
                reason = method.why_not_above()
            if reason:
                return reason
        start = self.methods_of((foundation.start,)) if foundation.start else []
        if start and start[0] != arm.method:
            return f"it can only continue an adapter with the same settings, and that one is {start[0].label}"
        return fusion.why_not_together(self.methods_of(foundation.fuse))

    def _settings(self, arm: Arm, part: Part, task: str | None) -> Train:
        """Return the settings of a phase; note if its sequences are too long for the model."""
        settings = self._merged_settings(arm, part, task)
        place = _settings_place((part, arm, self.study), "max_length")
        if place is not None:
            check_length(settings.max_length, self.plan.model, place, self.problems)
        elif not any(self.problems.are_in(giver.place.at("train")) for giver in (part, arm, self.study)):
            source = f"the default of {task}" if task else "the default"
            place = part.place if part.place.keys else self.study.place
            check_length(settings.max_length, self.plan.model, place, self.problems, source)
        return settings

    def _merged_settings(self, arm: Arm, part: Part, task: str | None) -> Train:
        """Return the settings of a phase.

        Raises:
            StudyError: they contradict each other, or the defaults that the task declares are not training settings.
        """
        try:
            return train_settings(self.study, arm, part, task)
        except ConfigError as error:
            raise StudyError(part.place if part.place.keys else self.study.place, str(error)) from None

    def _add(self, phase: TrainPhase, arm: Arm, part: Part) -> str:
        if phase.settings.cache and not self._can_cache(phase):
            place = _settings_place((part, arm, self.study), "cache") or arm.place
            self.problems.add(
                place,
                f"method {arm.label}: train.cache stores the output of the layers below the lowest adapter, but"
                f" the lowest layer has an adapter; leave out lower layers (leave_out=[0, 1, ...]; for full fine-tuning"
                f" freeze_embeddings=true and freeze_layers), or give cache=false",
            )
        return self.plan.add(phase)

    def _can_cache(self, phase: TrainPhase) -> bool:
        """Return whether the phase has frozen layers below its lowest adapter."""
        depth = self.plan.model.shape["layers"]
        methods = [phase.method, *self.methods_of((*phase.stack, *phase.fuse))]
        return min(method.lowest(depth) for method in methods) > 0

    def _train_language(self, adapters: LanguageAdapters, code: str, seed: int) -> str:
        """Add the phase of one language adapter."""
        arm = Arm(method=adapters.method, train=adapters.train)
        arm.set_place(adapters.place)
        part = Part(task="language")
        text = Masked(text=adapters.text[code], column=adapters.column, examples=adapters.examples)
        rows = _Rows()
        self._add_text(rows, text, self._settings(arm, part, None), part)
        return self._train_rows(f"language-{code}", arm, part, rows, (), seed)

    def _add_text(self, rows: _Rows, text: Masked, settings: Train, part: Part) -> None:
        """Add masked text to the rows of a phase."""
        task = masked_text.of(text)
        rows.data[f"{task.name}.train"] = self._digest(task.train, task, part)
        settings = settings.model_copy(update={"examples": text.examples})
        rows.streams.append(StreamSpec(task.name, task.name, settings, text.column, text))

    def _train_rows(self, name: str, arm: Arm, part: Part, rows: _Rows, stack: tuple[str, ...], seed: int) -> str:
        phase = TrainPhase(
            task=name,
            rows=name,
            data=rows.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=stack,
            settings=self._merged_settings(arm, part, None),
            seed=seed,
            streams=tuple(rows.streams),
            mixture=part.mixture,
            masked=part.masked.ratio if part.masked else 0.0,
            title=f"train {name} ({arm.label}), seed {seed}",
        )
        return self._add(phase, arm, part)

    def _floor(self, arm: Arm, seed: int) -> tuple[str, ...]:
        """Return the language adapter that task adapters are trained over: the English one, as their rows are."""
        adapters = self.language_adapters(arm, seed)
        return (adapters[ENGLISH],) if adapters else ()

    def _digest(self, source: Source | None, task: Task, part: Part) -> str:
        if source is None:
            raise StudyError(part.place, f"{task.name} has no training or dev rows; it cannot be trained")
        return self.workspace.sources.get(task.fill(source)).identity(task.version)


def rows_task(part: Part) -> Task:
    """Return the task as which a target is trained on rows of test languages: that of its last training phase."""
    return training_steps(tasks.get(part.task))[-1][0]


def with_rows_settings(part: Part) -> Part:
    """Return a target with the training settings of its ``rows``."""
    own = part.rows.train if part.rows else {}
    return part.model_copy(update={"train": merge_train(part.train, own)})


def training_steps(task: Task) -> list[tuple[Task, Task]]:
    """Return the training phases of a task: the task that is trained, and the one whose rows are used."""
    givers = [tasks.get(name) for name in task.train_from or (task.name,)]
    is_shared = bool(task.train_from) and (task.shared_training or task.dev is None)
    return [*((giver, giver) for giver in givers[:-1]), (givers[-1] if is_shared else task, givers[-1])]


def _settings_place(owners: Sequence[Part | Arm | Study], key: str) -> Place | None:
    """Return where a study gives the training setting that applies; None for a default."""
    for owner in owners:
        if key in owner.train:
            return owner.place.at("train", key)
    return None


def _why_not_mergeable(method: Method, methods: Sequence[Method]) -> str | None:
    """Return why the weighted sum of some adapters is not an adapter of this method; None if it is one."""
    for one in (method, *methods):
        reason = one.why_not_mergeable()
        if reason:
            return reason
    for one in methods:
        if one.merge_settings != methods[0].merge_settings:
            return f"{one.label} does not have the form of {methods[0].label}"
    return None


def _without_layers(method: Method, merging: Merging, depth: int) -> Method:
    """Return a method that leaves out more layers."""
    if "leave_out" not in type(method).model_fields:
        raise StudyError(merging.place, f"{merging.name}: leave_out: {method.label} has no layers to leave out")
    left_out = ascending((*getattr(method, "leave_out", ()), *merging.left_out))
    is_inside = all(0 <= layer < depth for layer in merging.left_out)
    if not is_inside or len(left_out) == depth:
        message = f"{merging.name}: leave_out: the model's layers are 0 to {depth - 1}, and one must be left"
        raise StudyError(merging.place, message)
    return method.model_copy(update={"leave_out": left_out})
