"""The training phases of a study: of one task or several, over whatever they stand on, and sums of what they left."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method, fusion
from adaptstilts.methods.base import ascending
from adaptstilts.plan.graph import Plan
from adaptstilts.plan.phases import MergePhase, StreamSpec, TaskPhase, TrainPhase
from adaptstilts.plan.stacking import Under
from adaptstilts.plan.validation import ENGLISH
from adaptstilts.study import Arm, LanguageAdapters, Masked, Part, Train, masked_text, train_settings
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace


class Trainings:
    """Adds training phases to a plan; every method returns keys."""

    def __init__(self, plan: Plan, workspace: Workspace) -> None:
        self.plan, self.study, self.workspace = plan, plan.study, workspace

    def task(self, part: Part, arm: Arm, under: Under, seed: int) -> tuple[str, ...]:
        """One phase for each training set of a task, each continuing the one before."""
        task = tasks.get(part.task)
        if told := self.refused(arm, under, seed):
            raise ConfigError(f"method {arm.label}: cannot stand on {under.name}: {told}")
        names = task.train_from or (task.name,)
        keys: tuple[str, ...] = ()
        shared = bool(task.train_from) and (task.shared_training or task.dev is None)
        for i, name in enumerate(names):
            giver = tasks.get(name)
            own = giver if i < len(names) - 1 or shared else task
            settings = train_settings(self.study, arm, part, own.name)
            self.check_length(settings.max_length)
            over = f" over {under.name}" if under.name != "none" else ""
            phase = TrainPhase(
                task=own.name,
                rows=giver.name,
                data={"train": self._digest(giver.train, giver), "dev": self._digest(own.dev, own)},
                model=self.plan.model.fingerprint,
                method=arm.method,
                base=under.base,
                stack=(*self._floor(arm, seed), *under.stack),
                init=keys[-1] if keys else None,
                start=None if keys else under.start,
                fuse=under.fuse,
                settings=settings,
                seed=seed,
                title=f"train {own.name} ({arm.label}){over}, seed {seed}",
            )
            _check_cache(phase, self.plan)
            keys += (self.plan.add(phase),)
        return keys

    def several(self, part: Part, arm: Arm, seed: int) -> str:
        """One phase for a mixture of tasks, or for a task with masked language modelling beside it."""
        names = part.mixture.tasks if part.mixture else (part.task,)
        streams = [StreamSpec(name, name, train_settings(self.study, arm, part, name)) for name in names]
        data: dict[str, str] = {}
        for stream in streams:
            task = tasks.get(stream.task)
            for split, source in (("train", task.train), ("dev", task.dev)):
                data[f"{task.name}.{split}"] = self._digest(source, task)
        if part.masked:
            own = train_settings(self.study, arm, part, None)
            streams.append(self._text(part.masked, own, data))
        return self._streamed(part.label, arm, streams, self._floor(arm, seed), part, data, seed)

    def languages(self, arm: Arm, seed: int) -> dict[str, str]:
        """The language adapters that a method's task adapters stand on, by language; none where it asks for none."""
        held = self.study.language_adapters
        if not arm.language_adapters:
            return {}
        if held is None:
            raise ConfigError(f"method {arm.label}: this study has no language_adapters; say on what text (text: ...)")
        return {code: self._language(held, code, seed) for code in held.text}

    def merge(
        self,
        label: str,
        arm: Arm,
        keys: Sequence[str],
        weights: Sequence[float],
        dropped: Sequence[int] = (),
        target: str | None = None,
    ) -> str:
        """A phase for a weighted sum; of a ``target`` task's phase, the last, it keeps the head."""
        held = self.methods(keys)
        told = next(filter(None, (method.why_not_mergeable() for method in (arm.method, *held))), "")
        if other := next((method for method in held if method.merge_settings != held[0].merge_settings), None):
            told = told or f"{other.label} has not the form of {held[0].label}"
        if told:
            raise ConfigError(f"method {arm.label}: cannot be merged ({label}): {told}")
        method = type(arm.method).merged_method(held)
        if dropped:
            method = _without(method, dropped, self.plan.model.shape["layers"], label)
        phase = MergePhase(
            task=target or label,
            data={},
            model=self.plan.model.fingerprint,
            method=method,
            of=tuple(keys),
            weights=tuple(weights),
            title=f"merge {label} ({arm.label})",
        )
        return self.plan.add(phase)

    def methods(self, keys: Sequence[str]) -> list[Method]:
        """The methods of phases."""
        phases = (self.plan.phases[key] for key in keys)
        return [phase.method for phase in phases if isinstance(phase, TaskPhase) and phase.method]

    def refused(self, arm: Arm, under: Under, seed: int) -> str:
        """Why a method's adapter cannot be trained on, or evaluated over, what is under it; empty where it can."""
        stack = [*self.methods((*self._floor(arm, seed), *under.stack)), arm.method]
        acting = [method for method in stack if method.attaches]
        for height, method in enumerate(acting if len(acting) > 1 else ()):
            if told := method.why_not_stackable() or (method.why_not_above() if height else None):
                return told
        start = self.methods((under.start,)) if under.start else []
        if start and start[0] != arm.method:
            return f"it can start as an adapter of its own settings, and that one is {start[0].label}"
        return fusion.why_not_together(self.methods(under.fuse)) or ""

    def check_length(self, tokens: int) -> None:
        """Refuse sequences longer than the model's positions."""
        limit = self.plan.model.max_tokens
        if tokens > limit:
            raise ConfigError(
                f"max_length {tokens} is more than the {limit} positions of the model; give"
                f" train.max_length={limit} (or evaluate.max_length, retrieve.max_length)"
            )

    def _language(self, held: LanguageAdapters, code: str, seed: int) -> str:
        arm = Arm(method=held.method, train=held.train)
        settings = train_settings(self.study, arm, Part(task="language"), None)
        text = Masked(text=held.text[code], column=held.column, examples=held.examples)
        data: dict[str, str] = {}
        stream = self._text(text, settings, data)
        return self._streamed(f"language-{code}", arm, [stream], (), Part(task="language"), data, seed)

    def _text(self, text: Masked, settings: Train, data: dict[str, str]) -> StreamSpec:
        task = masked_text.of(text)
        data[f"{task.name}.train"] = self._digest(task.train, task)
        own = settings.model_copy(update={"examples": text.examples})
        return StreamSpec(task.name, task.name, own, text.column, text)

    def _streamed(
        self,
        label: str,
        arm: Arm,
        streams: Sequence[StreamSpec],
        stack: tuple[str, ...],
        part: Part,
        data: dict[str, str],
        seed: int,
    ) -> str:
        for stream in streams:
            self.check_length(stream.settings.max_length)
        phase = TrainPhase(
            task=label,
            rows=label,
            data=data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=stack,
            settings=train_settings(self.study, arm, part, None),
            seed=seed,
            streams=tuple(streams),
            mixture=part.mixture,
            masked=part.masked.ratio if part.masked else 0.0,
            title=f"train {label} ({arm.label}), seed {seed}",
        )
        _check_cache(phase, self.plan)
        return self.plan.add(phase)

    def _floor(self, arm: Arm, seed: int) -> tuple[str, ...]:
        """The language adapter that task adapters are trained over: that of English, as their rows are."""
        held = self.languages(arm, seed)
        return (held[ENGLISH],) if held else ()

    def _digest(self, source: Source | None, task: Task) -> str:
        if source is None:
            raise ConfigError(f"{task.name} has no training or dev rows; it cannot be trained")
        return self.workspace.sources.get(task.fill(source)).identity(task.version)


