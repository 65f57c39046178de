"""One suite for every method: what attaches to an encoder is exactly what was asked for, and survives the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adaptstilts import methods
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.full import Full
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.source import locate

CASES: dict[str, Method] = {
    "seq": Bottleneck(reduction=4),
    "double": Bottleneck(reduction=4, placement="double"),
    "seq-leave-out": Bottleneck(reduction=5, leave_out=(0, 2)),
    "seq-narrow": Bottleneck(reduction=64),
    "double-unsorted": Bottleneck(reduction=4, placement="double", leave_out=(3, 0)),
    "lora": Lora(rank=2),
    "lora-key-alpha": Lora(rank=3, alpha=5, targets=("key",)),
    "lora-all-leave-out": Lora(rank=2, targets=("query", "key", "value"), leave_out=(0, 1)),
    "lora-unsorted": Lora(rank=2, targets=("value", "query"), leave_out=(3, 0)),
}
IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()

method_cases = pytest.mark.parametrize("method", CASES.values(), ids=CASES.keys())


def perturb(encoder: Encoder, name: str, seed: int = 0) -> None:
    """Give every weight of a delta a value that no initialisation gives."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in encoder.delta(name).values():
            value.copy_(0.2 * torch.randn(value.shape, generator=noise))


def states(encoder: Encoder) -> Tensor:
    encoder.trunk.eval()
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


def held(encoder: Encoder, name: str) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in encoder.delta(name).items()}


@pytest.fixture
def base(tiny: Path) -> Tensor:
    return states(Encoder(tiny))


@pytest.fixture
def make(tiny: Path) -> Callable[..., Encoder]:
    """An encoder with perturbed deltas of one method under the given names."""

    def build(method: Method, *names: str) -> Encoder:
        encoder = Encoder(tiny, method.backend)
        for i, name in enumerate(names):
            encoder.add(name, method, name)
            perturb(encoder, name, seed=i)
        return encoder

    return build


@pytest.fixture
def saved(make: Callable[..., Encoder], tmp_path: Path) -> Callable[[Method], Path]:
    """A folder with a perturbed delta of a method."""

    def write(method: Method) -> Path:
        make(method, "a").save("a", tmp_path / "saved")
        return tmp_path / "saved"

    return write


