"""Registries: what ships, what is added, what plug-ins bring, and what is said of an unknown name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import pytest

from adaptstilts import registry
from adaptstilts.errors import ConfigError
from adaptstilts.registry import Registry

ODD_NAMES: tuple[Any, ...] = (None, "", 3, "a b", "../x", "x" * 300, "\n", "-x")


@dataclass(frozen=True)
class Colour:
    name: str
    value: int = 0


def colours(hint: str = "") -> Registry[Colour]:
    return Registry(
        "colour",
        "toy.colours",
        name_of=lambda colour: colour.name,
        is_member=lambda value: isinstance(value, Colour),
        expected="an instance of Colour",
        hint=hint,
    )


def plug_in(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    """Let one entry point of the group load ``value``, or raise it."""

    class Point(EntryPoint):
        def load(self) -> object:
            if isinstance(value, Exception):
                raise value
            return value

    points = EntryPoints([Point("toy", "toy_package:thing", "toy.colours")])
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))


def test_an_added_member_replaces_one_of_the_same_name() -> None:
    known = colours()
    known.add(Colour("red", 1))
    known.add(Colour("red", 2))
    assert known.get("red").value == 2
    known.remove("red")
    assert dict(known.known()) == {}


def test_an_unknown_name_suggests_the_nearest() -> None:
    known = colours()
    known.add(Colour("green"))
    with pytest.raises(ConfigError, match=r"^unknown colour 'gren'; did you mean green\?$"):
        known.get("gren")
    with pytest.raises(ConfigError, match=r"^unknown colour 'zz'; one of green$"):
        known.get("zz")
    with pytest.raises(ConfigError, match=r"^unknown colour 'zz'; look outside$"):
        colours(hint="look outside").get("zz")


def test_a_plug_in_brings_a_member_or_a_module_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Colour("blue"))
    assert list(colours().known()) == ["blue"]
    module = ModuleType("toy_package")
    module.a, module.b, module.other = Colour("a"), Colour("b"), "c"  # type: ignore[attr-defined]
    plug_in(monkeypatch, module)
    assert list(colours().known()) == ["a", "b"]


def test_a_plug_in_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ImportError("no module toy_package"))
    with pytest.raises(ConfigError, match=r"plug-in toy = toy_package:thing \(toy.colours\): cannot be loaded"):
        colours().known()
    plug_in(monkeypatch, "text")
    with pytest.raises(
        ConfigError, match=r"\(toy.colours\): not a colour: expected an instance of Colour, found 'text' \(str\)$"
    ):
        colours().known()
    plug_in(monkeypatch, Colour("a b"))
    with pytest.raises(ConfigError, match=r"\(toy.colours\): colour 'a b': expected a name of letters, digits"):
        colours().known()


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not a colour: expected an instance of Colour, found None (NoneType)"),
        (Colour, "not a colour: expected an instance of Colour, found the class Colour"),
        ("two\nlines", r"not a colour: expected an instance of Colour, found 'two\nlines' (str)"),
        (Unprintable(), "not a colour: expected an instance of Colour, found a Unprintable"),
        (Colour.__new__(Colour), "not a colour: a Colour has no name"),
        *((Colour(name), "expected a name of letters, digits, dots, dashes and underscores") for name in ODD_NAMES),
    ],
)
def test_what_is_no_member_is_refused(value: Any, reason: str) -> None:
    known = colours()
    with pytest.raises(ConfigError) as caught:
        known.add(value)
    assert str(caught.value).endswith(reason)
    assert "\n" not in str(caught.value)
    assert dict(known.known()) == {}


def _modules() -> list[Any]:
    from adaptstilts import kinds, methods, questions, search, tasks
    from adaptstilts.models import architectures
    from adaptstilts.plan import phases
    from adaptstilts.reports import formats
    from adaptstilts.runtime import loggers

    return [tasks, kinds, methods, architectures, phases, search, loggers, formats, questions]


@pytest.mark.parametrize("value", [None, "x", 3, {}, object, object()])
def test_every_registry_refuses_what_is_no_member(value: Any) -> None:
    for module in _modules():
        before = dict(module.known())
        with pytest.raises(ConfigError, match=f"^not a {module.REGISTRY.noun}: expected "):
            module.add(value)
        assert dict(module.known()) == before


def test_every_shipped_member_would_be_accepted() -> None:
    for module in _modules():
        for member in module.known().values():
            module.REGISTRY.check(member)


def test_modules_of_the_package_are_scanned() -> None:
    from adaptstilts import methods, tasks

    assert {"xnli", "squad", "sample_nli"} <= set(tasks.known())
    assert {"full", "lora", "bottleneck"} <= set(methods.known())