def _check_cache(phase: TrainPhase, plan: Plan) -> None:
    """Whether there are layers whose hidden states can be kept, where the settings say so."""
    depth = plan.model.shape["layers"]
    under = [plan.phases.get(key) for key in (*phase.stack, *phase.fuse)]
    held = [phase.method, *(other.method for other in under if isinstance(other, TaskPhase) and other.method)]
    if phase.settings.cache and min(method.lowest(depth) for method in held) == 0:
        raise ConfigError(
            f"method {phase.method.label}: train.cache keeps what the layers below the lowest adapter give, and there"
            f" are none; leave out the lower layers (leave_out=[0, 1, ...]; of full fine-tuning freeze_embeddings=true"
            f" and freeze_layers), or give cache=false"
        )


def _without(method: Method, dropped: Sequence[int], depth: int, label: str) -> Method:
    """A method that leaves out layers as well."""
    if "leave_out" not in type(method).model_fields:
        raise ConfigError(f"{label}: leave_out: {method.label} has no layers to leave out")
    wrong = [layer for layer in dropped if not 0 <= layer < depth]
    left = ascending((*getattr(method, "leave_out", ()), *dropped))
    if wrong or len(left) == depth:
        raise ConfigError(f"{label}: leave_out: the model's layers are 0 to {depth - 1}, and one must be left")
    return method.model_copy(update={"leave_out": left})
