"""A study expands into a plan: what every target stands on, what is evaluated over what, what is encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adaptstilts import languages, tasks
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.plan import stacking
from adaptstilts.plan.graph import Cell, Cost, Plan
from adaptstilts.plan.imported import check_kind, import_phase
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase
from adaptstilts.plan.stacking import NOTHING, Under
from adaptstilts.plan.training import Trainings
from adaptstilts.plan.validation import ENGLISH, blended, check
from adaptstilts.study import Arm, Chain, Composition, Merge, Part, Retrieve, Study, evaluate_settings
from adaptstilts.tasks import Task, kind_specs
from adaptstilts.tasks.base import POOL
from adaptstilts.workspace import Workspace

__all__ = ["Cell", "Cost", "Plan", "expand"]

REMEDY = "add the data, name the languages to evaluate (languages=[...]) or give missing=skip"


def expand(study: Study, workspace: Workspace) -> Plan:
    """Expand a study.

    Raises:
        ConfigError: a combination that cannot be meant, before anything is spent.
        DataError: data that is missing or unreadable.
    """
    model = workspace.model(study)
    check(study, model)
    plan = Plan(study, model)
    builder = _Builder(plan, workspace)
    for seed in study.seeds:
        for arm in study.methods:
            builder.arm(arm, seed)
    workspace.memory.save()
    return plan


def encodings(study: Study, workspace: Workspace, remedy: str = "") -> Plan:
    """Plan the retrieval targets of a study with the base model as it is, one phase each; nothing is trained.

    Args:
        study: of which only the retrieval targets count.
        workspace: store and data.
        remedy: what to do about missing data, for a command without a study file; empty for :data:`REMEDY`.

    Raises:
        ConfigError, DataError: as :func:`expand`.
    """
    model = workspace.model(study)
    check(study, model)
    plan = Plan(study, model)
    builder = _Builder(plan, workspace, remedy or REMEDY)
    for part in study.targets:
        builder.retrieve(part, study.methods[0], NOTHING, NOTHING, study.seeds[0])
    workspace.memory.save()
    return plan


def intermediates(plan: Plan, workspace: Workspace, arm: Arm, seed: int) -> dict[str, Under]:
    """What targets of a method can stand on, by the name in tables; its phases are added to the plan."""
    builder = _Builder(plan, workspace)
    return builder.intermediates(builder.lower(arm), seed)


@dataclass(frozen=True)
class _Test:
    """What a target is tested on: digests by name, the languages that are there, and those that are missing."""

    data: dict[str, str]
    languages: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Trained:
    """A trained target: on what, by which phases, and the phase that is evaluated."""

    under: Under
    composition: str
    chain: tuple[str, ...]
    target: str
    swappable: bool


class _Builder:
    def __init__(self, plan: Plan, workspace: Workspace, remedy: str = REMEDY) -> None:
        self.plan, self.study, self.workspace, self.remedy = plan, plan.study, workspace, remedy
        self.trainings = Trainings(plan, workspace)
        self._tests: dict[tuple[str, str], _Test] = {}

    def arm(self, arm: Arm, seed: int) -> None:
        """All phases and cells of one method with one seed."""
        unders = self.intermediates(self.lower(arm), seed)
        for part in self.study.targets:
            if tasks.get(part.task).retrieval:
                for under in unders.values():
                    self.retrieve(part, arm, under, self._represent(part, arm, under, seed), seed)
                continue
            trained = self._trained(part, arm, unders, seed)
            for target in trained:
                self._evaluate(part, arm, target, target.under, seed)
            if self.study.swap == "all" and not arm.method.below.trains_encoder:
                for target in trained:
                    for other in unders.values() if target.swappable else ():
                        if other.name != target.under.name and target.target not in other.stack:  # never over itself
                            self._evaluate(part, arm, target, other, seed)

    def intermediates(self, arm: Arm, seed: int) -> dict[str, Under]:
        """Every intermediate of the study by its label; sums come last, because they are of others."""
        parts = sorted(self.study.intermediates, key=lambda part: part.merge is not None)
        found: dict[str, Under] = {}
        for part in parts:
            found[part.label] = self._intermediate(arm, part, found, seed)
        return {part.label: found[part.label] for part in self.study.intermediates}

    def _intermediate(self, arm: Arm, part: Part, found: dict[str, Under], seed: int) -> Under:
        if part.task == "none":
            return NOTHING
        if part.chain:
            return self._chain(arm, part, part.chain, seed)
        if part.merge:
            return self._merged(part.label, arm, found, part.merge, seed)
        if part.adapter:
            adopted = import_phase(part.adapter, part.label, self.plan.model, self.workspace)
            check_kind(adopted, arm.method, alike=blended(self.study))
            return stacking.over(part.label, arm, self.plan.add(adopted))
        mixed = part.mixture or part.masked
        key = self.trainings.several(part, arm, seed) if mixed else self.trainings.task(part, arm, NOTHING, seed)[-1]
        return stacking.over(part.label, arm, key)

    def _chain(self, arm: Arm, part: Part, chain: Chain, seed: int) -> Under:
        """Tasks one after the other; the last is what targets stand on, over those that stay below it."""
        under = NOTHING
        for name in chain.tasks:
            own = part.model_copy(update={"task": name, "chain": None})
            key = self.trainings.task(own, arm, under, seed)[-1]
            if arm.method.trains_encoder:
                under = Under(part.label, base=key)
            elif chain.composition == "stack":
                under = Under(part.label, stack=(*under.stack, key))
            else:
                under = Under(part.label, start=key)
        return replace(under, stack=(under.start,), start=None) if under.start else under

    def _merged(self, label: str, arm: Arm, found: dict[str, Under], merge: Merge | Composition, seed: int) -> Under:
        """A weighted sum of intermediates."""
        held = [stacking.named(name, found, label) for name in merge.of]
        keys = [stacking.single(under, label) for under in held]
        weights = stacking.weights(merge.weights, len(keys), label)
        dropped = merge.leave_out if isinstance(merge, Merge) else ()
        return stacking.over(label, arm, self.trainings.merge(label, arm, keys, weights, dropped))

    def lower(self, arm: Arm) -> Arm:
        """The arm of the intermediate phases: its own, or as the study has it, for what stands on another method."""
        below = arm.method.below
        others = (other for other in self.study.methods if other.language_adapters == arm.language_adapters)
        own = Arm(method=below, language_adapters=arm.language_adapters)
        return next((other for other in (arm, *others) if other.method == below), own)

    def _represent(self, part: Part, arm: Arm, under: Under, seed: int) -> Under:
        """What a retrieval task's sentences are encoded with: the intermediate encoder, or what is trained on it."""
        if not tasks.get(part.task).train_from:
            return under
        key = self.trainings.task(part, arm, under, seed)[-1]
        if arm.method.trains_encoder:
            return Under(under.name, key)
        return Under(under.name, under.base, (*under.stack, key))

    def _trained(self, part: Part, arm: Arm, unders: dict[str, Under], seed: int) -> list[_Trained]:
        """A target trained by every composition, equal results once."""
        usable = {own.label: unders[own.label] for own in self.study.intermediates if not own.swap_only}
        found: dict[str, _Trained] = {}
        for composition in arm.compositions or self.study.compositions:
            if composition.kind == "merge":
                held = self._merged_with_target(part, arm, composition, usable, seed)
            else:
                held = [
                    (under, chain, chain[-1])
                    for under in self._stand(composition, arm, usable, seed)
                    if under.name not in found
                    for chain in [self.trainings.task(part, arm, under, seed)]
                ]
            for under, chain, target in held:
                kind = composition.kind if under.name != "none" else "none"
                swappable = not (under.start or under.fuse or kind == "merge")
                found.setdefault(under.name, _Trained(under, kind, chain, target, swappable))
        return list(found.values())

    def _stand(self, composition: Composition, arm: Arm, unders: dict[str, Under], seed: int) -> list[Under]:
        """What a target stands on under one composition, for each intermediate or for all of them together."""
        if composition.kind == "none":
            return [NOTHING]
        held = {name: stacking.named(name, unders, "compositions") for name in composition.of} or unders
        if composition.kind == "stack":
            return list(held.values())
        held = {name: under for name, under in held.items() if under != NOTHING}
        if not held:
            raise ConfigError(f"compositions: {composition.kind} needs an intermediate")
        if composition.kind == "continue":
            return [stacking.continued(under, arm) for under in held.values()]
        label = stacking.label("+".join(held), composition)
        if composition.kind == "fuse":
            return [stacking.fused(label, arm, list(held.values()))]
        whole = composition.model_copy(update={"of": tuple(held)})
        return [self._merged(label, self.lower(arm), unders, whole, seed)]

    def _merged_with_target(
        self, part: Part, arm: Arm, composition: Composition, unders: dict[str, Under], seed: int
    ) -> list[tuple[Under, tuple[str, ...], str]]:
        """A target trained alone, summed with each intermediate."""
        names = composition.of or [name for name, under in unders.items() if under != NOTHING]
        if not names:
            raise ConfigError("compositions: merge needs an intermediate")
        chain = self.trainings.task(part, arm, NOTHING, seed)
        found = []
        for name in names:
            label = stacking.label(name, composition)
            keys = (stacking.single(stacking.named(name, unders, label), label), chain[-1])
            weights = stacking.weights(composition.weights, 2, label)
            found.append((Under(label), chain, self.trainings.merge(label, arm, keys, weights, target=part.task)))
        return found

    def _evaluate(self, part: Part, arm: Arm, trained: _Trained, over: Under, seed: int) -> None:
        settings = evaluate_settings(self.study, part)
        test = self._test(part.task, settings.split)
        if settings.max_length is not None:
            self.trainings.check_length(settings.max_length)
        held = self.trainings.languages(arm, seed)
        if held and kind_specs.get(tasks.get(part.task).kind).shares_pool:
            raise ConfigError(f"{part.task}: ranks candidates of all languages with one encoder, not language adapters")
        on = trained.under.name
        swap = f", swapped from {on}" if over.name != on else ""
        if swap and (told := self.trainings.refused(arm, over, seed)):
            raise ConfigError(f"method {arm.label}: cannot be swapped over {over.name}: {told}")
        phase = EvaluatePhase(
            task=part.task,
            data=test.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=over.stack,
            target=trained.target,
            languages=test.languages,
            settings=settings,
            below={code: held.get(code, held[ENGLISH]) for code in test.languages} if held else {},
            title=f"evaluate {part.task} ({arm.label}) over {over.name}{swap}, seed {seed}",
        )
        key = self.plan.add(phase)
        cell = Cell(part.task, arm.label, on, over.name, seed, key, trained.chain, test.missing, trained.composition)
        self.plan.cells.append(cell)

    def retrieve(self, part: Part, arm: Arm, under: Under, own: Under, seed: int) -> None:
        """The phase and the cell of a retrieval target, encoded with ``own`` and told under the name of ``under``."""
        test = self._test(part.task, "test")
        bare = not own.base and not own.stack
        self.trainings.check_length(self.study.retrieve.max_length)
        if arm.language_adapters:
            raise ConfigError(f"{part.task}: sentences are not encoded with language adapters (method {arm.label})")
        phase = RetrievePhase(
            task=part.task,
            data=test.data,
            model=self.plan.model.fingerprint,
            method=None if bare else arm.method.below,
            base=own.base,
            stack=own.stack,
            languages=test.languages,
            settings=_named_layers(self.study.retrieve, self.plan.model.shape["layers"]),
            title=f"retrieve {part.task}, "
            + ("base model" if bare else f"{under.name} ({arm.method.label}), seed {seed}"),
        )
        key = self.plan.add(phase)
        cell = Cell(part.task, arm.method.label, under.name, under.name, seed, key, (), test.missing)
        self.plan.cells.append(cell)

    def _test(self, name: str, split: str) -> _Test:
        if (name, split) not in self._tests:
            self._tests[name, split] = _languages(tasks.get(name), split, self.study, self.workspace, self.remedy)
        return self._tests[name, split]