def weights(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


@method_cases
def test_save_and_load_is_the_identity_to_the_bit(
    make: Callable[..., Encoder], tiny: Path, tmp_path: Path, method: Method, base: Tensor
) -> None:
    first = make(method, "a")
    first.compose(["a"])
    expected = states(first)
    assert not torch.equal(expected, base)
    first.save("a", tmp_path / "a")
    second = Encoder(tiny, method.backend)
    second.load("b", method, tmp_path / "a")
    second.compose(["b"])
    assert torch.equal(states(second), expected)
    mine, theirs = held(first, "a").values(), held(second, "b").values()
    assert all(torch.equal(x, y) for x, y in zip(mine, theirs, strict=True))
    second.save("b", tmp_path / "b")
    again = load_file(weights(tmp_path / "b"))
    original = load_file(weights(tmp_path / "a"))
    assert {key.replace(".b.", ".a.") for key in again} == set(original)


@method_cases
def test_config_survives_the_disk(make: Callable[..., Encoder], tmp_path: Path, method: Method) -> None:
    make(method, "a").save("a", tmp_path)
    assert type(method).read_config(tmp_path, 4) == method
    assert methods.parse(method.identity()) == method


@method_cases
def test_nothing_active_is_the_base_to_the_bit(make: Callable[..., Encoder], method: Method, base: Tensor) -> None:
    encoder = make(method, "a", "b")
    assert torch.equal(states(encoder), base)
    encoder.compose(["a"])
    assert not torch.equal(states(encoder), base)
    encoder.compose([])
    assert torch.equal(states(encoder), base)
    encoder.compose(["b"])
    encoder.remove("b")
    assert torch.equal(states(encoder), base)
    encoder.compose(["a"])
    encoder.remove("a")
    assert torch.equal(states(encoder), base)
    assert encoder.methods == {}


@method_cases
def test_fresh_delta_is_not_the_perturbed_one(tiny: Path, method: Method) -> None:
    encoder = Encoder(tiny, method.backend)
    encoder.add("a", method, 1)
    encoder.compose(["a"])
    before = states(encoder)
    perturb(encoder, "a")
    assert not torch.equal(states(encoder), before)


@method_cases
def test_only_declared_parameters_train(make: Callable[..., Encoder], tiny: Path, method: Method) -> None:
    encoder = make(method, "a", "b")
    encoder.compose(["a", "b"], train="b")
    trainable = encoder.parameters()
    assert sum(value.numel() for value in trainable.values()) == method.trainable(locate(str(tiny)).shape)
    assert {id(v) for v in trainable.values()} == {id(v) for v in encoder.delta("b").values()}
    assert not {id(v) for v in trainable.values()} & {id(v) for v in encoder.delta("a").values()}
    encoder.trunk.train()
    encoder.states(IDS, MASK).square().sum().backward()
    with_gradient = {key for key, value in encoder.trunk.named_parameters() if value.grad is not None}
    assert with_gradient == set(trainable)
    encoder.compose(["a", "b"])
    assert encoder.parameters() == {}


def test_full_trains_everything(tiny: Path) -> None:
    encoder = Encoder(tiny)
    encoder.train_all()
    count = sum(value.numel() for value in encoder.parameters().values())
    assert count == Full().trainable(locate(str(tiny)).shape)


@method_cases
def test_training_the_target_changes_nothing_else(make: Callable[..., Encoder], method: Method, base: Tensor) -> None:
    encoder = make(method, "under", "target")
    encoder.compose(["under", "target"], train="target")
    ids = {id(value) for value in encoder.delta("target").values()}
    rest = {k: v.detach().clone() for k, v in encoder.trunk.named_parameters() if id(v) not in ids}
    target = held(encoder, "target")
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
    assert torch.equal(states(encoder), base)


@method_cases
def test_two_names_coexist_and_swapping_back_gives_the_same_bits(make: Callable[..., Encoder], method: Method) -> None:
    encoder = make(method, "a", "b", "target")
    found = {}
    for names in (["a"], ["b"], ["a", "target"], ["b", "target"], ["target"]):
        encoder.compose(names)
        found[tuple(names)] = states(encoder)
    values = list(found.values())
    assert all(not torch.equal(x, y) for i, x in enumerate(values) for y in values[:i])
    for names, value in found.items():
        encoder.compose(list(names))
        assert torch.equal(states(encoder), value)
    alone = make(method, "a")
    alone.compose(["a"])
    assert torch.equal(states(alone), found["a",])


@method_cases
def test_order_of_loading_does_not_matter(
    make: Callable[..., Encoder], tiny: Path, tmp_path: Path, method: Method
) -> None:
    source = make(method, "a", "b")
    for name in "ab":
        source.save(name, tmp_path / name)
    found = []
    for order in ("ab", "ba"):
        encoder = Encoder(tiny, method.backend)
        for name in order:
            encoder.load(name, method, tmp_path / name)
        encoder.compose(["a", "b"])
        found.append(states(encoder))
    source.compose(["a", "b"])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], states(source))


@method_cases
def test_removing_one_leaves_the_other(make: Callable[..., Encoder], method: Method) -> None:
    encoder = make(method, "a", "b")
    encoder.compose(["b"])
    expected = states(encoder)
    encoder.compose(["a", "b"])
    encoder.remove("a")
    encoder.compose(["b"])
    assert torch.equal(states(encoder), expected)
    with pytest.raises(ConfigError, match="'a'"):
        encoder.compose(["a"])


@method_cases
def test_initial_weights_depend_on_the_seed_alone(tiny: Path, method: Method) -> None:
    def first(*order: str, seed: int = 1) -> dict[str, Tensor]:
        torch.manual_seed(len(order))
        encoder = Encoder(tiny, method.backend)
        for name in order:
            encoder.add(name, method, name, seed)
        return held(encoder, "a")

    alone, later, other = first("a"), first("c", "b", "a"), first("a", seed=2)
    assert all(torch.equal(later[key], value) for key, value in alone.items())
    assert any(not torch.equal(other[key], value) for key, value in alone.items())


@method_cases
def test_layers_do_not_share_initial_weights(tiny: Path, method: Method) -> None:
    encoder = Encoder(tiny, method.backend)
    encoder.add("a", method, 1)
    random = [value for value in held(encoder, "a").values() if value.ndim > 1 and value.any()]
    assert len(random) >= 2
    assert all(not torch.equal(x, y) for i, x in enumerate(random) for y in random[:i] if x.shape == y.shape)


@method_cases
def test_adding_leaves_the_global_generator_alone(tiny: Path, method: Method) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    Encoder(tiny, method.backend).add("a", method, 1)
    assert torch.equal(torch.rand(3), expected)


@method_cases
def test_bf16_autocast_is_finite_and_near(make: Callable[..., Encoder], method: Method) -> None:
    encoder = make(method, "a", "b")
    encoder.compose(["a", "b"], train="b")
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


