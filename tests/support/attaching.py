"""The methods that the suite covers, encoders with them, and what they should compute, written out.

A new method is one line of ``PAIRS`` (with another one that its files must not be taken for) and its formula in
``Plain``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.fusion import Place
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models.encoder import Encoder
from support.sampling import parameters

SIX = ("query", "key", "value", "attention_output", "intermediate", "output")
PAIRS: dict[str, tuple[AdapterMethod, AdapterMethod]] = {
    "seq": (Bottleneck(reduction=4), Bottleneck(reduction=8)),
    "double": (Bottleneck(reduction=4, placement="double"), Bottleneck(reduction=4)),
    "seq-leave-out": (Bottleneck(reduction=5, leave_out=(0, 2)), Bottleneck(reduction=5, leave_out=(0,))),
    "seq-invertible": (Bottleneck(reduction=4, invertible=True), Bottleneck(reduction=4)),
    "double-invertible": (
        Bottleneck(reduction=8, placement="double", leave_out=(1,), invertible=True),
        Bottleneck(reduction=8, placement="double", leave_out=(1,)),
    ),
    "seq-narrow": (Bottleneck(reduction=64), Bottleneck(reduction=32)),
    "double-unsorted": (
        Bottleneck(reduction=4, placement="double", leave_out=(3, 0)),
        Bottleneck(reduction=4, placement="double", leave_out=(0,)),
    ),
    "parallel": (Bottleneck(reduction=4, placement="parallel"), Bottleneck(reduction=4)),
    "parallel-leave-out": (
        Bottleneck(reduction=8, placement="parallel", leave_out=(1,)),
        Bottleneck(reduction=4, placement="parallel", leave_out=(1,)),
    ),
    "compacter": (Compacter(reduction=4), Compacter(reduction=8)),
    "compacter-double": (
        Compacter(reduction=8, placement="double", leave_out=(2,)),
        Compacter(reduction=8, leave_out=(2,)),
    ),
    "lora": (Lora(rank=2), Lora(rank=2, alpha=4)),
    "lora-key-alpha": (Lora(rank=3, alpha=5, targets=("key",)), Lora(rank=3, alpha=5, targets=("value",))),
    "lora-all-leave-out": (
        Lora(rank=2, targets=("query", "key", "value"), leave_out=(0, 1)),
        Lora(rank=2, targets=("query", "key", "value"), leave_out=(2, 3)),
    ),
    "lora-unsorted": (
        Lora(rank=2, targets=("value", "query"), leave_out=(3, 0)),
        Lora(rank=2, targets=("value", "key"), leave_out=(3, 0)),
    ),
    "lora-six": (Lora(rank=2, targets=SIX), Lora(rank=2, targets=SIX[:5])),
    "lora-output": (Lora(rank=2, targets=("output",)), Lora(rank=2, targets=("attention_output",))),
    "lora-rank-stabilized": (Lora(rank=3, rank_stabilized=True), Lora(rank=3)),
    "dora": (Lora(rank=2, dora=True), Lora(rank=2)),
    "dora-six": (Lora(rank=3, dora=True, rank_stabilized=True, targets=SIX, leave_out=(1,)), Lora(rank=3, dora=True)),
    "ia3": (Ia3(), Ia3(leave_out=(3,))),
    "ia3-leave-out": (Ia3(leave_out=(2, 0)), Ia3(leave_out=(0,))),
    "bitfit": (BitFit(), LayerNorm()),
    "bitfit-leave-out": (BitFit(leave_out=(3, 1)), BitFit(leave_out=(1,))),
    "layernorm": (LayerNorm(), BitFit()),
    "layernorm-leave-out": (LayerNorm(leave_out=(0,)), LayerNorm()),
    "prefix": (Prefix(length=3, inner=8), Prefix(length=4, inner=8)),
    "prefix-leave-out": (Prefix(length=2, inner=4, leave_out=(2, 0)), Prefix(length=2, inner=4)),
}
CASES: dict[str, AdapterMethod] = {name: method for name, (method, _) in PAIRS.items()}
ONE_OF_EACH = ("seq", "double", "compacter", "lora", "ia3", "bitfit", "layernorm", "prefix")
STACKED: dict[str, AdapterMethod] = {
    name: method
    for name, method in CASES.items()
    if method.why_not_stackable() is None and method.why_not_above() is None
}
IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()

FAST = (*ONE_OF_EACH, "parallel", "seq-invertible", "dora")
method_cases = pytest.mark.parametrize("method", parameters(CASES, FAST))
stacked_cases = pytest.mark.parametrize("method", parameters(STACKED, FAST))


def some(method: Method, *names: str) -> list[str]:
    """Return the names as a stack, or only the last one if the method cannot be stacked."""
    return list(names) if method in STACKED.values() else [names[-1]]


def perturb(encoder: Encoder, name: Place, seed: int = 0) -> None:
    """Give every weight of a delta a value that no initialisation gives."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in encoder.delta(name).values():
            value.add_(0.1 * torch.randn(value.shape, generator=noise))


