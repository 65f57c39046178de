"""Build the plan of a study: every phase that its members need, each once, and what is reported of them."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstilts import tasks
from adaptstilts.plan import stacking
from adaptstilts.plan.evaluation import RowFinder
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.intermediates import Intermediates, lower_arm
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase
from adaptstilts.plan.retrieval_settings import for_model
from adaptstilts.plan.stacking import BASE_MODEL, Foundation, Foundations
from adaptstilts.plan.stages import Stages
from adaptstilts.plan.target_rows import RowTargets
from adaptstilts.plan.training import Merging, Trainings
from adaptstilts.plan.validation import (
    ENGLISH,
    Findings,
    check_length,
    stacking_to_blame,
)
from adaptstilts.study import Arm, Composition, Part, Place, Problems, StudyError, evaluate_settings
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace


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


class PlanBuilder:
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
            settings=for_model(settings, self.plan.model),
            kind_version=tasks.get(part.task).kind_version,
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
            raise StudyError(stacking_to_blame(arm), message, cause=reason)
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
            kind_version=tasks.get(part.task).kind_version,
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
