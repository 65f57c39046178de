"""Study files: strict YAML with overrides; every mistake is reported at once, with file, line and key."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adaptstilts import methods
from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.methods.full import Full
from adaptstilts.study.messages import explain, near, shown
from adaptstilts.study.overrides import override_key, set_value, split_override
from adaptstilts.study.parts import check_parts
from adaptstilts.study.places import Keys, Origin, Place, Problems
from adaptstilts.study.schema import Arm, Study
from adaptstilts.study.settings import StrictModel

_ENDINGS = {".yaml": ".yml", ".yml": ".yaml"}
_SECTIONS = ("intermediates", "targets", "methods", "compositions")
_WHOLE_MEMBER = ("task", "kind", "mixture", "chain", "merge", "masked", "adapter")  # a member is nothing without these
_STAND_INS = {"name": "study", "model": "unknown"}
_ANY_METHOD = Full()  # stands in for a wrong method, so that the rest is still checked
_ANY_TARGET = {"task": "xnli"}  # stands in if no target is right


@dataclass
class Draft:
    """A study file as far as it can be read.

    Attributes:
        study: all that is right in the file; None if that is too little.
        problems: all that is wrong in it.
        incomplete: the keys at the top of the file under which something is wrong.
        can_be_planned: whether a target and a method are left; others stand in for them if not.
    """

    study: Study | None
    problems: Problems
    incomplete: frozenset[str] = frozenset()
    can_be_planned: bool = True


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file.

    Args:
        path: a YAML file.
        overrides: ``key.path=value``, applied in order.

    Raises:
        ConfigError: file, line and key of *every* wrong key and value, with a suggestion if a known word is near.
    """
    return _finish(draft(path, overrides))


def parse(text: str, name: str = "study", overrides: Sequence[str] = ()) -> Study:
    """Read a study from text; see :func:`load`."""
    return _finish(_Reader(text, name, overrides).read())


def draft(path: str | Path, overrides: Sequence[str] = ()) -> Draft:
    """Read what is right in a study file, and collect what is wrong; see :func:`load`.

    Raises:
        ConfigError: the file is no YAML mapping.
    """
    return _Reader(read_text(path, "study"), str(path), overrides).read()


def read_text(path: str | Path, noun: str) -> str:
    """Return the text of a config file.

    Args:
        path: the file.
        noun: what kind of file it is, for messages.

    Raises:
        ConfigError: the file does not exist, is a named pipe or a device, or is not UTF-8.
    """
    try:
        if Path(path).is_fifo() and not os.path.realpath(path).startswith("/proc/"):  # but bash's <(...) is one there
            raise ConfigError(f"{path}: expected a {noun} file, found a named pipe")
        if Path(path).is_char_device() and os.path.realpath(path) != os.devnull:  # /dev/zero never ends
            raise ConfigError(f"{path}: expected a {noun} file, found a device")
        with open(path, encoding="utf-8-sig") as file:
            return file.read(yaml.MAX_BYTES + 1)  # which the parser refuses
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such {noun} file{_other_ending(Path(path))}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: expected a {noun} file, found a folder") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: the {noun} file cannot be read: {error.strerror}") from None


def _other_ending(path: Path) -> str:
    """Return the end of an error line that names a file beside it: with the other YAML ending, or a similar name."""
    other = path.with_suffix(_ENDINGS.get(path.suffix, ".yaml")) if path.name else path
    if other.is_file():
        return f"; did you mean {other}?"
    beside = sorted(each.name for each in path.parent.glob("*.y*ml") if each.is_file())
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.8)
    return f"; did you mean {path.with_name(near[0])}?" if near else ""