def _named_layers(settings: Retrieve, depth: int) -> Retrieve:
    """``layers`` written out, so that the same ones have the same key."""
    asked = settings.asked(depth)
    if asked and asked[-1] > depth:
        raise ConfigError(f"retrieve.layers: no layer {asked[-1]}; the model has hidden states 0 to {depth}")
    return settings.model_copy(update={"layers": asked or None})


def _languages(task: Task, split: str, study: Study, workspace: Workspace, remedy: str) -> _Test:
    every = (*task.languages, *task.more_languages)
    if isinstance(study.languages, str):
        wanted = list(every if study.languages == "xtreme-r" else task.languages)
    else:
        asked = {languages.resolve(code).code for code in study.languages or task.languages}
        wanted = [code for code in every if code in asked]
    if not wanted:
        raise ConfigError(f"{task.name} has none of the languages {', '.join(sorted(asked))}")
    if reason := task.why_not_evaluated(split, wanted):
        raise ConfigError(reason)
    reads = {code: task.reads(split, languages.resolve(code)) for code in wanted}
    own = {code: [source for name, source in held.items() if name != POOL] for code, held in reads.items()}
    missing = [code for code, held in own.items() if not any(map(workspace.sources.find, held))]
    if missing and (study.missing == "error" or len(missing) == len(wanted)):
        repo = next(iter(reads[missing[0]].values())).repo
        raise DataError(
            f"{task.name}: no {split} rows for {', '.join(missing)} in {repo}; {remedy}"
            f"{f'. {task.hint}' if task.hint else ''}"
        )
    found = tuple(code for code in wanted if code not in missing)
    data = {
        name: workspace.sources.get(source).identity(task.version)
        for code in found
        for name, source in reads[code].items()
    }
    return _Test(data, found, tuple(missing))