def reference(encoder: Encoder, names: list[str]) -> Tensor:
    """The stacked encoder as plain linear algebra on the weights alone."""
    trunk, hidden = encoder.trunk, encoder.hidden
    weight = dict(trunk.named_parameters())
    get = {key.replace(".base_layer", ""): value for key, value in weight.items()}
    heads, functional = trunk.config.num_attention_heads, torch.nn.functional

    def linear(key: str, x: Tensor) -> Tensor:
        return x @ get[f"{key}.weight"].T + get[f"{key}.bias"]

    def norm(key: str, x: Tensor) -> Tensor:
        epsilon = trunk.config.layer_norm_eps
        return functional.layer_norm(x, (hidden,), get[f"{key}.weight"], get[f"{key}.bias"], epsilon)

    def projection(layer: int, part: str, x: Tensor) -> Tensor:
        key = f"encoder.layer.{layer}.attention.self.{part}"
        y = linear(key, x)
        for name in names:
            method = encoder.methods[name]
            if isinstance(method, Lora) and part in method.targets and layer not in method.leave_out:
                a, b = weight[f"{key}.lora_A.{name}.weight"], weight[f"{key}.lora_B.{name}.weight"]
                y = y + method.alpha / method.rank * (x @ a.T) @ b.T
        return y

    def adapted(key: str, h: Tensor, x: Tensor, layer: int) -> Tensor:
        for name in names:
            method = encoder.methods[name]
            if not isinstance(method, Bottleneck) or layer in method.leave_out:
                continue
            own = f"{key}.adapters.{name}"
            if method.placement == "seq":
                down = torch.relu(linear(f"{own}.adapter_down.0", norm(f"{key}.LayerNorm", h + x)))
            else:
                down = functional.silu(linear(f"{own}.adapter_down.0", h))
            h = linear(f"{own}.adapter_up", down) + h
        return norm(f"{key}.LayerNorm", h + x)

    position = (torch.cumsum(MASK, 1) * MASK) + 1
    embedded = get["embeddings.word_embeddings.weight"][IDS] + get["embeddings.position_embeddings.weight"][position]
    x = norm("embeddings.LayerNorm", embedded + get["embeddings.token_type_embeddings.weight"][0])
    for i in range(encoder.depth):
        key = f"encoder.layer.{i}"
        q, k, v = (
            projection(i, part, x).view(*x.shape[:2], heads, -1).transpose(1, 2) for part in ("query", "key", "value")
        )
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(MASK[:, None, None] == 0, float("-inf"))
        context = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        h = linear(f"{key}.attention.output.dense", context)
        double = [n for n in names if getattr(encoder.methods[n], "placement", "") == "double"]
        after = f"{key}.attention.output"
        x = adapted(after, h, x, i) if double else norm(f"{after}.LayerNorm", h + x)
        h = linear(f"{key}.output.dense", functional.gelu(linear(f"{key}.intermediate.dense", x)))
        x = adapted(f"{key}.output", h, x, i)
    return x[MASK.bool()]


def test_the_reference_is_the_plain_encoder_without_adapters(tiny: Path, base: Tensor) -> None:
    with torch.no_grad():
        assert torch.allclose(reference(Encoder(tiny), []), base, atol=1e-5)


@method_cases
@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["b", "a"], ["c", "a", "b"]], ids="-".join)
def test_stack_equals_the_formula(make: Callable[..., Encoder], method: Method, names: list[str]) -> None:
    encoder = make(method, "a", "b", "c")
    encoder.compose(names)
    with torch.no_grad():
        assert torch.allclose(states(encoder), reference(encoder, names), atol=1e-5)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (Bottleneck(reduction=4, leave_out=(2, 3)), Bottleneck(reduction=8, leave_out=(0, 1))),
        (Bottleneck(reduction=4, leave_out=(0, 1)), Bottleneck(reduction=8, leave_out=(2, 3))),
        (Lora(rank=2, leave_out=(2, 3)), Lora(rank=4, targets=("key",), leave_out=(0, 1))),
        (Lora(rank=2, leave_out=(0, 1)), Lora(rank=4, targets=("key",), leave_out=(2, 3))),
    ],
)
def test_stack_of_different_shapes_equals_the_formula(tiny: Path, lower: Method, upper: Method) -> None:
    encoder = Encoder(tiny, lower.backend)
    for name, method in (("a", lower), ("b", upper)):
        encoder.add(name, method, name)
        perturb(encoder, name, ord(name))
    encoder.compose(["a", "b"], train="b")
    with torch.no_grad():
        assert torch.allclose(states(encoder), reference(encoder, ["a", "b"]), atol=1e-5)


