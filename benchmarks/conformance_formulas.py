"""What every method computes, written out: changes of plain weights, and hooks on plain modules of ``transformers``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.lora import Lora

Tensors = Mapping[str, Tensor]
BLOCKS = ("attention", "output")


@dataclass(frozen=True)
class Places:
    """Where the layers of an architecture have what bottleneck adapters read and change.

    Attributes:
        layers: the list of layers.
        projections: block -> its last projection, which gives ``h``.
        residuals: block -> the module that gets the residual ``x``, and at which place of its arguments; empty where
            the adapters library does not see the residual.
        norms: block -> the normalisation of ``h + x``; empty likewise.
    """

    layers: str
    projections: Mapping[str, str]
    residuals: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    norms: Mapping[str, str] = field(default_factory=dict)


_PROJECTIONS = {"attention": "attention.output.dense", "output": "output.dense"}
BERT = Places(
    "encoder.layer",
    _PROJECTIONS,
    {"attention": ("attention.output", 1), "output": ("output", 1)},
    {"attention": "attention.output.LayerNorm", "output": "output.LayerNorm"},
)
DISTILBERT = Places(
    "transformer.layer",
    {"attention": "attention.out_lin", "output": "ffn.lin2"},
    {"attention": ("", 0), "output": ("ffn", 0)},
    {"attention": "sa_layer_norm", "output": "output_layer_norm"},
)
UNSEEN_RESIDUAL = Places("encoder.layer", _PROJECTIONS)
MODERNBERT = Places("layers", {"attention": "attn.Wo", "output": "mlp.Wo"})
PLACES = {
    **dict.fromkeys(("xlm-roberta", "roberta", "bert", "electra", "deberta-v2"), BERT),
    **dict.fromkeys(("xlm-roberta-xl", "rembert"), UNSEEN_RESIDUAL),
    "distilbert": DISTILBERT,
    "modernbert": MODERNBERT,
}


@dataclass(frozen=True)
class Part:
    """An adapter: its method, and its tensors by the keys of its library's files."""

    method: AdapterMethod
    tensors: Tensors


@dataclass(frozen=True)
class Fused:
    """AdapterFusion of some adapters: its tensors, and the adapters."""

    members: Sequence[Part]
    tensors: Tensors


def apply(model: nn.Module, places: Places, parts: Sequence[Part | Fused]) -> None:
    """Make a plain encoder compute with adapters, the lowest first.

    Args:
        model: a model of ``transformers``, changed in place.
        places: names of its modules.
        parts: the adapters.
    """
    with torch.no_grad():
        for part in parts:
            if isinstance(part, Part):
                _change_weights(dict(model.named_parameters()), part)
    first = parts[0] if parts else None
    if isinstance(first, Part) and isinstance(first.method, Bottleneck) and first.method.invertible:
        _hook_embeddings(model, first)
    if any(isinstance(part, Fused) or isinstance(part.method, Bottleneck | Compacter) for part in parts):
        for layer, module in enumerate(model.get_submodule(places.layers).children()):
            for block in BLOCKS:
                _Block(places, parts, layer, block).hook(module)


def summed(parts: Sequence[Part], weights: Sequence[float]) -> list[Part]:
    """Return the weighted sum of adapters of one method, as one adapter or as several that add up.

    Args:
        parts: the adapters.
        weights: one for each.
    """
    method = parts[0].method
    if method.kind in ("lora", "bitfit", "layernorm"):
        scaled = []
        for part, weight in zip(parts, weights, strict=True):
            tensors = {key: value if "lora_A" in key else weight * value for key, value in part.tensors.items()}
            scaled.append(Part(method, tensors))
        return scaled
    rest = 1.0 if isinstance(method, Ia3) else 0.0
    total: dict[str, Tensor] = {}
    for key in parts[0].tensors:
        terms = [weight * (part.tensors[key] - rest) for part, weight in zip(parts, weights, strict=True)]
        total[key] = rest + sum(terms, torch.zeros(()))
    return [Part(method, total)]


# Methods that change weights


def _change_weights(weights: Mapping[str, Tensor], part: Part) -> None:
    """Add offsets, low-rank updates or scales to weights, in place."""
    if part.method.backend == "plain":
        for key, value in part.tensors.items():
            weights[key].add_(value)
    modules: dict[str, dict[str, Tensor]] = {}
    for key, value in part.tensors.items():
        path, _, name = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        modules.setdefault(path, {})[name] = value
    for path, tensors in modules.items():
        if isinstance(part.method, Lora):
            _low_rank(weights[f"{path}.weight"], tensors, part.method)
        elif isinstance(part.method, Ia3):
            scale = tensors["ia3_l"]
            weights[f"{path}.weight"].mul_(scale)  # (out, 1) or (1, in)
            if scale.shape[1] == 1:
                weights[f"{path}.bias"].mul_(scale[:, 0])


