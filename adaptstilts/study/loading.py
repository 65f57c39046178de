"""Study files: strict YAML with overrides, every mistake told at once, with file, line and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adaptstilts import methods, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.methods import Method
from adaptstilts.study.overrides import near, override_key, place, split_override
from adaptstilts.study.schema import Arm, Study
from adaptstilts.study.settings import Evaluate, StrictModel, Train


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply ``key.path=value`` overrides.

    Raises:
        ConfigError: names file, line and key of *every* mistake found, with a suggestion where one is near.
    """
    return parse(read_text(path, "study"), str(path), overrides)


def read_text(path: str | Path, what: str) -> str:
    """The text of a config file.

    Raises:
        ConfigError: it is not there, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such {what} file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def parse(text: str, name: str = "study", overrides: Sequence[str] = ()) -> Study:
    """Read a study from text; see :func:`load`."""
    document = yaml.parse(text, name)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{name}: expected a mapping with the keys of a study, found {_kind(document.data)}")
    data = _lists(document.data)
    for override in overrides:
        _apply(data, override)
    return _study(data, document, name)


def _lists(data: dict[str, Any]) -> dict[str, Any]:
    """The shorthands of a study file, written out: ``method: x``, bare task and method names."""
    data = dict(data)
    if "method" in data and "methods" not in data:
        data["methods"] = [data.pop("method")]
    for key in ("intermediates", "targets"):
        if isinstance(data.get(key), list):
            data[key] = [{"task": part} if isinstance(part, str) else part for part in data[key]]
    if isinstance(data.get("methods"), list):
        arms = [{"kind": arm} if isinstance(arm, str) else arm for arm in data["methods"]]
        data["methods"] = [_compositions(arm) if isinstance(arm, dict) else arm for arm in arms]
    return _compositions(data)


def _compositions(data: dict[str, Any]) -> dict[str, Any]:
    held = data.get("compositions")
    if not isinstance(held, list):
        return data
    return {**data, "compositions": [{"kind": kind} if isinstance(kind, str) else kind for kind in held]}


def _apply(data: dict[str, Any], override: str) -> None:
    keys, value = split_override(override)
    if keys[0] == "method" and "methods" in data:
        _apply_to_methods(data["methods"], keys[1:], value, override)
        return
    override_key(data, keys, value, override, Study.model_fields)
    data.update(_lists(data))


def _apply_to_methods(arms: Any, keys: list[str], value: Any, override: str) -> None:
    """``method.x=v`` sets x of every method of the study that has it."""
    arms = [arm for arm in arms if isinstance(arm, dict)] if isinstance(arms, list) else []
    fields = {id(arm): methods.get(str(arm.get("kind", ""))).model_fields for arm in arms}
    fitting = [arm for arm in arms if keys and keys[0] in {**fields.get(id(arm), {}), **Arm.model_fields}]
    if not fitting:
        names = {name for known in fields.values() for name in known}
        raise ConfigError(f"override {override!r}: no method of this study has that key{near('.'.join(keys), names)}")
    for arm in fitting:
        place(arm, keys, value, override)


def _study(data: dict[str, Any], document: yaml.Document, name: str) -> Study:
    problems: list[str] = []

    def note(path: yaml.Path, message: str) -> None:
        if path[:2] == ("methods", 0) and isinstance(document.data, dict) and "methods" not in document.data:
            line = document.line(("method", *path[2:]))
        else:
            line = document.line(path)
        where = f"{name}:{line}" if line and _given(document.data, path) else name
        dotted = ".".join(map(str, path))
        problems.append(f"{where}: {dotted}: {message}" if dotted else f"{where}: {message}")

    arms = _arms(data.get("methods"), note)
    study = None
    try:
        known = {key: value for key, value in data.items() if key != "methods"}
        study = Study.model_validate(
            {**as_tuples(known), "methods": arms or (Arm(method=methods.parse({"kind": "full"})),)}
        )
    except ValidationError as error:
        explain(error, Study, (), note)
    if not data.get("methods") and not isinstance(data.get("methods"), int | float | bool | str):
        note(("methods",), "is required: a list of methods, for example [full, bottleneck]")
    _check_parts(data, note)
    if problems or study is None:
        raise ConfigError("\n".join(problems))
    return study


def _arms(entries: Any, note: Any) -> tuple[Arm, ...]:
    found = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        path: yaml.Path = ("methods", i)
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
            note(path, "expected the name of a method, or a mapping with `kind:`")
            continue
        cls: type[Method] = Method
        try:
            cls = methods.get(entry["kind"])
            own = {key: as_tuples(entry[key]) for key in Arm.model_fields if key in entry and key != "method"}
            fields = {key: value for key, value in entry.items() if key not in own}
            found.append(Arm.model_validate({"method": cls.model_validate(fields), **own}))
        except ValidationError as error:
            explain(error, cls, path, note)
        except ConfigError as error:
            note((*path, "kind"), str(error))
    if entries is not None and not isinstance(entries, list):
        note(("methods",), f"expected a list of methods, found {_kind(entries)}")
    return tuple(found)


def _check_parts(data: dict[str, Any], note: Any) -> None:
    """What no single field shows: unknown tasks, tasks in the wrong role, partial training settings."""
    places: list[yaml.Path] = [()]
    for key in ("methods", "intermediates", "targets"):
        parts = data.get(key)
        places += [(key, i) for i in range(len(parts) if isinstance(parts, list) else 0)]
    for path in places:
        part: Any = data
        for step in path:
            part = part[step]
        if not isinstance(part, dict):
            continue
        if path and path[0] != "methods" and isinstance(part.get("task"), str):
            _check_task(path, part, note)
        settings: tuple[tuple[str, type[StrictModel]], ...] = (("train", Train),)
        if path and path[0] == "targets":
            settings += (("evaluate", Evaluate),)
        for key, model in settings:
            try:
                if isinstance(part.get(key), dict):
                    model.model_validate(part[key])
            except ValidationError as error:
                explain(error, model, (*path, key), note)


_MADE = ("mixture", "chain", "merge")


def _check_task(path: yaml.Path, part: Mapping[str, Any], note: Any) -> None:
    """The task of a part, or the tasks of its mixture."""
    if part.get("adapter") is not None:
        _check_adapter(path, part, note)
        return
    made = [key for key in _MADE if isinstance(part.get(key), dict)]
    for key in (*_MADE, "masked", "swap_only"):
        if part.get(key) and (path[0] != "intermediates" or part["task"] == "none"):
            note((*path, key), "only an intermediate task can have it")
    if made == ["merge"] and part.get("train"):
        note((*path, "train"), "cannot be together with merge, of which nothing is trained")
    if len(made) > 1 or (made and made != ["mixture"] and part.get("masked") is not None):
        note((*path, made[-1]), f"cannot be together with {made[0] if len(made) > 1 else 'masked'}")
    if part.get("evaluate") is not None and path[0] != "targets":
        note((*path, "evaluate"), "only a target can have it")
    place: yaml.Path = (*path, made[0], "tasks") if made else (*path, "task")
    named = part[made[0]].get("tasks") if made else [part["task"]]
    if made and (part["task"] in tasks.known() or part["task"] == "none"):
        note((*path, "task"), f"{part['task']} is a task; give the {made[0]} a name of its own")
    for name in named if isinstance(named, list) else ():
        try:
            if isinstance(name, str):
                _check_role(str(path[0]), name, bool(made))
        except ConfigError as error:
            note(place, str(error))
    if made and isinstance(named, list) and len({str(name) for name in named}) != len(named):
        note(place, "holds the same task twice")


def _check_adapter(path: yaml.Path, part: Mapping[str, Any], note: Any) -> None:
    """A part that is somebody else's adapter: it has a name of its own, and nothing of it is trained here."""
    if path[0] != "intermediates":
        note((*path, "adapter"), "only an intermediate can be an adapter that somebody else trained")
    if part["task"] in tasks.known() or part["task"] == "none":
        note((*path, "task"), f"{part['task']} is a task; give the adapter a name of its own")
    for key in (*_MADE, "masked", "train", "evaluate"):
        if part.get(key):
            note((*path, key), "cannot be together with adapter, of which nothing is trained here")