def test_order_matters_for_bottlenecks_and_not_for_lora(make: Callable[..., Encoder]) -> None:
    for name, commutes in (("seq", False), ("double", False), ("lora", True)):
        encoder = make(CASES[name], "a", "b")
        encoder.compose(["a", "b"])
        one = states(encoder)
        encoder.compose(["b", "a"])
        assert torch.allclose(states(encoder), one, atol=1e-5) == commutes


# Files that must be refused.


def edited(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    path = weights(folder)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def drop_first(tensors: dict[str, Tensor]) -> None:
    del tensors[sorted(tensors)[0]]


def add_one(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.layer.0.extra.weight"] = torch.zeros(2)


def reshape_one(tensors: dict[str, Tensor]) -> None:
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].reshape(-1)[:-1].clone()


def transpose_one(tensors: dict[str, Tensor]) -> None:
    key = next(key for key, value in sorted(tensors.items()) if value.ndim == 2 and value.shape[0] != value.shape[1])
    tensors[key] = tensors[key].T.contiguous()


def poison(tensors: dict[str, Tensor]) -> None:
    tensors[sorted(tensors)[-1]].view(-1)[0] = float("nan")


def integers(tensors: dict[str, Tensor]) -> None:
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].to(torch.int64)


def second_name(tensors: dict[str, Tensor]) -> None:
    """The same tensors once more, as a second adapter (or another prefix) in one file."""
    for key in list(tensors):
        other = key.replace(".adapters.a.", ".adapters.z.") if ".adapters." in key else None
        tensors[other or key.replace("model.encoder.", "model.roberta.encoder.")] = tensors[key] + 1


REFUSED = (drop_first, add_one, reshape_one, transpose_one, poison, integers, second_name)


@method_cases
@pytest.mark.parametrize("change", REFUSED)
def test_wrong_tensors_are_refused(
    saved: Callable[[Method], Path], tiny: Path, method: Method, change: Callable[..., None], base: Tensor
) -> None:
    folder = saved(method)
    edited(folder, change)
    encoder = Encoder(tiny, method.backend)
    with pytest.raises(ArtifactError, match=str(folder)):
        encoder.load("x", method, folder)
    assert encoder.methods == {}
    assert torch.equal(states(encoder), base)
    encoder.add("x", method, 1)
    encoder.compose(["x"], train="x")


@method_cases
@pytest.mark.parametrize("damage", ["pickle", "truncated", "empty", "absent"])
def test_damaged_files_are_refused(
    saved: Callable[[Method], Path], tiny: Path, tmp_path: Path, method: Method, damage: str
) -> None:
    folder = saved(method)
    path = weights(folder)
    marker = tmp_path / "marker"
    if damage == "pickle":
        torch.save({"x": Hostile(marker)}, path)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        torch.save({"x": Hostile(marker)}, folder / "pytorch_adapter.bin")
    encoder = Encoder(tiny, method.backend)
    with pytest.raises(ArtifactError, match="pickles are not accepted"):
        encoder.load("x", method, folder)
    assert not marker.exists()
    assert encoder.methods == {}


