"""Intermediate tasks scored again: before their training, after it, and after the target was trained on top."""

from __future__ import annotations

from dataclasses import replace

from adaptstilts import tasks
from adaptstilts.methods.head import Head
from adaptstilts.plan.evaluation import RowFinder
from adaptstilts.plan.graph import Plan, Stage, StageCell
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.plan.stacking import BASE_MODEL, Foundation, Foundations, composition_label
from adaptstilts.plan.training import Trainings
from adaptstilts.study import Arm, Composition, Part, Place, Retention, StudyError, evaluate_settings

_SINGLE = ("mixture", "chain", "merge", "masked", "placebo", "adapter")  # what an intermediate of one task has none of


class Stages:
    """Adds the phases of ``retention`` to a plan, and their cells to its ``stage_cells``.

    Args:
        plan: that grows.
        trainings: adds training phases to it.
        finder: finds the rows that are evaluated on.
    """

    def __init__(self, plan: Plan, trainings: Trainings, finder: RowFinder) -> None:
        self.plan, self.trainings, self.finder, self.study = plan, trainings, finder, plan.study

    def add(
        self, target: Part, arm: Arm, foundation: Foundation, composition: str, key: str, known: Foundations, seed: int
    ) -> None:
        """Score the task of an intermediate at every stage of one chain, by its own head and by probes.

        Args:
            target: trained last.
            arm: its method.
            foundation: what the target was trained on; nothing is added where that is no intermediate.
            composition: how it was.
            key: key of the phase that trained the target.
            known: what the intermediate phases left, by name.
            seed: seed of the phases.

        Raises:
            StudyError: the stages of such a chain cannot be scored.
        """
        if self.study.retention is None or foundation.name == BASE_MODEL.name:
            return
        place = self.study.place.at("retention")
        if composition not in ("stack", "continue"):
            raise StudyError(place, f"{foundation.name}: cannot be combined with the composition {composition}")
        suffix = composition_label("", Composition(kind="continue"))
        label = foundation.name.removesuffix(suffix)
        part = next(part for part in self.study.intermediates if part.label == label)
        learned = known.by_name[label]
        self._check(arm, part, place)
        if self._is_same(target, part):
            return
        after = self._after(arm, foundation, key)
        head = learned.base or learned.stack[-1]
        stages: dict[Stage, Foundation] = {"base": BASE_MODEL, "intermediate": learned, "target": after}
        for stage, encoder in stages.items():
            cell = StageCell(self._scored(part), arm.label, foundation.name, target.task, stage, "head", seed, "")
            if stage != "base":
                self._add(cell, encoder, encoder.base or encoder.stack[-1], head, arm)
            probing = Arm(method=Head(over=arm.method))
            probing.set_place(place)
            settings = self._settings(part)
            probe = self.trainings.train_task(settings, probing, encoder, seed)[-1]
            self._add(replace(cell, scorer="probe"), encoder, probe, None, probing)

    def _settings(self, part: Part) -> Part:
        """Return the part that a probe is trained as."""
        retention = self.study.retention
        assert retention is not None  # noqa: S101
        probe = Part(task=part.task, train=retention.probe)
        probe.set_place(self.study.place.at("retention").respelled(("retention", "train"), ("retention", "probe")))
        return probe

    def _scored(self, part: Part) -> str:
        retention = self.study.retention or Retention()
        return retention.scored_as.get(part.task, part.task)

    def _is_same(self, target: Part, part: Part) -> bool:
        """Return whether the target trains the intermediate task again, of which nothing is forgotten."""
        task = tasks.get(target.task)
        return part.task in (task.name, *task.train_from) or self._scored(part) == task.name

    @staticmethod
    def _check(arm: Arm, part: Part, place: Place) -> None:
        """Raise if the stages of a chain cannot be told apart."""
        if any(getattr(part, key) for key in _SINGLE):
            raise StudyError(
                place,
                f"the intermediate {part.label} is not one task that is learned, whose head could be scored again",
            )
        if arm.language_adapters:
            raise StudyError(place, f"method {arm.label}: cannot be combined with language adapters")
        if not arm.method.changes_encoder:
            raise StudyError(place, f"method {arm.label}: it changes nothing of the encoder, so nothing is forgotten")

    @staticmethod
    def _after(arm: Arm, foundation: Foundation, key: str) -> Foundation:
        """Return what the target phase left."""
        if arm.method.trains_encoder:
            return Foundation(foundation.name, base=key)
        return Foundation(foundation.name, base=foundation.base, stack=(*foundation.stack, key))

    def _add(self, cell: StageCell, encoder: Foundation, target: str, head: str | None, arm: Arm) -> None:
        """Add the evaluation of one stage, and its cell.

        Args:
            cell: without its phase.
            encoder: that answers.
            target: key of its last phase, or of the probe on it.
            head: key of the phase whose head is scored; None for that of ``target``.
            arm: method of the phase ``target``.
        """
        settings = evaluate_settings(self.study, Part(task=cell.task))
        rows = self.finder.find(cell.task, settings.split)
        is_own = cell.scorer == "head" and head == target
        below = encoder.stack if cell.scorer == "probe" else encoder.stack[:-1]
        words = {"base": "before", "intermediate": "after", "target": f"after {cell.target} on"}[cell.stage]
        what = f"{cell.task} by {cell.scorer} {words} {cell.intermediate}"
        phase = EvaluatePhase(
            task=cell.task,
            data=rows.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=below,
            target=target,
            head=None if is_own else head,
            languages=rows.languages,
            settings=settings,
            kind_version=tasks.get(cell.task).kind_version,
            title=f"evaluate {what} ({cell.method}), seed {cell.seed}",
        )
        self.plan.stage_cells.append(replace(cell, phase=self.plan.add(phase)))
