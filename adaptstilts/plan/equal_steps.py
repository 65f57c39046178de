"""The same number of optimizer steps for every intermediate of a study, with ``steps: equal``."""

from __future__ import annotations

from adaptstilts.errors import ConfigError
from adaptstilts.study import Arm, Part, Study, StudyError, merge_train, train_settings


def check(study: Study, arm: Arm) -> None:
    """Raise if a study asks for equal steps, and its intermediates are not all trained for one exact number.

    Merges and adapters that somebody else trained do not count, as they are not trained here.

    Args:
        study: the study.
        arm: method of the intermediates.

    Raises:
        StudyError: the steps of an intermediate are not given, differ, or cannot be divided among its tasks.
    """
    if study.steps != "equal":
        return
    budgets: dict[str, int] = {}
    for part in study.intermediates:
        if part.task == "none" or part.merge or part.adapter:
            continue
        budgets[part.label] = _budget(study, arm, part)
    if len(set(budgets.values())) > 1:
        listed = ", ".join(f"{name}: {steps:,}" for name, steps in budgets.items())
        message = f"equal: expected one number of steps for all intermediates, found {listed}"
        raise StudyError(study.place.at("steps"), message)


def share(part: Part, task: str, arm: Arm, study: Study) -> Part:
    """Return the part that one task of a chain is trained as.

    Args:
        part: the chain.
        task: name of the task.
        arm: method of the intermediates.
        study: with equal steps, the task gets its part of those of the chain.
    """
    settings = part.train
    if study.steps == "equal" and part.chain:
        steps = train_settings(study, arm, part, task).steps
        if steps is not None:
            settings = merge_train(settings, {"steps": steps // len(part.chain.tasks)})
    return part.model_copy(update={"task": task, "chain": None, "train": settings})


def _budget(study: Study, arm: Arm, part: Part) -> int:
    """Return the steps of all tasks of an intermediate together."""
    tasks = part.chain.tasks if part.chain else (None if part.mixture or part.masked else part.task,)
    budgets = set()
    for task in tasks:
        try:
            steps = train_settings(study, arm, part, task).steps
        except ConfigError as error:
            raise StudyError(part.place, str(error)) from None
        if steps is None:
            message = f"equal: {part.label} has no exact number of steps; give train.steps, such as 500"
            raise StudyError(study.place.at("steps"), message)
        budgets.add(steps)
    if len(budgets) > 1:
        message = f"equal: the tasks of {part.label} have numbers of their own; give it one train.steps"
        raise StudyError(study.place.at("steps"), message)
    (steps,) = budgets
    if steps % len(tasks):
        message = f"equal: {steps:,} steps cannot be divided evenly among the {len(tasks)} tasks of {part.label}"
        raise StudyError(study.place.at("steps"), message)
    return steps