def _check_role(key: str, name: str, mixed: bool = False) -> None:
    if name == "none":
        if key == "targets" or mixed:
            raise ConfigError(f"none is not a {'target task' if key == 'targets' else 'task to mix'}")
        return
    task = tasks.get(name)
    if key == "intermediates" and not task.intermediate:
        raise ConfigError(f"{task.name} ({task.kind}) cannot be an intermediate task: it has no training set")


def explain(error: ValidationError, model: type[BaseModel], prefix: yaml.Path, note: Any) -> None:
    """Tell ``note(path, message)`` every mistake that pydantic found."""
    for item in error.errors(include_url=False):
        path = (*prefix, *item["loc"])
        if item["type"] == "too_short" and item["ctx"]["actual_length"] < len(item["input"]):
            continue  # members that are wrong are told of, and not that they are none
        if item["type"] == "extra_forbidden":
            fields = _fields(model, item["loc"][:-1])
            note(path, f"unknown key{near(str(item['loc'][-1]), fields)}")
        elif item["type"] == "missing":
            note(path, f"is required; give it in the file or as {'.'.join(map(str, path))}=VALUE")
        else:
            told = item["msg"].removeprefix("Value error, ")
            note(path, f"{told.lower()}, found {item['input']!r}")


def _fields(model: type[BaseModel], loc: Iterable[str | int]) -> Iterable[str]:
    found: type[BaseModel] | None = model
    for step in loc:
        if isinstance(step, str) and found is not None:
            inner = found.model_fields.get(step)
            args = (inner.annotation, *getattr(inner.annotation, "__args__", ())) if inner else ()
            found = next((a for a in args if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return found.model_fields if found else ()


def as_tuples(value: Any) -> Any:
    """Lists as tuples: the strict models hold tuples, YAML gives lists."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def _given(data: Any, path: yaml.Path) -> bool:
    if not path:
        return True
    first = path[0]
    return isinstance(data, Mapping) and (first in data or (first == "methods" and "method" in data))


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
