"""The settings of one phase: what the task, the recipe, the study, the method and the part say, merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.study.messages import explain
from adaptstilts.study.places import Place, Problems
from adaptstilts.study.schema import Arm, Part, Study
from adaptstilts.study.settings import Evaluate, Train, merge_train
from adaptstilts.tasks.recipe import Recipe


def train_settings(study: Study, arm: Arm, part: Part, task: str | None) -> Train:
    """Return the settings of one training phase.

    They are the task's defaults, then those of the recipe, study, method and part; the last one wins. The learning rate
    of a recipe is for full fine-tuning.

    Args:
        study: study with settings for every phase.
        arm: the method, with settings of its own.
        part: the task in the study, with settings of its own.
        task: name of the task that is trained on; None for masked text.

    Raises:
        ConfigError: the defaults that the task declares are not training settings, or settings of several places
            contradict each other.
    """
    defaults = _task_defaults(task) if task else {}
    recipe = recipe_of(study.recipe, part, task)
    published = dict(recipe.settings) if recipe else {}
    if not arm.method.trains_encoder:
        published.pop("lr", None)
    merged = merge_train(defaults, published, study.train, arm.train, part.train)
    settings = _validated(merged, f"training settings of {task or part.label} ({arm.label}) together: ")
    if settings.lr is None:
        return settings.model_copy(update={"lr": arm.method.default_lr})
    return settings


def recipe_of(name: str | None, part: Part, task: str | None) -> Recipe | None:
    """Return the published settings of one training phase; None if there are none.

    A target's own go before those of the task whose rows it is trained on. A mixture has those that all its tasks
    share.

    Args:
        name: name of the recipe.
        part: the task in the study.
        task: name of the task that is trained on; None for a mixture, or for text beside a task.
    """
    if name is None:
        return None
    if task is None and part.mixture:
        recipes = [recipe_of(name, part, member) for member in part.mixture.tasks]
        return recipes[0] if all(recipe == recipes[0] for recipe in recipes) else None
    for candidate in (part.task, task):
        known = tasks.known().get(candidate or "")
        if known and name in known.recipes:
            return known.recipes[name]
    return None


def _task_defaults(name: str) -> dict[str, Any]:
    defaults = dict(tasks.get(name).training_defaults)
    _validated(defaults, f"task {name!r}: defaults: ")
    return defaults


def _validated(settings: Mapping[str, Any], where: str) -> Train:
    """Return settings as a model.

    Raises:
        ConfigError: what is wrong with them, after ``where``.
    """
    try:
        return Train.model_validate(settings)
    except ValidationError as error:
        problems = Problems()
        explain(error, Train, Place(), problems)
        raise ConfigError(f"{where}{problems.lines()[0]}") from None


def evaluate_settings(study: Study, part: Part) -> Evaluate:
    """Return the settings of the evaluation of a target: those of the study, then its own.

    Args:
        study: study with settings for every evaluation.
        part: the target.
    """
    return Evaluate.model_validate({**study.evaluate.model_dump(), **part.evaluate})
