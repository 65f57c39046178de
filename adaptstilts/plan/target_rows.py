"""Targets trained on a few rows of their test languages, beside English or instead of it."""

from __future__ import annotations

from adaptstilts import languages, tasks
from adaptstilts.data.shots import Shots
from adaptstilts.data.sources import row_count
from adaptstilts.plan.evaluation import RowFinder
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.plan.stacking import Foundation
from adaptstilts.plan.training import Trainings
from adaptstilts.study import Arm, Part, StudyError, TargetRows, evaluate_settings
from adaptstilts.tasks import Source


class RowTargets:
    """Adds the phases of ``rows`` of targets to a plan, and their cells to its ``row_cells``.

    Args:
        plan: that grows.
        trainings: adds training phases to it.
        finder: finds the rows for evaluation.
    """

    def __init__(self, plan: Plan, trainings: Trainings, finder: RowFinder) -> None:
        self.plan, self.trainings, self.finder = plan, trainings, finder
        self._counts: dict[Source, int | None] = {}

    def add(self, part: Part, arm: Arm, foundation: Foundation, chain: tuple[str, ...], seed: int) -> None:
        """Add everything that ``rows`` of a target asks for, over one foundation.

        Args:
            part: the target.
            arm: its method.
            foundation: what it is trained on.
            chain: keys of the phases that trained it on English rows.
            seed: seed of the phases; the draws do not depend on it.

        Raises:
            StudyError: the rows cannot be trained on.
        """
        rows = part.rows
        assert rows is not None  # noqa: S101
        if arm.language_adapters:
            message = f"method {arm.label}: cannot be trained on rows of other languages over language adapters"
            raise StudyError(part.place.at("rows"), message)
        if tasks.get(part.task).train_languages is None:
            raise StudyError(part.place.at("rows"), f"{part.task} has training rows in English only")
        for number, name in enumerate(rows.languages):
            code = languages.resolve(name).code
            self._check(part, rows, number, code)
            for k in rows.k:
                for draw in range(1, rows.draws + 1):
                    for after in rows.after:
                        self._add_one(part, arm, foundation, chain, seed, Shots(code, k, draw), after)

    def _check(self, part: Part, rows: TargetRows, number: int, code: str) -> None:
        """Raise unless there are enough rows, other than those used for evaluation."""
        task, place = tasks.get(part.task), part.place.at("rows", "languages", number)
        if code not in (*task.languages, *task.more_languages):
            raise StudyError(place, f"{task.name} has no test rows in {rows.languages[number]}")
        source = task.shot_source(code)
        split = evaluate_settings(self.trainings.study, part).split
        tested = task.reads(split, languages.resolve(code)).values()
        if source in tested:
            raise StudyError(
                part.place.at("rows"), f"{task.name}: it is trained on its {split} rows, so evaluate on other rows"
            )
        count = self._count(source)
        if count is not None and max(rows.k) > count:
            key = rows.k.index(max(rows.k))
            message = f"{max(rows.k)} rows wanted, but {task.name} has {count} in {code} ({source})"
            raise StudyError(part.place.at("rows", "k", key), message)

    def _count(self, source: Source) -> int | None:
        """Return the number of rows of a source; None if it is not read."""
        if source not in self._counts:
            split = self.trainings.workspace.sources.get(source)
            self._counts[source] = row_count(split) if split.files else None
        return self._counts[source]

    def _add_one(
        self,
        part: Part,
        arm: Arm,
        foundation: Foundation,
        chain: tuple[str, ...],
        seed: int,
        shots: Shots,
        after: str,
    ) -> None:
        init = chain[-1] if after == "english" else None
        key = self.trainings.train_shots(part, arm, foundation, seed, shots, init)
        settings = evaluate_settings(self.trainings.study, part)
        found = self.finder.find(part.task, settings.split, (shots.language,))
        words = f"{shots.k} rows of {shots.language} (draw {shots.draw}, after {after})"
        phase = EvaluatePhase(
            task=part.task,
            data=found.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=foundation.stack,
            target=key,
            languages=found.languages,
            settings=settings,
            kind_version=tasks.get(part.task).kind_version,
            title=f"evaluate {part.task} ({arm.label}) over {foundation.name}, {words}, seed {seed}",
        )
        cell = Cell(
            task=part.task,
            method=arm.label,
            trained_on=foundation.name,
            over=foundation.name,
            seed=seed,
            phase=self.plan.add(phase),
            training=(*(chain if init else ()), key),
            shots=shots,
            after=after,
        )
        self.plan.row_cells.append(cell)
