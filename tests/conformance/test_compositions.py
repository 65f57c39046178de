"""Every method with every composition is right to 1e-5 or refused with one known line; and sums that have a meaning.

One variant of each method takes every composition, and the others take some; ADAPTSTILTS_EVERY_PAIR=1 runs the full
product.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import pytest
import torch
from support.attaching import CASES, ONE_OF_EACH, make, perturb, reference, states
from support.composition_bench import COLUMNS, METHODS, Bench, Cell, markdown
from support.inputs import make_data
from support.sampling import sampled

from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method, fusion
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.composition_kinds import CompositionKind, why_not
from adaptstilts.methods.full import Full
from adaptstilts.methods.fusion import Place, penalty, value_matrices
from adaptstilts.methods.head import Head
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate

PRODUCTS = "its weights are products of factors, and a sum of products has no factors of the same size"
PREFIX = "a network computes the prefix, and averaging networks does not average their prefixes"
DORA = "DoRA rescales whole weights, so the deltas of two adapters do not add up"
PARALLEL = "the library runs only the top one of stacked parallel adapters"
LOWEST = "in a stack, only the lowest adapter's invertible part acts"
WHOLE = (*ONE_OF_EACH, "full", "head", "head over seq", "seq-invertible", "parallel", "dora")
NO_FORM = "it attends over the outputs of bottleneck adapters, and this method has none"


@pytest.fixture(scope="session")
def bench(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("compositions")
    return Bench(tiny, make_data(folder / "data"), folder)


def unstackable(method: Method) -> str:
    if isinstance(method, Bottleneck):
        return PARALLEL if method.placement == "parallel" else LOWEST if method.invertible else ""
    return DORA if isinstance(method, Lora) and method.dora else ""


def unmergeable(method: Method) -> str:
    known = {"compacter": PRODUCTS, "prefix": PREFIX, "head": "it does not train the encoder"}
    return DORA if isinstance(method, Lora) and method.dora else known.get(method.kind, "")


def unfusable(method: Method) -> str:
    if not isinstance(method, Bottleneck):
        return NO_FORM
    if method.placement == "parallel":
        return "the library fuses parallel adapters at their input, not where their outputs are added"
    return "the invertible parts of fused adapters would be left out" if method.invertible else ""


def refusal(method: Method, column: str) -> str:
    """The line that a cell must be refused with; empty where it must be right."""
    told, below = f"method {method.label}", method.below
    if " on " in column:
        why = unstackable(below) if isinstance(below, Bottleneck) else "they are of another kind (bottleneck)"
        if why:
            return f"{told} on language adapters: cannot be trained over language adapters: {why}"
        told += " on language adapters"
    if below.kind == "head" and column != "none":
        return (
            f"{told}: an intermediate task would change nothing, because the encoder is not trained; name a"
            " method for it (over: bottleneck), or give intermediates=[none]"
        )
    stacked = "" if isinstance(method, Full | Head) else unstackable(method)
    fused, summed = "mnli+squad (fuse)", "mnli+squad (merge_then_stack: 0.5, -1.5)"
    if column.startswith("stack") and stacked:
        return f"{told}: cannot be trained over mnli: {stacked}"
    if column == "continue" and isinstance(method, Head):
        return f"{told}: it trains no adapter, so none can be continued"
    if column.startswith("fuse") and (why := unfusable(method)):
        return f"{told}: cannot be fused ({fused}): {why}"
    if column == "merge" and (why := unmergeable(method)):
        return f"{told}: cannot be merged (mnli (merge: 0.7, -0.4)): {why}"
    if column == "merge_then_stack" and (why := unmergeable(below)):
        return f"method {below.label}: cannot be merged ({summed}): {why}"
    if column == "merge_then_stack" and stacked:
        return f"{told}: cannot be trained over {summed}: {stacked}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "column"), sampled(METHODS, COLUMNS, WHOLE))
def test_right_or_refused(bench: Bench, name: str, column: str) -> None:
    method = METHODS[name]
    cell = bench.cell(method, column)
    assert cell.refused == refusal(method, column)
    if column in get_args(CompositionKind) and method.below.changes_encoder:
        assert bool(cell.refused) == bool(why_not(cast(CompositionKind, column), method))
    if cell.refused:
        assert len(cell.refused.splitlines()) == 1
        return
    assert cell.difference is not None
    assert cell.difference <= 1e-5
    assert cell.start <= 1e-5
    assert cell.exact == ("merge" not in column or (name.startswith("full") and column == "merge_then_stack"))
    if column == "continue":
        assert cell.start == 0.0 or method.kind == "full"


def test_the_matrix_has_no_third_value() -> None:
    found = {"x": {"none": Cell(3e-7, exact=True), "stack": Cell(1e-6), "fuse": Cell(refused="method x: why")}}
    assert markdown(found).splitlines()[2:] == ["| x | right (3e-07, =) | right (1e-06) | refused [1] |", "", "1. why"]


# Sums that have a meaning of their own.


def merged(tiny: Path, method: Method, held: list[tuple[Encoder, Method, float]], dropped: tuple[int, ...]) -> Encoder:
    """An encoder with the weighted sum, filled as the merge phase does, under the name ``m``."""
    parts = [(own, {k.replace(".a.", ".x."): v.detach() for k, v in e.delta("a").items()}) for e, own, _ in held]
    total = type(method).merged_tensors(parts, [weight for _, _, weight in held])
    whole = type(method).merged_method([own for _, own, _ in held])
    left = tuple(sorted({*getattr(whole, "leave_out", ()), *dropped}))
    encoder = Encoder(tiny, method.backend)
    encoder.add("m", whole.model_copy(update={"leave_out": left}), 1)
    encoder.fill("m", {key.replace(".m.", ".x."): total[key.replace(".m.", ".x.")] for key in encoder.delta("m")})
    encoder.compose(["m"])
    return encoder


def single(tiny: Path, method: Method, seed: int) -> Encoder:
    encoder = Encoder(tiny, method.backend)
    encoder.add("a", method, seed)
    perturb(encoder, "a", seed)
    return encoder


LORAS = [
    Lora(rank=2),
    Lora(rank=3, alpha=5),
    Lora(rank=4, rank_stabilized=True, alpha=7),
    Lora(rank=1, leave_out=(0,)),
]


WEIGHTS: list[tuple[tuple[float, float], tuple[int, ...]]] = [
    ((1.0, 1.0), ()),
    ((0.25, -1.5), (1, 3)),
    ((-2.0, 0.0), ()),
]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(len(LORAS)))
@pytest.mark.parametrize("second", range(len(LORAS)))
def test_a_sum_of_loras_is_the_sum_of_their_updates(tiny: Path, first: int, second: int) -> None:
    weights, dropped = WEIGHTS[(first + second) % len(WEIGHTS)]
    one, two = single(tiny, LORAS[first], 1), single(tiny, LORAS[second], 2)
    parts = [(one, LORAS[first], weights[0]), (two, LORAS[second], weights[1])]
    found = states(merged(tiny, LORAS[first], [*parts], dropped))
    both = Encoder(tiny, "peft")
    for name, (source, method, weight) in zip("ab", parts, strict=True):
        both.add(name, method, name)
        with torch.no_grad():
            for key, value in both.delta(name).items():
                kept = int(key.split(".layer.")[1].split(".")[0]) not in dropped
                value.copy_(source.delta("a")[key] * (weight * kept if "lora_B" in key else 1.0))
    both.compose(["a", "b"])
    assert torch.allclose(found, states(both), atol=1e-5)  # unmerged, as a stack
    assert torch.allclose(found, reference(both, ["a", "b"]), atol=1e-5)


@pytest.mark.parametrize(
    "method", [Ia3(leave_out=(0,)), BitFit(), LayerNorm(leave_out=(3,)), Bottleneck(), CASES["double-invertible"]]
)
def test_one_adapter_with_weight_one_is_itself(tiny: Path, method: Method) -> None:
    one = single(tiny, method, 1)
    one.compose(["a"])
    assert torch.allclose(states(merged(tiny, method, [(one, method, 1.0)], ())), states(one), atol=1e-6)
    cut = states(merged(tiny, method, [(one, method, 1.0)], (2,)))
    assert not torch.allclose(cut, states(one), atol=1e-3)
    opposite = merged(tiny, method, [(one, method, 1.0), (one, method, -1.0)], ())
    if method.kind != "bottleneck":
        assert torch.allclose(states(opposite), states(Encoder(tiny)), atol=1e-5)


@pytest.mark.parametrize("method", [BitFit(leave_out=(1,)), LayerNorm()])
def test_a_sum_of_offsets_is_a_stack_of_them(tiny: Path, method: Method) -> None:
    encoder = make(tiny, method, "a", "b")
    encoder.compose(["a", "b"])
    held = [(single_of(tiny, encoder, name, method), method, 1.0) for name in "ab"]
    assert torch.allclose(states(merged(tiny, method, held, ())), states(encoder), atol=1e-5)


def single_of(tiny: Path, encoder: Encoder, name: str, method: Method) -> Encoder:
    made = Encoder(tiny, method.backend)
    made.add("a", method, 1)
    made.fill("a", {key.replace(f".{name}.", ".x."): value for key, value in encoder.delta(name).items()})
    return made


def test_ia3_sums_what_scales_move_and_not_their_product(tiny: Path) -> None:
    one, two = single(tiny, Ia3(), 1), single(tiny, Ia3(leave_out=(2,)), 2)
    encoder = merged(tiny, Ia3(), [(one, Ia3(), 0.5), (two, Ia3(leave_out=(2,)), -1.0)], ())
    other = two.delta("a")
    for key, value in encoder.delta("m").items():
        expected = 1 + 0.5 * (one.delta("a")[key] - 1) - ((other[key] - 1) if key in other else 0)
        assert torch.allclose(value, expected, atol=1e-6)
    assert torch.allclose(states(encoder), reference(encoder, ["m"]), atol=1e-5)


# AdapterFusion, as the library computes it.

SEQ, DOUBLE = Bottleneck(reduction=4), Bottleneck(reduction=4, placement="double")


@pytest.mark.parametrize(
    ("methods", "places"),
    [
        ({"a": SEQ, "b": SEQ}, [("a", "b")]),
        ({"a": SEQ, "b": Bottleneck(reduction=8), "c": SEQ}, [("c", "a", "b")]),
        ({"a": DOUBLE, "b": DOUBLE}, [("a", "b")]),
        ({"a": DOUBLE, "b": Bottleneck(reduction=8, placement="double"), "c": DOUBLE}, [("b", "c", "a")]),
        ({"a": SEQ, "b": Bottleneck(reduction=4, leave_out=(0, 2))}, [("a", "b")]),
        ({"a": Bottleneck(reduction=4, leave_out=(0, 2)), "b": SEQ}, [("a", "b")]),
        ({"a": Bottleneck(leave_out=(0, 1)), "b": Bottleneck(leave_out=(0, 2))}, [("a", "b")]),
        ({"l": SEQ, "a": SEQ, "b": SEQ}, ["l", ("a", "b")]),
        ({"l": Bottleneck(reduction=2, invertible=True), "a": SEQ, "b": SEQ}, ["l", ("a", "b")]),
        ({"l": DOUBLE, "a": SEQ, "b": SEQ}, ["l", ("a", "b")]),
        ({"l": SEQ, "a": DOUBLE, "b": DOUBLE}, ["l", ("a", "b")]),
        ({"l": SEQ, "a": Bottleneck(leave_out=(1,)), "b": Bottleneck(leave_out=(1,))}, ["l", ("a", "b")]),
        ({"a": SEQ, "b": SEQ, "c": SEQ, "d": SEQ}, [("a", "b"), ("d", "c")]),
        ({"a": SEQ, "b": SEQ, "t": SEQ}, [("a", "b"), "t"]),
    ],
)
def test_fusion_equals_the_formula(tiny: Path, tmp_path: Path, methods: dict[str, Method], places: list[Place]) -> None:
    encoder = Encoder(tiny, "adapters")
    for name, method in methods.items():
        encoder.add(name, method, name)
        perturb(encoder, name, ord(name))
    for place in [place for place in places if isinstance(place, tuple)]:
        encoder.fuse(place, 1)
        perturb(encoder, place, len(place))
        encoder.save(place, tmp_path / "-".join(place))
    encoder.compose(places)
    found = states(encoder)
    assert torch.allclose(found, reference(encoder, places), atol=1e-5)
    for place in [place for place in places if isinstance(place, tuple)]:
        encoder.remove(place)
        encoder.load_fusion(place, tmp_path / "-".join(place))
    encoder.compose(places)
    assert torch.equal(states(encoder), found)
    encoder.compose([])
    assert torch.equal(states(encoder), states(Encoder(tiny)))


@pytest.mark.parametrize("method", [SEQ, DOUBLE, Bottleneck(leave_out=(0,))])
def test_only_the_fusion_trains_and_is_held_at_the_identity(tiny: Path, method: Bottleneck) -> None:
    encoder = make(tiny, method, "a", "b")
    encoder.fuse(("a", "b"), 1)
    held = encoder.delta(("a", "b"))
    assert float(penalty(value_matrices(held)).detach()) < 1e-6
    encoder.compose([("a", "b")], train=("a", "b"))
    encoder.trunk.train()
    encoder.states(torch.tensor([[0, 10, 11, 2]]), torch.ones(1, 4).long()).square().sum().backward()
    graded = {key for key, value in encoder.trunk.named_parameters() if value.grad is not None}
    assert len(graded) == len(held) == 5 * len(method.layers(4)) * (2 if method.placement == "double" else 1)
    assert sum(value.numel() for value in held.values()) == fusion.trainable(method, locate(str(tiny)).shape)
    perturb(encoder, ("a", "b"))
    eye = torch.eye(32)
    expected = sum(0.01 * float((value.detach() - eye).square().sum()) for value in value_matrices(held))
    assert float(penalty(value_matrices(held)).detach()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ((Lora(rank=2), Lora(rank=2)), NO_FORM),
        ((SEQ, DOUBLE), "different placements"),
        ((SEQ, Bottleneck(placement="parallel")), "the library fuses parallel adapters at their input"),
        ((SEQ, Bottleneck(invertible=True)), "invertible parts of fused adapters"),
    ],
)
def test_what_cannot_be_fused_is_refused(tiny: Path, methods: tuple[Method, Method], message: str) -> None:
    encoder = Encoder(tiny, methods[0].backend)
    for name, method in zip("ab", methods, strict=True):
        encoder.add(name, method, name)
    with pytest.raises(ConfigError, match=message):
        encoder.fuse(("a", "b"), 1)
    for members in (("a",), ("a", "a"), ("a", "z")):
        with pytest.raises(ConfigError, match="needs two or more attached adapters"):
            encoder.fuse(members, 1)
    with pytest.raises(ConfigError, match="no fusion of a, b; attach it first"):
        encoder.compose([("a", "b")])
