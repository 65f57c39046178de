"""The training settings of a study beside published ones, without data or a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adaptstilts import tasks
from adaptstilts.methods.head import Head
from adaptstilts.plan import equal_steps
from adaptstilts.plan.intermediates import lower_arm
from adaptstilts.plan.training import rows_task, training_steps, with_rows_settings
from adaptstilts.study import Arm, Part, Study, Train, recipe_of, train_settings
from adaptstilts.tasks.recipe import XTREME, Recipe

_RISE = ("warmup", "warmup_steps")


@dataclass(frozen=True)
class Training:
    """How a study trains one task by one method.

    Attributes:
        label: the task, and whose rows it is trained on if these are another one's.
        is_target: False for intermediates.
        method: the method as tables have it.
        settings: settings of the study.
        recipe: published settings of the same training; None if there are none.
        has_own_rate: whether the learning rate of the recipe is not meant for the method.
    """

    label: str
    is_target: bool
    method: str
    settings: Train
    recipe: Recipe | None
    has_own_rate: bool

    @property
    def published(self) -> Train | None:
        """The settings of the recipe, with defaults for what it does not state."""
        return Train.model_validate(dict(self.recipe.settings)) if self.recipe else None

    def stated(self) -> list[str]:
        """Return the settings that the recipe states for this method, with ``warmup`` for both forms of it."""
        names = self.recipe.settings if self.recipe else {}
        stated = dict.fromkeys("warmup" if name in _RISE else name for name in names)
        return [name for name in stated if name != "lr" or not self.has_own_rate]

    def differences(self) -> list[str]:
        """Return the settings that the recipe states otherwise, and those that reduce what is trained on."""
        published = self.published
        if published is None:
            return []
        names = dict.fromkeys((*self.stated(), "examples", "max_steps", "steps", "clip", "warmup_rule"))
        return [name for name in names if _value(self.settings, name) != _value(published, name)]


def recipe_name(study: Study) -> str:
    """Return the name of the recipe that a study is compared with: its own, or XTREME's."""
    return study.recipe or XTREME


def trainings(study: Study) -> list[Training]:
    """Return every training of a study, each once, in the order of its intermediates and targets.

    Args:
        study: study of one model or several.

    Raises:
        ConfigError: settings contradict each other.
    """
    found: dict[Training | tuple[object, ...], Training] = {}
    for arm in study.methods:
        for part in study.intermediates:
            for training in _of_part(study, lower_arm(arm, study), part, is_target=False):
                found.setdefault((training.label, False, training.method), training)
    for arm in study.methods:
        for part in study.targets:
            for training in _of_part(study, arm, part, is_target=True):
                found.setdefault((training.label, True, training.method), training)
    for training in _probes(study):
        found.setdefault((training.label, False, training.method), training)
    return list(found.values())


def _probes(study: Study) -> Iterator[Training]:
    """Yield the trainings of the heads that ``retention`` puts on the encoders of every stage."""
    if study.retention is None:
        return
    place = study.place.at("retention")
    for arm in study.methods:
        probing = Arm(method=Head(over=arm.method))
        probing.set_place(place)
        for part in study.intermediates:
            if part.task == "none":
                continue
            probe = Part(task=part.task, train=study.retention.probe)
            probe.set_place(place)
            settings = train_settings(study, probing, probe, part.task)
            yield Training(f"{part.task} (probe)", False, probing.label, settings, None, has_own_rate=True)


def _of_part(study: Study, arm: Arm, part: Part, is_target: bool) -> Iterator[Training]:
    has_own_rate = not arm.method.trains_encoder
    for label, task in _trained(part, is_target):
        single = equal_steps.share(part, task, arm, study) if part.chain and task else part
        yield Training(
            label=label,
            is_target=is_target,
            method=arm.label,
            settings=train_settings(study, arm, single, task),
            recipe=recipe_of(recipe_name(study), part, task),
            has_own_rate=has_own_rate,
        )
    if is_target and part.rows:
        settings = train_settings(study, arm, with_rows_settings(part), rows_task(part).name)
        settings = settings.model_copy(update={"examples": None})
        yield Training(f"{part.task} (test languages)", True, arm.label, settings, None, has_own_rate)


def _trained(part: Part, is_target: bool) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the task of every training phase of a part; no task for several at once."""
    if part.merge or part.adapter or part.task == "none":
        return
    if part.mixture or part.masked:
        yield part.label, None
        return
    for name in part.chain.tasks if part.chain else (part.task,):
        task = tasks.get(name)
        if is_target and task.retrieval and not task.train_from:
            continue
        for trained, rows_of in training_steps(task):
            prefix = part.label if part.chain else task.name
            yield prefix if prefix == rows_of.name else f"{prefix} ({rows_of.name})", trained.name


def _value(settings: Train, name: str) -> object:
    """Return what is compared of a setting; a warm-up is one thing in two forms."""
    return (
        (settings.warmup_steps, settings.warmup_steps or settings.warmup)
        if name == "warmup"
        else getattr(settings, name)
    )