def states(encoder: Encoder) -> Tensor:
    encoder.trunk.eval()
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


def bare(folder: Path) -> Tensor:
    return states(Encoder(folder))


def tensors_of(encoder: Encoder, name: str) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in encoder.delta(name).items()}


def weights(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


def make(folder: Path, method: AdapterMethod, *names: str) -> Encoder:
    """Return an encoder with perturbed deltas of one method under the given names."""
    encoder = Encoder(folder, method.backend)
    for i, name in enumerate(names):
        encoder.add(name, method, name)
        perturb(encoder, name, seed=i)
    return encoder


def saved(folder: Path, tmp_path: Path, method: AdapterMethod) -> Path:
    """Write a folder with a perturbed delta of a method."""
    make(folder, method, "a").save("a", tmp_path / "saved")
    return tmp_path / "saved"


class Plain:
    """An encoder with adapters, and fusions of some (tuples of names), as plain linear algebra on the weights alone."""

    def __init__(self, encoder: Encoder, places: Sequence[Place]) -> None:
        names = [name for place in places for name in ([place] if isinstance(place, str) else place)]
        self.encoder, self.names, self.places = encoder, names, places
        self.weight = dict(encoder.trunk.named_parameters())
        self.get = {key.replace(".base_layer", ""): value for key, value in self.weight.items()}
        for key in [key for key in self.weight if key.endswith(".original")]:
            owner, _, rest = key.partition(".parametrizations.")
            weight, offsets = rest.removesuffix(".original"), key.replace(".original", ".0.offsets.")
            added = [self.weight[offsets + name] for name in names if offsets + name in self.weight]
            self.get[f"{owner}.{weight}"] = sum(added, self.weight[key])

    def acting(self, kind: type[Method], key: str) -> list[tuple[str, Method]]:
        """Return the acting adapters of a kind that have a module in the layer of this key, the lowest first."""
        layer = int(key.split(".")[2])
        methods = [(name, self.encoder.methods[name]) for name in self.names]
        return [(n, m) for n, m in methods if isinstance(m, kind) and layer in m.layers(self.encoder.depth)]

    def affine(self, key: str, x: Tensor) -> Tensor:
        return x @ self.get[f"{key}.weight"].T + self.get[f"{key}.bias"]

    def norm(self, key: str, x: Tensor) -> Tensor:
        weight, bias = self.get[f"{key}.weight"], self.get[f"{key}.bias"]
        return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, self.encoder.trunk.config.layer_norm_eps)

    def linear(self, key: str, x: Tensor) -> Tensor:
        """Compute a linear layer of the trunk with its adapters."""
        scale = torch.ones(())
        for name, _ in self.acting(Ia3, key):
            scale = scale * self.weight.get(f"{key}.ia3_l.{name}", torch.ones(1, 1)).flatten()
        inner = key.endswith(".output.dense")
        y = self.affine(key, x * scale if inner else x)
        for name, method in self.acting(Lora, key):
            if f"{key}.lora_A.{name}.weight" in self.weight:
                y = self.low_rank(key, name, method, x, y)
        return y if inner else y * scale

    def low_rank(self, key: str, name: str, method: Lora, x: Tensor, y: Tensor) -> Tensor:
        a, b = self.weight[f"{key}.lora_A.{name}.weight"], self.weight[f"{key}.lora_B.{name}.weight"]
        delta = method.alpha / (math.sqrt(method.rank) if method.rank_stabilized else method.rank) * b @ a
        if not method.dora:
            return y + x @ delta.T
        whole = self.get[f"{key}.weight"] + delta
        magnitude = self.weight[f"{key}.lora_magnitude_vector.{name}.weight"]
        return x @ (magnitude[:, None] * whole / whole.norm(dim=1, keepdim=True)).T + self.get[f"{key}.bias"]

    def residual(self, key: str, h: Tensor, x: Tensor) -> Tensor:
        """Compute the end of a block: bottlenecks one after the other, residual, normalisation."""
        here = dict(self.acting(Bottleneck, key))
        for place in self.places:
            if isinstance(place, tuple):
                h = self.fused(key, place, {name: here[name] for name in place if name in here}, h, x)
            elif place in here:
                h = h + self.added(key, place, here[place], h, x)
        for name, method in self.acting(Compacter, key):
            if ".attention." in key and method.placement != "double":
                continue
            at, seen = f"{key}.adapters.{name}", self.norm(f"{key}.LayerNorm", h + x)
            seen = h if method.placement == "double" else seen
            down = torch.nn.functional.gelu(self.kronecker(name, f"{at}.adapter_down.0", seen))
            h = self.kronecker(name, f"{at}.adapter_up", down) + h
        return self.norm(f"{key}.LayerNorm", h + x)

    def added(self, key: str, name: str, method: Bottleneck, h: Tensor, x: Tensor) -> Tensor:
        """Compute what a bottleneck adds to the output ``h`` of a block with the residual ``x``."""
        at = f"{key}.adapters.{name}"
        if ".attention." in key and method.placement != "double":
            return torch.zeros(())
        if method.placement == "double":
            down = torch.nn.functional.silu(self.affine(f"{at}.adapter_down.0", h))
        else:
            seen = x if method.placement == "parallel" else self.norm(f"{key}.LayerNorm", h + x)
            down = torch.relu(self.affine(f"{at}.adapter_down.0", seen))
        return (4.0 if method.placement == "parallel" else 1.0) * self.affine(f"{at}.adapter_up", down)

    def fused(self, key: str, place: tuple[str, ...], members: dict[str, Bottleneck], h: Tensor, x: Tensor) -> Tensor:
        """Attention of what the block gives over what its adapters would add."""
        double = all(method.placement == "double" for method in members.values())
        if not members or (".attention." in key and not double):
            return h
        at = f"{key}.adapter_fusion_layer.{','.join(place)}"
        query = self.affine(f"{at}.query", h if double else self.norm(f"{key}.LayerNorm", h + x))
        ups = [self.added(key, name, method, h, x) for name, method in members.items()]
        scores = torch.stack([(query * self.affine(f"{at}.key", up)).sum(-1) for up in ups])
        mixed = sum(share[..., None] * up for share, up in zip(scores.softmax(0), ups, strict=True))
        return h + mixed @ self.get[f"{at}.value.weight"].T

    def inverted(self, x: Tensor) -> Tensor:
        """Embeddings as the invertible part of the lowest adapter changes them."""
        name = next(iter(self.places), None)
        method = self.encoder.methods[name] if isinstance(name, str) else None
        if not isinstance(method, Bottleneck) or not method.invertible:
            return x
        act = torch.nn.functional.silu if method.placement == "double" else torch.relu
        low, high = x.split([x.shape[-1] // 2, x.shape[-1] - x.shape[-1] // 2], -1)
        at = f"invertible_adapters.{name}"
        low = low + self.affine(f"{at}.F.2", act(self.affine(f"{at}.F.0", high)))
        high = high + self.affine(f"{at}.G.2", act(self.affine(f"{at}.G.0", low)))
        return torch.cat([low, high], -1)

    def kronecker(self, name: str, key: str, x: Tensor) -> Tensor:
        """Compute a linear layer whose weight is a sum of Kronecker products."""
        shared = self.weight[f"shared_parameters.{name}.phm_rule"]
        factors = self.weight[f"{key}.W_left"] @ self.weight[f"{key}.W_right"]
        return x @ sum(torch.kron(a, b) for a, b in zip(shared, factors, strict=True)) + self.weight[f"{key}.b"]

    def attention(self, key: str, x: Tensor) -> Tensor:
        heads = self.encoder.trunk.config.num_attention_heads
        q, k, v = (
            self.linear(f"{key}.{part}", x).view(*x.shape[:2], heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mask = MASK
        for name, method in self.acting(Prefix, key):
            keys, values = self.prefix(name, method, int(key.split(".")[2]), heads)
            k, v = torch.cat([keys, k], 2), torch.cat([values, v], 2)
            mask = torch.cat([torch.ones(len(MASK), method.length).long(), mask], 1)
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(mask[:, None, None] == 0, float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)

    def prefix(self, name: str, method: Prefix, layer: int, heads: int) -> Tensor:
        """Compute the keys and values of one layer: (2, sequences, heads, length, size of a head)."""
        first = f"encoder.layer.0.attention.self.prefix_tuning.pool.prefix_tunings.{name}.self_prefix"
        inner = torch.tanh(self.affine(f"{first}.control_trans.0", self.weight[f"{first}.wte.weight"]))
        layers = method.layers(self.encoder.depth)
        prefixes = self.affine(f"{first}.control_trans.2", inner).view(method.length, len(layers), 2, heads, -1)
        return prefixes[:, layers.index(layer)].permute(1, 2, 0, 3)[:, None].expand(-1, len(MASK), -1, -1, -1)

    def __call__(self) -> Tensor:
        get, position = self.get, (torch.cumsum(MASK, 1) * MASK) + 1
        x = get["embeddings.word_embeddings.weight"][IDS] + get["embeddings.position_embeddings.weight"][position]
        x = self.norm("embeddings.LayerNorm", x + get["embeddings.token_type_embeddings.weight"][0])
        x = self.inverted(x)
        for i in range(self.encoder.depth):
            key = f"encoder.layer.{i}"
            h = self.linear(f"{key}.attention.output.dense", self.attention(f"{key}.attention.self", x))
            x = self.residual(f"{key}.attention.output", h, x)
            inner = torch.nn.functional.gelu(self.linear(f"{key}.intermediate.dense", x))
            x = self.residual(f"{key}.output", self.linear(f"{key}.output.dense", inner), x)
        return x[MASK.bool()]


def reference(encoder: Encoder, places: Sequence[Place]) -> Tensor:
    with torch.no_grad():
        return Plain(encoder, places)()
