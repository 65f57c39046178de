"""AdapterFusion (Pfeiffer et al. 2021, arXiv 2005.00247): attention over frozen adapters, learned on the target.

With ``h`` the output of a layer's feed-forward block before its residual ``x``, ``q = Q LayerNorm(h + x)`` and ``u_i``
what adapter ``i`` adds, a layer's output is ``h + V sum_i softmax_i(q . K u_i) u_i``, over the adapters that the layer
has. Of placement ``double`` the same is done after the attention block, and ``q = Q h`` at both. ``Q`` and ``K`` have
biases, ``V`` has none, starts at the identity and is held near it by ``0.01 |V - 1|^2`` in the loss. Through the
``adapters`` library.

A fusion is no method of its own: it is what a target phase trains over intermediate adapters of a method that has it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import Method, read_json, write_files

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import XLMRobertaModel

CONFIG, WEIGHTS = "adapter_fusion_config.json", "adapter_fusion.safetensors"
Place = str | tuple[str, ...]  # in a stack: an adapter's name, or the names of those that are fused there


def why_not_together(methods: Sequence[Method]) -> str | None:
    """Return why adapters of these methods cannot be fused with each other; None if they can."""
    for method in methods:
        if reason := method.why_not_fusable():
            return reason
    placements = {getattr(method, "placement", None) for method in methods}
    return "they are of different placements" if len(placements) > 1 else None


def trainable(method: Method, shape: Mapping[str, int]) -> int:
    """Return ``places * (3 h^2 + 2 h)``, with a place after every block that has an adapter.

    Args:
        method: of the fused adapters.
        shape: sizes of the encoder.
    """
    hidden = shape["hidden"]
    places = 2 if getattr(method, "placement", None) == "double" else 1
    return len(method.layers(shape["layers"])) * places * (3 * hidden * hidden + 2 * hidden)


def add(trunk: XLMRobertaModel, members: tuple[str, ...]) -> None:
    """Attach a new fusion of adapters, initialised from torch's global generator."""
    trunk.add_adapter_fusion(list(members), "dynamic")
    for slot in _slots(trunk):
        slot.compose_fuse = functools.partial(_compose, slot)
        if _name(members) in slot.adapter_fusion_layer and not any(name in slot.adapters for name in members):
            del slot.adapter_fusion_layer[_name(members)]  # left out by all: it would never be used


def activate(trunk: XLMRobertaModel, places: Sequence[Place]) -> None:
    """Stack adapters and fusions, the first lowest."""
    from adapters.composition import Fuse, Stack

    trunk.set_active_adapters(Stack(*(Fuse(*place) if isinstance(place, tuple) else place for place in places)))


def active(trunk: XLMRobertaModel) -> tuple[Place, ...]:
    """The members of the active stack; any other setup by its own notation."""
    from adapters.composition import Fuse, Stack

    setup = trunk.adapters_config.active_setup
    if not isinstance(setup, Stack):
        return (repr(setup),)
    return tuple(tuple(child.children) if isinstance(child, Fuse) else child for child in setup.children)


def remove(trunk: XLMRobertaModel, members: tuple[str, ...]) -> None:
    """Detach a fusion; nothing is active afterwards."""
    trunk.set_active_adapters(None)
    trunk.delete_adapter_fusion(list(members))


def tensors(trunk: XLMRobertaModel, members: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Parameters by the names that the library gives them, without the members'."""
    mark = f".adapter_fusion_layer.{_name(members)}."
    return {
        key.replace(mark, ".adapter_fusion_layer."): value for key, value in trunk.named_parameters() if mark in key
    }


def penalty(parameters: Iterable[nn.Parameter]) -> Tensor:
    """What is added to the loss: ``0.01 |V - 1|^2`` over all ``V``, the weights of a fusion that have no bias."""
    import torch

    total = torch.zeros(())
    for value in parameters:
        total = total.to(value.device) + 0.01 * (torch.eye(len(value), device=value.device) - value).pow(2).sum()
    return total


def values(held: Mapping[str, nn.Parameter]) -> list[nn.Parameter]:
    """The ``V`` among a fusion's parameters."""
    return [value for key, value in held.items() if key.endswith(".value.weight")]


def save(held: Mapping[str, nn.Parameter], members: int, folder: Path) -> None:
    """Write a fusion: how many adapters it is over, and its tensors."""
    write_files(folder, json.dumps({"config": "dynamic", "members": members}), WEIGHTS, held, CONFIG)


def check(folder: Path, members: int) -> None:
    """Refuse a folder that is not one of a fusion of so many adapters.

    Raises:
        ArtifactError: it is not.
    """
    path = folder / CONFIG
    wanted: dict[str, Any] = {"config": "dynamic", "members": members}
    if (found := read_json(path)) != wanted:
        raise ArtifactError(f"{path}: expected the config of a fusion of {members} adapters, found {found!r}")


def _compose(slot: Any, setup: Any, state: Any, lvl: int = 0) -> Any:
    """A fusion of the members that a place has: the library itself fails where it does not have the last one."""
    from adapters.composition import Fuse

    here = [name for name in setup if name in slot.adapters]
    if not here:
        return state
    return type(slot).compose_fuse(slot, Fuse(*here, name=setup.name), state, lvl=lvl)


def _slots(trunk: XLMRobertaModel) -> list[Any]:
    return [slot for layer in trunk.encoder.layer for slot in (layer.output, layer.attention.output)]


def _name(members: Sequence[str]) -> str:
    return ",".join(members)