def _low_rank(weight: Tensor, tensors: Tensors, method: Lora) -> None:
    scale = method.alpha / (math.sqrt(method.rank) if method.rank_stabilized else method.rank)
    weight.add_(scale * tensors["lora_B"] @ tensors["lora_A"])
    if method.dora:
        weight.mul_((tensors["lora_magnitude_vector"] / weight.norm(dim=1))[:, None])


# Methods that add modules


def _hook_embeddings(model: Any, part: Part) -> None:
    """Change the embeddings as the invertible part of an adapter does."""
    tensors = {key.split(".", 2)[2]: value for key, value in part.tensors.items() if "invertible_adapters" in key}
    act = functional.silu if part.method.model_dump()["placement"] == "double" else torch.relu

    def network(name: str, x: Tensor) -> Tensor:
        inner = act(_affine(tensors, f"{name}.0", x))
        return _affine(tensors, f"{name}.2", inner)

    def hook(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        low, high = output.split([output.shape[-1] // 2, output.shape[-1] - output.shape[-1] // 2], -1)
        low = low + network("F", high)
        return torch.cat([low, high + network("G", low)], -1)

    model.embeddings.register_forward_hook(hook)


class _Block:
    """What adapters do at the end of an attention or feed-forward block of one layer."""

    def __init__(self, places: Places, parts: Sequence[Part | Fused], layer: int, block: str) -> None:
        self.places, self.parts, self.layer, self.block = places, parts, layer, block
        self.residual: Tensor | None = None
        self.norm: Callable[[Tensor], Tensor] | None = None

    def hook(self, layer: nn.Module) -> None:
        """Register hooks on a layer."""
        if self.block in self.places.residuals:
            path, self.index = self.places.residuals[self.block]
            layer.get_submodule(path).register_forward_pre_hook(self._keep_residual)
            self.norm = layer.get_submodule(self.places.norms[self.block])
        layer.get_submodule(self.places.projections[self.block]).register_forward_hook(self._change)

    def _keep_residual(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.residual = arguments[self.index]

    def _change(self, module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        for part in self.parts:
            if isinstance(part, Fused):
                output = self._fused(part, output)
            elif tensors := self._tensors(part.tensors, ".adapters."):
                output = output + self._added(part, tensors, output)
        return output

    def _tensors(self, tensors: Tensors, dictionary: str) -> dict[str, Tensor]:
        """Return what a dictionary of modules has here; of adapters without their name."""
        here = {}
        for key, value in tensors.items():
            owner, _, rest = key.partition(dictionary)
            layer, _, path = owner.removeprefix(f"{self.places.layers}.").partition(".")
            if rest and layer == str(self.layer) and ("attention" in path) == (self.block == "attention"):
                here[rest.partition(".")[2] if dictionary == ".adapters." else rest] = value
        return here

    def _seen(self, states: Tensor) -> Tensor:
        """Return the normalised sum with the residual, where the library sees it."""
        return states if self.norm is None else self.norm(states + self.residual)

    def _added(self, part: Part, tensors: Tensors, states: Tensor) -> Tensor:
        """Return what one adapter adds to the output of the block."""
        placement = part.method.model_dump()["placement"]
        seen = states if placement == "double" else self._seen(states)
        if isinstance(part.method, Compacter):
            rule = next(value for key, value in part.tensors.items() if key.endswith("phm_rule"))
            down = functional.gelu(_kronecker(tensors, "adapter_down.0", rule, seen))
            return _kronecker(tensors, "adapter_up", rule, down)
        if placement == "parallel":
            assert self.residual is not None
            seen = self.residual
        act = functional.silu if placement == "double" else torch.relu
        up = _affine(tensors, "adapter_up", act(_affine(tensors, "adapter_down.0", seen)))
        return 4.0 * up if placement == "parallel" else up

    def _fused(self, fusion: Fused, states: Tensor) -> Tensor:
        """Return the output after attention over what the members would add."""
        tensors = self._tensors(fusion.tensors, ".adapter_fusion_layer.")
        if not tensors:
            return states
        double = fusion.members[0].method.model_dump()["placement"] == "double"
        query = _affine(tensors, "query", states if double else self._seen(states))
        ups = []
        for part in fusion.members:
            ups.append(self._added(part, self._tensors(part.tensors, ".adapters."), states))
        scores = torch.stack([(query * _affine(tensors, "key", up)).sum(-1) for up in ups]).softmax(0)
        mixed = sum((share[..., None] * up for share, up in zip(scores, ups, strict=True)), torch.zeros(()))
        return states + mixed @ tensors["value.weight"].T


def _affine(tensors: Tensors, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _kronecker(tensors: Tensors, name: str, rule: Tensor, x: Tensor) -> Tensor:
    """Apply a linear layer whose weight is a sum of Kronecker products."""
    factors = tensors[f"{name}.W_left"] @ tensors[f"{name}.W_right"]
    weight = sum((torch.kron(a, b) for a, b in zip(rule, factors, strict=True)), torch.zeros(()))
    return x @ weight + tensors[f"{name}.b"]
