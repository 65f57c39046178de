"""One suite for every method: what attaches to an encoder is exactly what was asked for, and survives the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.attaching import (
    CASES,
    IDS,
    MASK,
    bare,
    make,
    method_cases,
    perturb,
    reference,
    some,
    stacked_cases,
    states,
    tensors_of,
    weights,
)
from torch import Tensor

from adaptstilts import methods
from adaptstilts.errors import ConfigError
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.full import Full
from adaptstilts.methods.head import Head
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models.architectures.xlm_roberta import ARCHITECTURE
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate


@method_cases
def test_save_and_load_is_the_identity_to_the_bit(tiny: Path, tmp_path: Path, method: Method) -> None:
    first = make(tiny, method, "a")
    first.compose(["a"])
    expected = states(first)
    assert not torch.equal(expected, bare(tiny))
    first.save("a", tmp_path / "a")
    second = Encoder(tiny, method.backend)
    second.load("b", method, tmp_path / "a")
    second.compose(["b"])
    assert torch.equal(states(second), expected)
    mine, theirs = tensors_of(first, "a").values(), tensors_of(second, "b").values()
    assert all(torch.equal(x, y) for x, y in zip(mine, theirs, strict=True))
    second.save("b", tmp_path / "b")
    again = load_file(weights(tmp_path / "b"))
    original = load_file(weights(tmp_path / "a"))
    assert set(again) == set(original)


@pytest.mark.parametrize("case", ["seq", "compacter", "lora-six", "dora-six", "ia3", "bitfit", "prefix"])
@pytest.mark.parametrize("name", ["output", "layer"])
def test_an_adapter_may_be_called_like_a_module(tiny: Path, tmp_path: Path, case: str, name: str) -> None:
    encoder = make(tiny, CASES[case], name)
    encoder.compose([name])
    expected = states(encoder)
    encoder.save(name, tmp_path / name)
    other = Encoder(tiny, CASES[case].backend)
    other.load("b", CASES[case], tmp_path / name)
    other.compose(["b"])
    assert torch.equal(states(other), expected)


@method_cases
def test_config_survives_the_disk(tiny: Path, tmp_path: Path, method: Method) -> None:
    make(tiny, method, "a").save("a", tmp_path)
    assert type(method).read_config(tmp_path, 4, ARCHITECTURE.names) == method
    assert methods.parse(method.identity()) == method


@method_cases
def test_nothing_active_is_the_base_to_the_bit(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    assert torch.equal(states(encoder), bare(tiny))
    encoder.compose(["a"])
    assert not torch.equal(states(encoder), bare(tiny))
    encoder.compose([])
    assert torch.equal(states(encoder), bare(tiny))
    encoder.compose(["b"])
    encoder.remove("b")
    assert torch.equal(states(encoder), bare(tiny))
    encoder.compose(["a"])
    encoder.remove("a")
    assert torch.equal(states(encoder), bare(tiny))
    assert encoder.methods == {}
    left = [key for key, _ in encoder.trunk.named_parameters() if {"a", "b"} & set(key.split("."))]
    assert left == []


@method_cases
def test_fresh_delta_is_not_the_perturbed_one(tiny: Path, method: Method) -> None:
    encoder = Encoder(tiny, method.backend)
    encoder.add("a", method, 1)
    encoder.compose(["a"])
    before = states(encoder)
    perturb(encoder, "a")
    assert not torch.equal(states(encoder), before)


@method_cases
def test_only_declared_parameters_train(tiny: Path, method: Method) -> None:
    encoder, names = make(tiny, method, "a", "b"), some(method, "a", "b")
    encoder.compose(names, train="b")
    trainable = encoder.parameters()
    assert sum(value.numel() for value in trainable.values()) == method.trainable(locate(str(tiny)).shape)
    assert {id(v) for v in trainable.values()} == {id(v) for v in encoder.delta("b").values()}
    assert not {id(v) for v in trainable.values()} & {id(v) for v in encoder.delta("a").values()}
    encoder.trunk.train()
    encoder.states(IDS, MASK).square().sum().backward()
    with_gradient = {key for key, value in encoder.trunk.named_parameters() if value.grad is not None}
    assert with_gradient == set(trainable)
    encoder.compose(names)
    assert encoder.parameters() == {}


@pytest.mark.parametrize("embeddings", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_full_trains_everything_but_what_is_frozen(tiny: Path, embeddings: bool, layers: int) -> None:
    method = Full(freeze_embeddings=embeddings, freeze_layers=layers)
    encoder = Encoder(tiny)
    encoder.train_all(method.frozen_modules(encoder.host))
    trained = encoder.parameters()
    assert sum(value.numel() for value in trained.values()) == method.trainable(locate(str(tiny)).shape)
    assert any(key.startswith("embeddings.") for key in trained) != embeddings
    assert {int(key.split(".")[2]) for key in trained if key.startswith("encoder.")} == set(method.layers(4))
    encoder.trunk.train()
    encoder.states(IDS, MASK).square().sum().backward()
    with_gradient = {key for key, value in encoder.trunk.named_parameters() if value.grad is not None}
    assert with_gradient == set(trained)


def test_plain_full_is_what_it_was() -> None:
    assert Full().identity() == {"kind": "full"}
    assert Full(freeze_layers=2).label == "full freeze_layers=2"


def test_methods_say_what_they_do() -> None:
    assert {kind for kind, method in methods.known().items() if method.trains_encoder} == {"full"}
    assert {kind for kind, method in methods.known().items() if not method.attaches} == {"full", "head"}
    assert all(issubclass(method, AdapterMethod) == method.attaches for method in methods.known().values())
    assert not Head().changes_encoder
    assert Head().trainable({}) == 0
    assert Full().changes_encoder and Full().is_reference  # noqa: PT018
    assert not any(method.is_reference for method in (Full(freeze_layers=1), Lora(), Head()))


def test_head_says_what_it_is_on() -> None:
    over = Head.model_validate({"kind": "head", "over": {"kind": "bottleneck", "leave_out": [1]}})
    assert over.below == Bottleneck(leave_out=(1,))
    assert over.label == "head over bottleneck leave_out=[1]"
    assert over.identity() == Head().identity() == {"kind": "head"}
    assert Head.model_validate({"over": "lora"}).below == Lora()
    assert Head().below == Head()
    for wrong in ({"kind": "lora", "rank": 0}, {"kind": "lora", "x": 1}, 3, {}, {"rank": 2}):
        with pytest.raises(ValueError, match="over"):
            Head.model_validate({"over": wrong})


@method_cases
def test_training_the_target_changes_nothing_else(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "under", "target")
    encoder.compose(some(method, "under", "target"), train="target")
    ids = {id(value) for value in encoder.delta("target").values()}
    rest = {k: v.detach().clone() for k, v in encoder.trunk.named_parameters() if id(v) not in ids}
    target = tensors_of(encoder, "target")
    optimizer = torch.optim.AdamW(encoder.parameters().values(), lr=0.1)
    encoder.trunk.train()
    for _ in range(3):
        encoder.states(IDS, MASK).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    now = dict(encoder.trunk.named_parameters())
    assert all(torch.equal(now[key], value) for key, value in rest.items())
    assert all(not torch.equal(value, target[key]) for key, value in encoder.delta("target").items())
    encoder.compose([])
    assert torch.equal(states(encoder), bare(tiny))


@method_cases
def test_two_names_coexist_and_swapping_back_gives_the_same_bits(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b", "target")
    found = {}
    for names in (["a"], ["b"], ["a", "target"], ["b", "target"], ["target"]):
        if some(method, *names) == names:
            encoder.compose(names)
            found[tuple(names)] = states(encoder)
    values = list(found.values())
    assert all(not torch.equal(x, y) for i, x in enumerate(values) for y in values[:i])
    for names, value in found.items():
        encoder.compose(list(names))
        assert torch.equal(states(encoder), value)
    alone = make(tiny, method, "a")
    alone.compose(["a"])
    assert torch.equal(states(alone), found["a",])


@method_cases
def test_order_of_loading_does_not_matter(tiny: Path, tmp_path: Path, method: Method) -> None:
    source = make(tiny, method, "a", "b")
    for name in "ab":
        source.save(name, tmp_path / name)
    found = []
    for order in ("ab", "ba"):
        encoder = Encoder(tiny, method.backend)
        for name in order:
            encoder.load(name, method, tmp_path / name)
        encoder.compose(some(method, "a", "b"))
        found.append(states(encoder))
    source.compose(some(method, "a", "b"))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], states(source))


@method_cases
def test_removing_one_leaves_the_other(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    encoder.compose(["b"])
    expected = states(encoder)
    encoder.compose(some(method, "a", "b"))
    encoder.remove("a")
    encoder.compose(["b"])
    assert torch.equal(states(encoder), expected)
    with pytest.raises(ConfigError, match="'a'"):
        encoder.compose(["a"])


def varied(value: Tensor) -> bool:
    """Whether initial weights are drawn, and not all the same number."""
    return bool((value != value.flatten()[0]).any())


@method_cases
def test_initial_weights_depend_on_the_seed_alone(tiny: Path, method: Method) -> None:
    def first(*order: str, seed: int = 1) -> dict[str, Tensor]:
        torch.manual_seed(len(order))
        encoder = Encoder(tiny, method.backend)
        for name in order:
            encoder.add(name, method, name, seed)
        return tensors_of(encoder, "a")

    alone, later, other = first("a"), first("c", "b", "a"), first("a", seed=2)
    assert all(torch.equal(later[key], value) for key, value in alone.items())
    if any(varied(value) for value in alone.values()):
        assert any(not torch.equal(other[key], value) for key, value in alone.items())


@method_cases
def test_layers_do_not_share_initial_weights(tiny: Path, method: Method) -> None:
    encoder = Encoder(tiny, method.backend)
    encoder.add("a", method, 1)
    random = [value for value in tensors_of(encoder, "a").values() if varied(value)]
    assert all(not torch.equal(x, y) for i, x in enumerate(random) for y in random[:i] if x.shape == y.shape)


@method_cases
def test_adding_leaves_the_global_generator_alone(tiny: Path, method: Method) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    Encoder(tiny, method.backend).add("a", method, 1)
    assert torch.equal(torch.rand(3), expected)


@method_cases
def test_bf16_autocast_is_finite_and_near(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    encoder.compose(some(method, "a", "b"), train="b")
    exact = states(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        near = states(encoder).float()
    assert torch.isfinite(near).all()
    assert torch.nn.functional.cosine_similarity(near, exact, dim=-1).min() > 0.95
    encoder.trunk.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = encoder.states(IDS, MASK).float().square().sum()
    loss.backward()
    assert all(torch.isfinite(value.grad).all() for value in encoder.parameters().values())


# What stacking computes, against formulas written out here.


def test_the_reference_is_the_plain_encoder_without_adapters(tiny: Path) -> None:
    assert torch.allclose(reference(Encoder(tiny), []), bare(tiny), atol=1e-5)


@method_cases
def test_one_equals_the_formula(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    encoder.compose(["a"])
    assert torch.allclose(states(encoder), reference(encoder, ["a"]), atol=1e-5)


@stacked_cases
@pytest.mark.parametrize("names", [["a", "b"], ["b", "a"], ["c", "a", "b"]], ids="-".join)
def test_stack_equals_the_formula(tiny: Path, method: Method, names: list[str]) -> None:
    encoder = make(tiny, method, "a", "b", "c")
    encoder.compose(names)
    assert torch.allclose(states(encoder), reference(encoder, names), atol=1e-5)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (Bottleneck(reduction=4, leave_out=(2, 3)), Bottleneck(reduction=8, leave_out=(0, 1))),
        (Bottleneck(reduction=4, leave_out=(0, 1)), Bottleneck(reduction=8, leave_out=(2, 3))),
        (Bottleneck(reduction=4, invertible=True), Bottleneck(reduction=8, placement="double")),
        (Bottleneck(reduction=4, placement="double", invertible=True), Bottleneck(reduction=8, leave_out=(0, 1))),
        (Lora(rank=2, leave_out=(2, 3)), Lora(rank=4, targets=("key",), leave_out=(0, 1))),
        (Lora(rank=2, leave_out=(0, 1)), Lora(rank=4, targets=("key",), leave_out=(2, 3))),
        (Lora(rank=2, targets=("query", "output")), Lora(rank=4, rank_stabilized=True, targets=("attention_output",))),
        (Compacter(reduction=4, leave_out=(1,)), Compacter(reduction=8, placement="double", leave_out=(0,))),
        (Ia3(leave_out=(2, 3)), Ia3(leave_out=(0, 3))),
        (BitFit(leave_out=(0, 1)), BitFit(leave_out=(1, 2))),
        (LayerNorm(leave_out=(0, 1)), LayerNorm()),
        (Prefix(length=2, inner=4, leave_out=(0,)), Prefix(length=5, inner=8, leave_out=(3,))),
    ],
)
def test_stack_of_different_shapes_equals_the_formula(tiny: Path, lower: Method, upper: Method) -> None:
    encoder = Encoder(tiny, lower.backend)
    for name, method in (("a", lower), ("b", upper)):
        encoder.add(name, method, name)
        perturb(encoder, name, ord(name))
    encoder.compose(["a", "b"], train="b")
    assert torch.allclose(states(encoder), reference(encoder, ["a", "b"]), atol=1e-5)


def test_every_method_is_covered() -> None:
    assert {method.kind for method in CASES.values()} == set(methods.known()) - {"full", "head"}


def test_order_matters_for_bottlenecks_alone(tiny: Path) -> None:
    for name in ("seq", "double", "compacter", "lora", "ia3", "bitfit", "layernorm", "prefix"):
        encoder = make(tiny, CASES[name], "a", "b")
        encoder.compose(["a", "b"])
        one = states(encoder)
        encoder.compose(["b", "a"])
        assert torch.allclose(states(encoder), one, atol=1e-5) == (name not in ("seq", "double", "compacter"))
