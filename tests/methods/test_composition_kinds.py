"""What is said about compositions: each has a description, and the methods that support it are those that plan it."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
from typer.testing import CliRunner

from adaptstilts import methods
from adaptstilts.cli.app import app
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.composition_kinds import DESCRIPTIONS, CompositionKind, supporting, why_not
from adaptstilts.methods.head import Head
from adaptstilts.methods.lora import Lora


def test_every_composition_has_a_description() -> None:
    assert tuple(DESCRIPTIONS) == get_args(CompositionKind)


def test_the_verb_lists_every_composition_and_who_supports_it() -> None:
    lines = CliRunner().invoke(app, ["methods"]).output.splitlines()
    for kind, description in DESCRIPTIONS.items():
        here = lines.index(f"{kind}: {description}")
        assert lines[here + 1] == f"    methods: {', '.join(supporting(kind))}"
    assert all(any(line.startswith(f"{kind}: ") for line in lines) for kind in methods.known())


def test_settings_that_rule_a_composition_out_are_named() -> None:
    assert list(supporting("fuse")) == ["bottleneck (not placement=parallel, invertible=True)"]
    assert "lora (not dora=True)" in supporting("merge")
    assert not {"compacter", "prefix", "head"} & set(supporting("merge"))
    assert set(supporting("none")) == set(methods.known())


def test_reasons_are_those_of_the_methods() -> None:
    assert why_not("stack", Lora(dora=True)) == Lora(dora=True).why_not_stackable()
    assert why_not("stack", Bottleneck(invertible=True)) == Bottleneck(invertible=True).why_not_above()
    assert why_not("merge_then_stack", Head(over=Lora(dora=True))) == Lora(dora=True).why_not_mergeable()
    assert why_not("merge_then_stack", Head(over=Lora())) is None
    assert why_not("continue", Head(over=Lora())) == "it has no adapter to continue"


def test_a_method_from_outside_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Outside(Method):
        """Needs a setting."""

        kind: Literal["outside"] = "outside"
        size: int

    monkeypatch.setattr(methods.REGISTRY, "_added", {})
    methods.add(Outside)
    assert "outside (depends on its settings)" in supporting("stack")
