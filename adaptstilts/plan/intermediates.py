"""The intermediates of a study: single tasks, mixtures, chains, merges and adapters that somebody else trained."""

from __future__ import annotations

from dataclasses import replace

from adaptstilts.errors import AdaptstiltsError
from adaptstilts.plan import equal_steps, stacking
from adaptstilts.plan.imported import check_kind, import_phase
from adaptstilts.plan.stacking import BASE_MODEL, Foundation, Foundations
from adaptstilts.plan.training import Merging, Trainings
from adaptstilts.plan.validation import Findings, blends_adapters
from adaptstilts.study import Arm, Chain, Merge, Part, Study


class Intermediates:
    """Adds the phases of intermediates to a plan.

    Args:
        trainings: adds training phases to the plan, and has the problems.
        findings: for a plan that only looks for mistakes in the study, so damaged adapters can wait.
    """

    def __init__(self, trainings: Trainings, findings: Findings | None = None) -> None:
        self.trainings, self.plan, self.study = trainings, trainings.plan, trainings.study
        self.is_trial = findings is not None
        self.is_complete = findings is None or findings.is_complete("intermediates")

    def add(self, arm: Arm, seed: int) -> Foundations:
        """Add every intermediate of the study.

        Args:
            arm: the method of the intermediates.
            seed: seed of the phases.

        Returns:
            What targets can be trained on, in the order of the study.
        """
        foundations = Foundations(is_complete=self.is_complete)
        with self.trainings.problems.collecting(self.study.place.at("steps")):
            equal_steps.check(self.study, arm)
        merges_last = sorted(self.study.intermediates, key=lambda part: part.merge is not None)
        for part in merges_last:
            try:
                with self.trainings.problems.collecting(part.place):
                    foundations.by_name[part.label] = self._add_one(part, arm, foundations, seed)
            except AdaptstiltsError:
                if not self.is_trial:
                    raise
            if part.label not in foundations.by_name:
                foundations.is_complete = False
        return foundations.select(part.label for part in self.study.intermediates)

    def merge(self, arm: Arm, merge: Merge, foundations: Foundations, part: Part) -> Foundation:
        """Add a merge of other intermediates."""
        place = part.place.at("merge")
        chosen = foundations.pick_each(merge.of, place.at("of"))
        keys = stacking.keys_of(chosen, part.label, place)
        weights = stacking.merge_weights(merge.weights, len(keys), part.label, place)
        key = self.trainings.merge(arm, Merging(part.label, keys, weights, place, merge.leave_out))
        return stacking.foundation_on(part.label, arm, key)

    def _add_one(self, part: Part, arm: Arm, foundations: Foundations, seed: int) -> Foundation:
        if part.task == "none":
            return BASE_MODEL
        if part.chain:
            return self._chain(part, part.chain, arm, seed)
        if part.merge:
            return self.merge(arm, part.merge, foundations, part)
        if part.adapter:
            return self._import(part, part.adapter, arm)
        if part.mixture or part.masked:
            key = self.trainings.train_streams(part, arm, seed)
        else:
            key = self.trainings.train_task(part, arm, BASE_MODEL, seed)[-1]
        return stacking.foundation_on(part.label, arm, key)

    def _import(self, part: Part, address: str, arm: Arm) -> Foundation:
        """Add an adapter that somebody else trained."""
        phase = import_phase(address, part.label, self.plan.model, self.trainings.workspace)
        check_kind(phase, arm.method, same_settings=blends_adapters(self.study))
        return stacking.foundation_on(part.label, arm, self.plan.add(phase))

    def _chain(self, part: Part, chain: Chain, arm: Arm, seed: int) -> Foundation:
        """Add tasks one after the other; targets are trained on the last one, over the adapters below it."""
        foundation = BASE_MODEL
        for name in chain.tasks:
            single = equal_steps.share(part, name, arm, self.study)
            key = self.trainings.train_task(single, arm, foundation, seed)[-1]
            if arm.method.trains_encoder:
                foundation = Foundation(part.label, base=key)
            elif chain.composition == "stack":
                foundation = Foundation(part.label, stack=(*foundation.stack, key))
            else:
                foundation = Foundation(part.label, start=key)
        if foundation.start:
            return replace(foundation, stack=(foundation.start,), start=None)
        return foundation


def lower_arm(arm: Arm, study: Study) -> Arm:
    """Return the method of the intermediates under targets of a method, with its settings.

    It is the target's own method, unless that trains only a head: then it is the method under the head, as the
    study has it, or with default settings.

    Args:
        arm: the method of the targets.
        study: may have the other method as well.
    """
    below = arm.method.below
    for other in (arm, *study.methods):
        if other.method == below and other.language_adapters == arm.language_adapters:
            return other
    lower = Arm(method=below, language_adapters=arm.language_adapters)
    lower.set_place(arm.place)
    return lower