def as_tuples(value: Any) -> Any:
    """Return a value with tuples for lists: the strict models have tuples, YAML gives lists."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def _finish(result: Draft) -> Study:
    result.problems.raise_all()
    assert result.study is not None  # noqa: S101
    return result.study


class _Reader:
    """Reads one study file; mistakes are noted and do not stop it."""

    def __init__(self, text: str, name: str, overrides: Sequence[str]) -> None:
        document = yaml.parse(text, name)
        if not isinstance(document.data, dict):
            raise ConfigError(f"{name}: expected a mapping with the keys of a study, found {_type(document.data)}")
        self.origin = Origin(name, document.lines)
        if "method" in document.data and "methods" not in document.data:
            self.origin.spellings["methods", 0] = ("method",)
        self.problems = Problems()
        self.wrong: list[Keys] = []
        self.data = _without_shorthands(document.data)
        for override in overrides:
            try:
                self._apply(override)
            except ConfigError as error:
                self.problems.add(Place(), str(error))

    def read(self) -> Draft:
        """Return the study, or what is left of it without its mistakes."""
        study = self._study()
        if not self.problems:
            assert study is not None  # noqa: S101
            _set_places(study, Place(self.origin))
            return Draft(study, self.problems)
        incomplete = frozenset(str(keys[0]) for keys in self.wrong)
        study, can_be_planned = self._rest()
        return Draft(study, self.problems, incomplete, can_be_planned)

    def note(self, keys: Keys, message: str) -> None:
        """Note a mistake."""
        self.problems.add(Place(self.origin, keys), message)
        self.wrong.append(keys)

    def explain(self, error: ValidationError, cls: type[BaseModel], keys: Keys) -> None:
        """Note the mistakes that pydantic found in a part of the file."""
        wrong = explain(error, cls, Place(self.origin, keys), self.problems)
        self.wrong += [(*keys, *inner) for inner in wrong]

    def _apply(self, override: str) -> None:
        keys, value = split_override(override)
        if keys[0] == "method" and "methods" in self.data:
            self._apply_to_methods(keys[1:], value, override)
            return
        path = override_key(self.data, keys, value, override, Study.model_fields)
        if keys in (["model"], ["models"]):
            self.data.pop("models" if keys == ["model"] else "model", None)
        self.origin.overrides.append((path, override))
        self.data = _without_shorthands(self.data)

    def _apply_to_methods(self, keys: list[str], value: Any, override: str) -> None:
        """Apply ``method.x=v``, which sets x of every method of the study that has it."""
        entries = self.data["methods"] if isinstance(self.data["methods"], list) else []
        known: set[str] = set()
        fitting = []
        for number, entry in enumerate(entries):
            if isinstance(entry, dict):
                fields = {*methods.get(str(entry.get("kind", ""))).model_fields, *Arm.model_fields}
                known |= fields - {"method"}
                if keys and keys[0] in fields:
                    fitting.append(number)
        if not keys:
            raise ConfigError(f"override {override!r}: the study has a list of methods; give methods=[...]")
        if not fitting:
            hint = near(".".join(keys), known)
            raise ConfigError(f"override {override!r}: no method of this study has that key{hint}")
        for number in fitting:
            path = set_value(entries[number], keys, value, override)
            self.origin.overrides.append((("methods", number, *path), override))

    def _study(self) -> Study | None:
        """Return the study; note what is wrong with it."""
        entries = self.data.get("methods")
        arms = self._arms(entries)
        fields = {key: value for key, value in self.data.items() if key != "methods"}
        study = None
        try:
            study = Study.model_validate({**as_tuples(fields), "methods": arms or (Arm(method=_ANY_METHOD),)})
        except ValidationError as error:
            self.explain(error, Study, ())
        if not entries and not isinstance(entries, int | float | str):
            self.note(("methods",), "is required: a list of methods, for example [full, bottleneck]")
        self._check_models()
        check_parts(self.data, self.note, self.explain)
        return study

    def _check_models(self) -> None:
        """Note a base model that is given twice over."""
        if "models" not in self.data:
            return
        for key in ("model", "revision"):
            if self.data.get(key) is not None:
                hint = "; write NAME@REVISION" if key == "revision" else ""
                self.note((key,), f"cannot be combined with models{hint}")
        if self.data["models"] == []:
            self.note(("models",), "expected one model or more")

    def _arms(self, entries: Any) -> tuple[Arm, ...]:
        if entries is not None and not isinstance(entries, list):
            self.note(("methods",), f"expected a list of methods, found {shown(entries)}")
            return ()
        arms = (self._arm(("methods", number), entry) for number, entry in enumerate(entries or ()))
        return tuple(arm for arm in arms if arm is not None)

    def _arm(self, keys: Keys, entry: Any) -> Arm | None:
        """Return one method with its settings; None if something is wrong with it."""
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
            where = (*keys, "kind") if isinstance(entry, dict) and "kind" in entry else keys
            self.note(where, "expected the name of a method, or a mapping with `kind:`")
            return None
        outer, inner = _split_arm(entry)
        arm = None
        try:
            arm = Arm.model_validate({"method": _ANY_METHOD, **outer})
        except ValidationError as error:
            self.explain(error, Arm, keys)
        try:
            cls = methods.get(entry["kind"])
        except ConfigError as error:
            self.note((*keys, "kind"), str(error))
            return None
        try:
            method = cls.model_validate(inner)
        except ValidationError as error:
            self.explain(error, cls, keys)
            return None
        return arm and arm.model_copy(update={"method": method})

    def _rest(self) -> tuple[Study | None, bool]:
        """Return the study without what is wrong, and whether it has targets and methods of its own.

        Others stand in for them if it has none, so that the rest is still checked. The study is None if too little is
        left.
        """
        origin = Origin(self.origin.file, self.origin.lines, self.origin.overrides, self.origin.spellings)
        data = _without(self.data, self.wrong, origin)
        stand_ins = {key: value for key, value in _STAND_INS.items() if key != "model" or "models" not in data}
        data = {**stand_ins, **data}
        for section in ("intermediates", "compositions"):
            if data.get(section) == []:
                del data[section]
        has_both = bool(data.get("targets")) and bool(data.get("methods"))
        data["targets"] = data.get("targets") or [_ANY_TARGET]
        try:
            arms = []
            for entry in data.pop("methods", ()) or ():
                outer, inner = _split_arm(entry)
                method = methods.get(entry["kind"]).model_validate(inner)
                arms.append(Arm.model_validate({"method": method, **outer}))
            methods_left = tuple(arms) or (Arm(method=_ANY_METHOD),)
            study = Study.model_validate({**as_tuples(data), "methods": methods_left})
        except (ValidationError, ConfigError, KeyError, TypeError):
            return None, False
        _set_places(study, Place(origin))
        return study, has_both


def _without_shorthands(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a study file with its shorthands written out: ``method: x``, bare task and method names."""
    data = dict(data)
    if "method" in data and "methods" not in data:
        data["methods"] = [data.pop("method")]
    for section, name in (("intermediates", "task"), ("targets", "task"), ("methods", "kind")):
        data |= _named_members(data, section, name)
    if isinstance(data.get("methods"), list):
        data["methods"] = [
            entry | _named_members(entry, "compositions", "kind") if isinstance(entry, dict) else entry
            for entry in data["methods"]
        ]
    return data | _named_members(data, "compositions", "kind")


