"""The guard of an encoder: what it refuses to compose, and what it notices, for every method."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.attaching import CASES, make, method_cases, some

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder


def test_backends_do_not_mix(tiny: Path) -> None:
    for backend, method in (("adapters", Lora()), ("peft", Bottleneck()), ("plain", Lora()), ("plain", Bottleneck())):
        with pytest.raises(ConfigError, match="backend"):
            Encoder(tiny, backend).add("a", method, 1)


@method_cases
def test_impossible_compositions_are_refused(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a")
    with pytest.raises(ConfigError, match="no adapter called 'b'"):
        encoder.compose(["a", "b"])
    with pytest.raises(ConfigError, match="stacked on itself"):
        encoder.compose(["a", "a"])
    with pytest.raises(ConfigError, match="attached already"):
        encoder.add("a", method, 1)
    with pytest.raises(ConfigError, match="without adapters"):
        encoder.train_all()


def test_method_that_cannot_be_stacked_is_refused(tiny: Path) -> None:
    class Alone(Lora):
        def why_not_stackable(self) -> str | None:
            return "it must be alone"

    encoder = Encoder(tiny, "peft")
    for name in "ab":
        encoder.add(name, Alone(rank=2), name)
    encoder.compose(["a"])
    with pytest.raises(ConfigError, match="cannot be stacked: it must be alone"):
        encoder.compose(["a", "b"])


@method_cases
def test_stacking_is_as_the_method_says(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    if told := method.why_not_stackable() or method.why_not_above():
        with pytest.raises(ConfigError, match=rf"cannot be stacked: {re.escape(told)}$"):
            encoder.compose(["a", "b"])
    else:
        encoder.compose(["a", "b"])


def test_kinds_are_not_mixed(tiny: Path) -> None:
    encoder = make(tiny, Lora(rank=2), "a")
    with pytest.raises(ConfigError, match="ia3 cannot be attached beside lora"):
        encoder.add("b", Ia3(), 1)
    encoder.remove("a")
    encoder.add("b", Ia3(), 1)


@method_cases
def test_guard_notices_what_trains(tiny: Path, method: Method) -> None:
    encoder, names = make(tiny, method, "a", "b"), some(method, "a", "b")
    encoder.compose(names, train="b")
    encoder.check(names, "b")
    for value in (next(iter(encoder.delta("a").values())), encoder.trunk.embeddings.word_embeddings.weight):
        value.requires_grad_(True)
        with pytest.raises(ArtifactError, match="would be trained"):
            encoder.check(names, "b")
        value.requires_grad_(False)
    encoder.check(names, "b")
    next(iter(encoder.delta("b").values())).requires_grad_(False)
    with pytest.raises(ArtifactError, match="would be trained"):
        encoder.check(names, "b")


@method_cases
def test_guard_notices_what_acts(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    for wanted, acting in ((["a"], ["b"]), (["a"], []), ([], ["a"])):
        encoder.compose(wanted)
        method.activate(encoder.host, acting)
        with pytest.raises(ArtifactError, match="active adapters"):
            encoder.check(wanted, None)
    encoder.compose(["a"])
    method.remove(encoder.host, "a")
    with pytest.raises(ArtifactError, match=r"active adapters|'a'"):
        encoder.check(["a"], None)


@pytest.mark.parametrize("name", ["seq", "lora"])
def test_guard_notices_what_was_attached_behind_its_back(tiny: Path, name: str) -> None:
    encoder = make(tiny, CASES[name], "a")
    encoder.compose(["a"], train="a")
    CASES[name].add(encoder.host, "z")
    CASES[name].activate(encoder.host, ["a"])
    for key, value in encoder.trunk.named_parameters():
        value.requires_grad_(".adapters." in key or ".lora_" in key)
    with pytest.raises(ArtifactError, match="would be trained"):
        encoder.check(["a"], "a")


@pytest.mark.parametrize("name", ["seq", "double"])
def test_guard_notices_another_active_bottleneck(tiny: Path, name: str) -> None:
    from adapters.composition import Average, Parallel, Stack

    encoder = make(tiny, CASES[name], "a", "b")
    encoder.compose(["a", "b"])
    for setup in ("a", Stack("b", "a"), Parallel("a", "b"), Average("a", "b"), None):
        encoder.trunk.set_active_adapters(setup)
        with pytest.raises(ArtifactError, match="active adapters"):
            encoder.check(["a", "b"], None)


def test_guard_notices_a_deleted_bottleneck(tiny: Path) -> None:
    encoder = make(tiny, CASES["seq"], "a", "b")
    encoder.compose(["a", "b"])
    encoder.trunk.delete_adapter("b")
    with pytest.raises(ArtifactError, match="'b'"):
        encoder.check(["a", "b"], None)


def lora_layers(encoder: Encoder) -> list:
    from peft.tuners.lora import LoraLayer

    return [module for module in encoder.trunk.modules() if isinstance(module, LoraLayer)]


def one_other(modules: list) -> None:
    modules[-1].set_adapter(["a"])


def all_other(modules: list) -> None:
    for module in modules:
        module.set_adapter(["b"])


def one_disabled(modules: list) -> None:
    modules[0].enable_adapters(False)


def all_disabled(modules: list) -> None:
    for module in modules:
        module.enable_adapters(False)


def one_merged(modules: list) -> None:
    modules[0].merge(adapter_names=["a"])


def one_deleted(modules: list) -> None:
    modules[0].delete_adapter("b")


@pytest.mark.parametrize("sabotage", [one_other, all_other, one_disabled, all_disabled, one_merged, one_deleted])
def test_guard_notices_another_active_lora(tiny: Path, sabotage: Callable[[list], None]) -> None:
    encoder = make(tiny, CASES["lora"], "a", "b")
    encoder.compose(["a", "b"])
    sabotage(lora_layers(encoder))
    encoder.trunk.requires_grad_(False)
    with pytest.raises(ArtifactError, match=r"active adapters|modules in layers"):
        encoder.check(["a", "b"], None)
