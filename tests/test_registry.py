"""Registries: what ships, what is added, what plug-ins bring, and what is said of an unknown name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from adaptstilts import registry
from adaptstilts.errors import ConfigError
from adaptstilts.registry import Registry


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
    with pytest.raises(ConfigError, match="not a colour"):
        colours().known()


def test_modules_of_the_package_are_scanned() -> None:
    from adaptstilts import methods, tasks

    assert {"xnli", "squad", "sample_nli"} <= set(tasks.known())
    assert {"full", "lora", "bottleneck"} <= set(methods.known())