def _named_members(data: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    """Return a section whose members may be names with a mapping for each name."""
    members = data.get(section)
    if not isinstance(members, list):
        return {}
    return {section: [{name: member} if isinstance(member, str) else member for member in members]}


def _split_arm(entry: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an entry of ``methods`` says for :class:`Arm`, and what it says for the method itself."""
    outer = {key: as_tuples(entry[key]) for key in Arm.model_fields if key in entry and key != "method"}
    inner = {key: value for key, value in entry.items() if key not in outer}
    return outer, inner


def _without(data: Mapping[str, Any], wrong: Sequence[Keys], origin: Origin) -> dict[str, Any]:
    """Return the data of a study file without wrong values, and without members that are nothing without them.

    Args:
        data: data of the file.
        wrong: paths of the values.
        origin: is told which members of lists are left.
    """
    rest: dict[str, Any] = copy.deepcopy(dict(data))
    lost: dict[str, set[int]] = {section: set() for section in _SECTIONS}
    for keys in wrong:
        in_section = len(keys) > 1 and keys[0] in _SECTIONS and isinstance(keys[1], int)
        if not in_section:
            _remove(rest, keys)
            continue
        section, number = str(keys[0]), int(keys[1])
        if len(keys) == 2 or keys[2] in _WHOLE_MEMBER or section == "compositions":
            lost[section].add(number)
        else:
            _remove(rest[section][number], keys[2:])
    for section, numbers in lost.items():
        if numbers:
            left = [number for number in range(len(rest[section])) if number not in numbers]
            rest[section] = [rest[section][number] for number in left]
            origin.members[section,] = left
    return rest


def _remove(part: Any, keys: Keys) -> None:
    """Remove a value from a mapping; instead of a member of a list, remove the list."""
    if not isinstance(part, dict) or keys[0] not in part:
        return
    if len(keys) == 1 or isinstance(keys[1], int):
        del part[keys[0]]
    else:
        _remove(part[keys[0]], keys[1:])


def _set_places(model: BaseModel, place: Place) -> None:
    """Tell the parts of a study where they were written; those at their default have no place."""
    if isinstance(model, StrictModel):
        model.set_place(place)
    for name in model.model_fields_set:
        value = getattr(model, name)
        if isinstance(value, StrictModel):
            _set_places(value, place.at(name))
        elif isinstance(value, tuple):
            for number, member in enumerate(value):
                if isinstance(member, StrictModel):
                    _set_places(member, place.at(name, number))


def _type(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
