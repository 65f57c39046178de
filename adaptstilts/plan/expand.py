"""Expand a study into a plan: which phases train and evaluate what, and which cell of the results each one fills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from adaptstilts import study as studies
from adaptstilts import tasks
from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.plan import stacking
from adaptstilts.plan.effects import check_effects
from adaptstilts.plan.evaluation import RowFinder
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.intermediates import Intermediates, lower_arm
from adaptstilts.plan.measures import add_measures
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase
from adaptstilts.plan.stacking import BASE_MODEL, Foundation, Foundations
from adaptstilts.plan.stages import Stages
from adaptstilts.plan.target_rows import RowTargets
from adaptstilts.plan.training import Merging, Trainings
from adaptstilts.plan.validation import (
    ENGLISH,
    Findings,
    check_combinations,
    check_length,
    check_sizes,
)
from adaptstilts.study import Arm, Composition, Part, Place, Problems, Study, StudyError, evaluate_settings
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace

__all__ = ["Cell", "Plan", "expand", "expand_each"]


def expand(study: Study, workspace: Workspace) -> Plan:
    """Expand a study of one base model.

    Args:
        study: what to plan.
        workspace: store, data and models.

    Raises:
        ConfigError: the study has several models, which :func:`expand_each` expands.
        ConfigError: one line for every combination of the study that cannot be planned; no data was read.
        DataError: data is missing or unreadable.
    """
    if len(study.models) > 1:
        raise StudyError(study.place.at("models"), f"one plan has one model, not {len(study.models)}; use expand_each")
    check(study, workspace)
    (study,) = study.each()
    plan = Plan(study, workspace.model(study))
    builder = _Builder(plan, workspace)
    for seed in study.seeds:
        for arm in study.methods:
            builder.add_method(arm, seed)
    with builder.problems.collecting(study.place):
        add_measures(plan, builder.rows)
    builder.problems.raise_all()
    workspace.memory.save()
    return plan


def expand_each(study: Study, workspace: Workspace) -> list[Plan]:
    """Expand a study into one plan for each base model; see :func:`expand` for the arguments and errors.

    The phases of a plan have the same keys as in a study of that model alone.
    """
    check(study, workspace)
    return [expand(single, workspace) for single in study.each()]


def encodings(study: Study, workspace: Workspace, remedy: str = "") -> Plan:
    """Plan the retrieval targets of a study with the base model as it is, one phase each; nothing is trained.

    Args:
        study: only its retrieval targets count.
        workspace: store and data.
        remedy: what to do about missing data, for a command without a study file; empty for the advice for studies.

    Raises:
        ConfigError, DataError: as :func:`expand`.
    """
    findings = Findings(Problems())
    check_combinations(study, findings)  # not check(), which plans the training of every target
    check_sizes(study, workspace.model(study), findings)
    findings.problems.raise_all()
    plan = Plan(study, workspace.model(study))
    builder = _Builder(plan, workspace, remedy=remedy)
    for part in study.targets:
        builder.add_retrieval(part, study.methods[0], BASE_MODEL, BASE_MODEL, study.seeds[0])
    builder.problems.raise_all()
    workspace.memory.save()
    return plan


def intermediates(plan: Plan, workspace: Workspace, arm: Arm, seed: int) -> dict[str, Foundation]:
    """Add the intermediates of a study to a plan.

    Args:
        plan: that grows.
        workspace: store and data.
        arm: a method of the targets.
        seed: seed of the phases.

    Returns:
        What targets can be trained on, by the name that tables give it.
    """
    problems = Problems()
    foundations = Intermediates(Trainings(plan, workspace, problems)).add(lower_arm(arm, plan.study), seed)
    problems.raise_all()
    return foundations.by_name


def load_study(path: str | Path, overrides: tuple[str, ...] | list[str], workspace: Workspace) -> Study:
    """Read a study file; if anything in it is wrong, report what :func:`expand` would find wrong as well.

    Args:
        path: a YAML file.
        overrides: ``key.path=value``, applied in order.
        workspace: store, data and models.

    Raises:
        ConfigError: one line for every wrong key, value and combination, with file, line and key.
    """
    draft = studies.draft(path, overrides)
    if draft.problems and draft.study is not None:
        _find_problems(draft.study, workspace, Findings(draft.problems, draft.incomplete))
    draft.problems.raise_all()
    assert draft.study is not None  # noqa: S101
    return draft.study


def check(study: Study, workspace: Workspace) -> None:
    """Raise if a study has combinations that cannot be planned; no data is read.

    Args:
        study: what to check.
        workspace: the models, and adapters that somebody else trained.

    Raises:
        ConfigError: one line for each combination.
    """
    findings = Findings(Problems())
    _find_problems(study, workspace, findings)
    findings.problems.raise_all()


def _find_problems(study: Study, workspace: Workspace, findings: Findings) -> None:
    """Note every combination that cannot be planned, by making a plan without data and throwing it away."""
    check_combinations(study, findings)
    check_effects(study, findings)
    if findings.is_complete("model", "models", "revision"):
        for single in study.each():
            _find_problems_with_model(single, workspace, findings)


def _find_problems_with_model(study: Study, workspace: Workspace, findings: Findings) -> None:
    problems, findings = findings.problems, replace(findings, unusable=set(findings.unusable))
    try:
        model = workspace.model(study)
    except ConfigError as error:
        problems.add(study.place.at("model"), str(error))
        return
    except AdaptstiltsError:
        problems.raise_all()
        raise
    check_sizes(study, model, findings)
    plan = Plan(_without_problems(study, problems), model)
    builder = _Builder(plan, workspace.without_data(), findings)
    for arm in study.methods:
        if arm.label not in findings.unusable:
            builder.add_method(arm, study.seeds[0])


def _without_problems(study: Study, problems: Problems) -> Study:
    """Return a study without the values that are already noted as wrong and would give the same message again."""
    changes: dict[str, object] = {}
    place = study.place.at("languages")
    if isinstance(study.languages, tuple) and problems.are_in(place):
        right = [name for number, name in enumerate(study.languages) if not problems.are_in(place.at(number))]
        changes["languages"] = tuple(right) or None
    if problems.are_in(study.place.at("swap")):
        changes["swap"] = "off"
    return study.model_copy(update=changes)


@dataclass(frozen=True)
class _TrainedTarget:
    """A target that is trained.

    Attributes:
        foundation: what it is trained on.
        composition: how it uses the intermediates.
        chain: keys of its own training phases.
        key: key of the phase that is evaluated.
        is_swappable: whether it can be evaluated over other intermediates.
    """

    foundation: Foundation
    composition: str
    chain: tuple[str, ...]
    key: str
    is_swappable: bool


class _Builder:
    """Adds phases and cells to a plan. A mistake is noted, and what depends on it is left out."""

    def __init__(self, plan: Plan, workspace: Workspace, findings: Findings | None = None, remedy: str = "") -> None:
        self.plan, self.study = plan, plan.study
        self.problems = findings.problems if findings else Problems()
        self.trainings = Trainings(plan, workspace, self.problems)
        self.intermediates = Intermediates(self.trainings, findings)
        self.rows = RowFinder(plan.study, workspace, remedy)
        self.row_targets = RowTargets(plan, self.trainings, self.rows)
        self.stages = Stages(plan, self.trainings, self.rows)

    def add_method(self, arm: Arm, seed: int) -> None:
        """Add all phases and cells of one method with one seed."""
        foundations = self.intermediates.add(lower_arm(arm, self.study), seed)
        for part in self.study.targets:
            with self.problems.collecting(part.place):
                if part.rows and tasks.get(part.task).retrieval:
                    raise StudyError(part.place.at("rows"), f"{part.task} is only searched and never trained")
                if tasks.get(part.task).retrieval:
                    self._add_retrievals(part, arm, foundations, seed)
                else:
                    self._add_target(part, arm, foundations, seed)

    def add_retrieval(self, part: Part, arm: Arm, foundation: Foundation, encoder: Foundation, seed: int) -> None:
        """Add the phase and the cell of a retrieval target.

        Args:
            part: the target.
            arm: the method.
            foundation: the intermediate that names the cell.
            encoder: what encodes the sentences.
            seed: seed of the cell.
        """
        rows = self.rows.find(part.task, "test")
        settings, place = self.study.retrieve, self.study.place.at("retrieve", "max_length")
        check_length(settings.max_length, self.plan.model, place, self.problems)
        if arm.language_adapters:
            message = f"{part.task}: sentences are not encoded with language adapters (method {arm.label})"
            raise StudyError(part.place, message)
        is_bare = not encoder.base and not encoder.stack
        what = "base model" if is_bare else f"{foundation.name} ({arm.method.label}), seed {seed}"
        phase = RetrievePhase(
            task=part.task,
            data=rows.data,
            model=self.plan.model.fingerprint,
            method=None if is_bare else arm.method.below,
            base=encoder.base,
            stack=encoder.stack,
            languages=rows.languages,
            settings=settings.with_numbered_layers(self.plan.model.shape["layers"]),
            kind_version=kind_specs.get(tasks.get(part.task).kind).version,
            title=f"retrieve {part.task}, {what}",
        )
        key = self.plan.add(phase)
        cell = Cell(part.task, arm.method.label, foundation.name, foundation.name, seed, key, (), rows.missing)
        self.plan.cells.append(cell)

    def _add_retrievals(self, part: Part, arm: Arm, foundations: Foundations, seed: int) -> None:
        for foundation in foundations.by_name.values():
            encoder = foundation
            if tasks.get(part.task).train_from:
                encoder = self._trained_encoder(part, arm, foundation, seed)
            self.add_retrieval(part, arm, foundation, encoder, seed)

    def _trained_encoder(self, part: Part, arm: Arm, foundation: Foundation, seed: int) -> Foundation:
        """Return what encodes the sentences of a retrieval task that is trained."""
        key = self.trainings.train_task(part, arm, foundation, seed)[-1]
        if arm.method.trains_encoder:
            return Foundation(foundation.name, key)
        return Foundation(foundation.name, foundation.base, (*foundation.stack, key))

    def _add_target(self, part: Part, arm: Arm, foundations: Foundations, seed: int) -> None:
        """Add a target with every composition, its evaluations and its swaps."""
        targets = self._train_target(part, arm, foundations, seed)
        for target in targets:
            self._add_evaluation(part, arm, target, target.foundation, seed)
            self.stages.add(part, arm, target.foundation, target.composition, target.key, foundations, seed)
        for target in targets if part.rows else ():
            if target.composition == "merge":
                raise StudyError(part.place.at("rows"), "cannot be combined with the composition merge")
            self.row_targets.add(part, arm, target.foundation, target.chain, seed)
        if self.study.swap != "all" or arm.method.below.trains_encoder:
            return
        for target in targets:
            if not target.is_swappable:
                continue
            for other in foundations.by_name.values():
                is_itself = target.key in other.stack
                if other.name != target.foundation.name and not is_itself:
                    with self.problems.collecting(self.study.place.at("swap")):
                        self._add_evaluation(part, arm, target, other, seed)

    def _train_target(self, part: Part, arm: Arm, foundations: Foundations, seed: int) -> list[_TrainedTarget]:
        """Add the training phases of a target with every composition; equal results are added once."""
        usable = foundations.select(one.label for one in self.study.intermediates if not one.swap_only)
        targets: dict[str, _TrainedTarget] = {}
        for composition, place in self._compositions(arm):
            with self.problems.collecting(place):
                if composition.kind == "merge":
                    trained = self._merge_target(part, arm, composition, place, usable, seed)
                    for target in trained:
                        targets.setdefault(target.foundation.name, target)
                    continue
                for foundation in self._foundations(arm, composition, place, usable):
                    if foundation.name not in targets:
                        with self.problems.collecting(place):
                            targets[foundation.name] = self._train_on(part, arm, composition, foundation, seed)
        return list(targets.values())

    def _compositions(self, arm: Arm) -> list[tuple[Composition, Place]]:
        """Return the compositions of a method, or else of the study, with their places."""
        owner = arm if arm.compositions else self.study
        return [(one, owner.place.at("compositions", number)) for number, one in enumerate(owner.compositions)]

    def _train_on(
        self, part: Part, arm: Arm, composition: Composition, foundation: Foundation, seed: int
    ) -> _TrainedTarget:
        keys = self.trainings.train_task(part, arm, foundation, seed)
        kind = composition.kind if foundation.name != "none" else "none"
        is_swappable = not (foundation.start or foundation.fuse)
        return _TrainedTarget(foundation, kind, keys, keys[-1], is_swappable)

    def _foundations(self, arm: Arm, composition: Composition, place: Place, usable: Foundations) -> list[Foundation]:
        """Return the foundations of a target with one composition: each intermediate, or all of them together."""
        if composition.kind == "none":
            return [BASE_MODEL]
        if composition.kind == "stack":
            names = composition.of or tuple(usable.by_name)
            return [*usable.pick_each(names, place.at("of")).values()]
        chosen = usable.pick_all(composition, place)
        if composition.kind == "continue":
            return [stacking.continued(foundation, arm) for foundation in chosen.values()]
        name = stacking.composition_label("+".join(chosen), composition)
        if composition.kind == "fuse":
            return [stacking.fused(name, arm, list(chosen.values()), place)]
        lower = lower_arm(arm, self.study)
        keys = stacking.keys_of(chosen, name, place)
        weights = stacking.merge_weights(composition.weights, len(keys), name, place)
        key = self.trainings.merge(lower, Merging(name, keys, weights, place))
        return [stacking.foundation_on(name, lower, key)]

    def _merge_target(
        self, part: Part, arm: Arm, composition: Composition, place: Place, usable: Foundations, seed: int
    ) -> list[_TrainedTarget]:
        """Add a target that is trained alone, and its merge with each intermediate."""
        names = composition.of or tuple(usable.pick_all(composition, place))
        chain = self.trainings.train_task(part, arm, BASE_MODEL, seed)
        targets = []
        for name, foundation in usable.pick_each(names, place.at("of")).items():
            label = stacking.composition_label(name, composition)
            lower_key = stacking.single_phase(foundation, label, place)
            weights = stacking.merge_weights(composition.weights, 2, label, place)
            merging = Merging(label, (lower_key, chain[-1]), weights, place, target=part.task)
            key = self.trainings.merge(arm, merging)
            targets.append(_TrainedTarget(Foundation(label), "merge", chain, key, is_swappable=False))
        return targets

    def _add_evaluation(self, part: Part, arm: Arm, target: _TrainedTarget, over: Foundation, seed: int) -> None:
        """Add the phase and the cell of a target evaluated over its own foundation or, for a swap, another one."""
        settings = evaluate_settings(self.study, part)
        rows = self.rows.find(part.task, settings.split)
        if settings.max_length is not None:
            owner = part if "max_length" in part.evaluate else self.study
            place = owner.place.at("evaluate", "max_length")
            check_length(settings.max_length, self.plan.model, place, self.problems)
        adapters = self.trainings.language_adapters(arm, seed)
        if adapters and kind_specs.get(tasks.get(part.task).kind).shares_pool:
            message = f"{part.task}: ranks candidates of all languages with one encoder, not language adapters"
            raise StudyError(part.place, message)
        name, is_swap = target.foundation.name, over.name != target.foundation.name
        reason = self.trainings.why_not_over(arm, over, seed) if is_swap else None
        if reason:
            message = f"method {arm.label}: cannot be swapped over {over.name}: {reason}"
            raise StudyError(arm.place, message, cause=reason)
        swap = f", swapped from {name}" if is_swap else ""
        phase = EvaluatePhase(
            task=part.task,
            data=rows.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=over.stack,
            target=target.key,
            languages=rows.languages,
            settings=settings,
            below={code: adapters.get(code, adapters[ENGLISH]) for code in rows.languages} if adapters else {},
            title=f"evaluate {part.task} ({arm.label}) over {over.name}{swap}, seed {seed}",
        )
        key = self.plan.add(phase)
        cell = Cell(
            task=part.task,
            method=arm.label,
            trained_on=name,
            over=over.name,
            seed=seed,
            phase=key,
            training=target.chain,
            missing=rows.missing,
            composition=target.composition,
        )
        self.plan.cells.append(cell)
