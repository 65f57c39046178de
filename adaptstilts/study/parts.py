"""Checks of the parts of a study that no single value shows: tasks in roles, and settings in the right place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from adaptstilts import tasks
from adaptstilts.errors import ConfigError
from adaptstilts.study.places import Keys
from adaptstilts.study.settings import Evaluate, Train
from adaptstilts.tasks import kind_specs

Note = Callable[[Keys, str], None]
Explain = Callable[[ValidationError, type[BaseModel], Keys], None]
_COMPOSED = ("mixture", "chain", "merge")


def check_parts(data: Mapping[str, Any], note: Note, explain: Explain) -> None:
    """Note unknown tasks, tasks in the wrong role, and wrong training and evaluation settings.

    Args:
        data: data of the study file.
        note: called with the path of a wrong value and what is wrong with it.
        explain: called with what pydantic found wrong in the settings at a path.
    """
    for keys, part in _parts(data):
        section = keys[0] if keys else ""
        if section in ("intermediates", "targets") and isinstance(part.get("task"), str):
            _check_task(keys, part, note)
        _check_settings(Train, part, (*keys, "train"), explain)
        rows = part.get("rows")
        if section == "targets" and isinstance(rows, dict):
            _check_settings(Train, rows, (*keys, "rows", "train"), explain)
        if section == "targets":
            _check_settings(Evaluate, part, (*keys, "evaluate"), explain)
    retention = data.get("retention")
    if isinstance(retention, dict):
        _check_settings(Train, retention, ("retention", "probe"), explain)
        _check_scored(retention.get("scored_as"), note)


def _parts(data: Mapping[str, Any]) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Yield the study, its language adapters, methods, intermediates and targets, as far as they are mappings."""
    yield (), data
    if isinstance(data.get("language_adapters"), dict):
        yield ("language_adapters",), data["language_adapters"]
    for section in ("methods", "intermediates", "targets"):
        members = data.get(section)
        if not isinstance(members, list):
            continue
        for number, member in enumerate(members):
            if isinstance(member, dict):
                yield (section, number), member


def _check_scored(names: Any, note: Note) -> None:
    """Note tasks of ``retention.scored_as`` that do not exist."""
    if not isinstance(names, dict):
        return
    for name, other in names.items():
        for one in (name, other):
            try:
                if isinstance(one, str):
                    tasks.get(one)
            except ConfigError as error:
                note(("retention", "scored_as", name), str(error))


def _check_settings(cls: type[BaseModel], part: Mapping[str, Any], keys: Keys, explain: Explain) -> None:
    settings = part.get(str(keys[-1]))
    if not isinstance(settings, dict):
        return
    try:
        cls.model_validate(settings)
    except ValidationError as error:
        explain(error, cls, keys)


def _check_task(keys: Keys, part: Mapping[str, Any], note: Note) -> None:
    """Check the task of a part, or the tasks that it is composed of."""
    if part.get("adapter") is not None:
        _check_adapter(keys, part, note)
        return
    is_intermediate = keys[0] == "intermediates" and part["task"] != "none"
    for key in (*_COMPOSED, "masked", "placebo", "swap_only"):
        if part.get(key) and not is_intermediate:
            note((*keys, key), "only an intermediate task can have it")
    for key in ("evaluate", "rows"):
        if part.get(key) is not None and keys[0] != "targets":
            note((*keys, key), "only a target can have it")
    given = [key for key in _COMPOSED if part.get(key) is not None]
    composed = [key for key in given if isinstance(part[key], dict)]
    if given != composed:
        return  # a value that is no mapping is reported already, and the name is not that of a task
    if part.get("placebo") is True and is_intermediate:
        _check_placebo(keys, part, composed, note)
    if composed:
        _check_composed(keys, part, composed, note)
    else:
        _check_roles((*keys, "task"), [part["task"]], note)


def _check_composed(keys: Keys, part: Mapping[str, Any], composed: list[str], note: Note) -> None:
    """Check a mixture, a chain or a merge."""
    key = composed[0]
    if len(composed) > 1:
        note((*keys, composed[-1]), f"cannot be combined with {key}")
    elif key != "mixture" and part.get("masked") is not None:
        note((*keys, key), "cannot be combined with masked")
    if composed == ["mixture"] and "temperature" in part[key] and part[key].get("sampling") != "temperature":
        note((*keys, key, "temperature"), "is used by sampling: temperature alone; give that as well")
    if composed == ["merge"] and part.get("train"):
        note((*keys, "train"), "cannot be combined with merge, which trains nothing")
    if part["task"] in tasks.known() or part["task"] == "none":
        note((*keys, "task"), f"{part['task']} is a task; give the {key} a name of its own")
    names = part[key].get("tasks")
    if not isinstance(names, list):
        return
    _check_roles((*keys, key, "tasks"), names, note)
    if len({str(name) for name in names}) != len(names):
        note((*keys, key, "tasks"), "has the same task twice")


def _check_placebo(keys: Keys, part: Mapping[str, Any], composed: list[str], note: Note) -> None:
    """Check a placebo: it is one task, whose rows have labels."""
    for key in (*composed, *(["masked"] if part.get("masked") else [])):
        note((*keys, "placebo"), f"cannot be combined with {key}")
    task = tasks.known().get(part["task"])
    if task is not None and kind_specs.get(task.kind).label_field is None:
        note((*keys, "placebo"), f"{task.name} ({task.kind}) has no labels to permute")


def _check_adapter(keys: Keys, part: Mapping[str, Any], note: Note) -> None:
    """Check a part that is somebody else's adapter: it has a name of its own, and is not trained here."""
    if keys[0] != "intermediates":
        note((*keys, "adapter"), "only an intermediate can be an adapter that somebody else trained")
    if part["task"] in tasks.known() or part["task"] == "none":
        note((*keys, "task"), f"{part['task']} is a task; give the adapter a name of its own")
    for key in (*_COMPOSED, "masked", "placebo", "rows", "train", "evaluate"):
        if part.get(key):
            note((*keys, key), "cannot be combined with adapter, which is not trained here")


def _check_roles(keys: Keys, names: list[Any], note: Note) -> None:
    """Note every task that is unknown, or cannot have the role that it has in the study."""
    for name in names:
        try:
            if isinstance(name, str):
                _check_role(str(keys[0]), name, is_composed=keys[-1] == "tasks")
        except ConfigError as error:
            note(keys, str(error))


def _check_role(section: str, name: str, is_composed: bool) -> None:
    """Raise if a task cannot be a target, an intermediate or a part of one.

    Args:
        section: ``targets`` or ``intermediates``.
        name: name of the task.
        is_composed: whether it is one of several tasks of an intermediate.
    """
    if name == "none":
        if section == "targets":
            raise ConfigError("none is not a target task")
        if is_composed:
            raise ConfigError("none is not a task to mix")
        return
    task = tasks.get(name)
    if section == "intermediates" and not task.intermediate:
        raise ConfigError(f"{task.name} ({task.kind}) cannot be an intermediate task: it has no training set")