class Hostile:
    """Unpickling this would leave a mark."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


OTHERS = {
    "seq": Bottleneck(reduction=8),
    "double": Bottleneck(reduction=4),
    "seq-leave-out": Bottleneck(reduction=5, leave_out=(0,)),
    "seq-narrow": Bottleneck(reduction=32),
    "double-unsorted": Bottleneck(reduction=4, placement="double", leave_out=(0,)),
    "lora": Lora(rank=2, alpha=4),
    "lora-key-alpha": Lora(rank=3, alpha=5, targets=("value",)),
    "lora-all-leave-out": Lora(rank=2, targets=("query", "key", "value"), leave_out=(2, 3)),
    "lora-unsorted": Lora(rank=2, targets=("value", "key"), leave_out=(3, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_mismatched_config_is_refused(saved: Callable[[Method], Path], tiny: Path, name: str) -> None:
    encoder = Encoder(tiny, CASES[name].backend)
    with pytest.raises(ArtifactError, match="expected"):
        encoder.load("x", OTHERS[name], saved(CASES[name]))
    assert encoder.methods == {}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("seq", "non_linearity", "tanh"),
        ("seq", "scaling", 2.0),
        ("seq", "is_parallel", True),
        ("seq", "original_ln_before", False),
        ("seq", "inv_adapter", "nice"),
        ("seq", "output_adapter", False),
        ("seq", "reduction_factor", {"default": 4}),
        ("double", "residual_before_ln", False),
        ("double", "phm_layer", True),
        ("lora", "use_rslora", True),
        ("lora", "use_dora", True),
        ("lora", "bias", "all"),
        ("lora", "modules_to_save", ["classifier"]),
        ("lora", "target_modules", ["query", "dense"]),
        ("lora", "target_modules", "query"),
        ("lora", "rank_pattern", {"query": 4}),
        ("lora", "peft_type", "IA3"),
        ("lora", "fan_in_fan_out", True),
        ("lora", "auto_map", {"base_model_class": "os.system"}),
    ],
)
def test_variants_are_refused(saved: Callable[[Method], Path], tiny: Path, name: str, key: str, value: object) -> None:
    method = CASES[name]
    folder = saved(method)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    (config["config"] if method.backend == "adapters" else config)[key] = value
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        Encoder(tiny, method.backend).load("x", method, folder)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"config": []}', '"lora"'])
@pytest.mark.parametrize("name", ["seq", "lora"])
def test_unreadable_config_is_refused(saved: Callable[[Method], Path], tiny: Path, name: str, text: str | None) -> None:
    method = CASES[name]
    folder = saved(method)
    path = folder / "adapter_config.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        Encoder(tiny, method.backend).load("x", method, folder)


# What an encoder refuses, and what its guard notices.


def test_backends_do_not_mix(tiny: Path) -> None:
    for backend, method in (("adapters", Lora()), ("peft", Bottleneck()), ("plain", Lora()), ("plain", Bottleneck())):
        with pytest.raises(ConfigError, match="backend"):
            Encoder(tiny, backend).add("a", method, 1)


@method_cases
def test_impossible_compositions_are_refused(make: Callable[..., Encoder], method: Method) -> None:
    encoder = make(method, "a")
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
        stackable = False

    encoder = Encoder(tiny, "peft")
    for name in "ab":
        encoder.add(name, Alone(rank=2), name)
    encoder.compose(["a"])
    with pytest.raises(ConfigError, match="cannot be stacked"):
        encoder.compose(["a", "b"])


@method_cases
def test_guard_notices_what_trains(make: Callable[..., Encoder], method: Method) -> None:
    encoder = make(method, "a", "b")
    encoder.compose(["a", "b"], train="b")
    encoder.check(["a", "b"], "b")
    for value in (next(iter(encoder.delta("a").values())), encoder.trunk.embeddings.word_embeddings.weight):
        value.requires_grad_(True)
        with pytest.raises(ArtifactError, match="would be trained"):
            encoder.check(["a", "b"], "b")
        value.requires_grad_(False)
    encoder.check(["a", "b"], "b")
    next(iter(encoder.delta("b").values())).requires_grad_(False)
    with pytest.raises(ArtifactError, match="would be trained"):
        encoder.check(["a", "b"], "b")


@pytest.mark.parametrize("name", ["seq", "lora"])
def test_guard_notices_what_was_attached_behind_its_back(make: Callable[..., Encoder], name: str) -> None:
    encoder = make(CASES[name], "a")
    encoder.compose(["a"], train="a")
    CASES[name].add(encoder.trunk, "z")
    CASES[name].activate(encoder.trunk, ["a"])
    for key, value in encoder.trunk.named_parameters():
        value.requires_grad_(".adapters." in key or ".lora_" in key)
    with pytest.raises(ArtifactError, match="would be trained"):
        encoder.check(["a"], "a")


@pytest.mark.parametrize("name", ["seq", "double"])
def test_guard_notices_another_active_bottleneck(make: Callable[..., Encoder], name: str) -> None:
    from adapters.composition import Average, Parallel, Stack

    encoder = make(CASES[name], "a", "b")
    encoder.compose(["a", "b"])
    for setup in ("a", Stack("b", "a"), Parallel("a", "b"), Average("a", "b"), None):
        encoder.trunk.set_active_adapters(setup)
        with pytest.raises(ArtifactError, match="active adapters"):
            encoder.check(["a", "b"], None)


def test_guard_notices_a_deleted_bottleneck(make: Callable[..., Encoder]) -> None:
    encoder = make(CASES["seq"], "a", "b")
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
def test_guard_notices_another_active_lora(make: Callable[..., Encoder], sabotage: Callable[[list], None]) -> None:
    encoder = make(CASES["lora"], "a", "b")
    encoder.compose(["a", "b"])
    sabotage(lora_layers(encoder))
    encoder.trunk.requires_grad_(False)
    with pytest.raises(ArtifactError, match=r"active adapters|modules in layers"):
        encoder.check(["a", "b"], None)
