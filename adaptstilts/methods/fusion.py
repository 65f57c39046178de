"""AdapterFusion (Pfeiffer et al. 2021, arXiv 2005.00247): attention over frozen adapters, learned on the target.

With ``h`` the output of a layer's feed-forward block before its residual ``x``, ``q = Q LayerNorm(h + x)`` and ``u_i``
what adapter ``i`` adds, a layer's output is ``h + V sum_i softmax_i(q . K u_i) u_i``, over the adapters that the layer
has. With placement ``double`` the same is done after the attention block, and ``q = Q h`` at both. ``Q`` and ``K`` have
biases, ``V`` has none, starts at the identity and is kept near it by ``0.01 |V - 1|^2`` in the loss. Through the
``adapters`` library.

A fusion is not a method of its own: a target phase trains it over intermediate adapters.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods._adapters_library import bottleneck_slots, parameters_of
from adaptstilts.methods.base import Method, read_json, write_adapter

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adaptstilts.methods.host import Host

CONFIG, WEIGHTS = "adapter_fusion_config.json", "adapter_fusion.safetensors"
Place = (
    str | tuple[str, ...]
)  # a place in a stack: an adapter's name, or the names of the adapters that are fused there


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
        method: method of the fused adapters.
        shape: sizes of the encoder.
    """
    hidden = shape["hidden"]
    places = 2 if getattr(method, "placement", None) == "double" else 1
    return len(method.layers(shape["layers"])) * places * (3 * hidden * hidden + 2 * hidden)


def add(host: Host, members: tuple[str, ...]) -> None:
    """Attach a new fusion of adapters, initialised from torch's global generator.

    Args:
        host: the encoder.
        members: names of the adapters.
    """
    host.model.add_adapter_fusion(list(members), "dynamic")
    for slot in _slots(host):
        slot.compose_fuse = functools.partial(_fuse_present, slot)
        is_used = any(name in slot.adapters for name in members)
        if not is_used and _name(members) in slot.adapter_fusion_layer:
            del slot.adapter_fusion_layer[_name(members)]


def activate(host: Host, places: Sequence[Place]) -> None:
    """Stack adapters and fusions.

    Args:
        host: the encoder.
        places: names of adapters, or of those fused in one place, the first lowest.
    """
    from adapters.composition import Fuse, Stack

    members = [Fuse(*place) if isinstance(place, tuple) else place for place in places]
    host.model.set_active_adapters(Stack(*members))


def active(host: Host) -> tuple[Place, ...]:
    """Return the members of the active stack; any other setup is returned as its ``repr``."""
    from adapters.composition import Fuse, Stack

    setup = host.model.adapters_config.active_setup
    if not isinstance(setup, Stack):
        return (repr(setup),)
    return tuple(tuple(child.children) if isinstance(child, Fuse) else child for child in setup.children)


def remove(host: Host, members: tuple[str, ...]) -> None:
    """Detach a fusion and deactivate all adapters.

    Args:
        host: the encoder.
        members: names of the fused adapters.
    """
    host.model.set_active_adapters(None)
    host.model.delete_adapter_fusion(list(members))


def tensors(host: Host, members: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Return the parameters by the keys that the library gives them, without the members' names.

    Args:
        host: the encoder.
        members: names of the fused adapters.
    """
    places = parameters_of(host, _name(members), "adapter_fusion_layer")
    return {f"{path}.{key}": value for path, key, value in places}


def penalty(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return ``0.01 |V - 1|^2`` summed over matrices ``V``, which is added to the loss."""
    import torch

    total = torch.zeros(())
    for value in parameters:
        identity = torch.eye(len(value), device=value.device)
        total = total.to(value.device) + 0.01 * (identity - value).pow(2).sum()
    return total


def value_matrices(parameters: Mapping[str, nn.Parameter]) -> list[nn.Parameter]:
    """Return the matrices ``V`` among a fusion's parameters."""
    return [value for key, value in parameters.items() if key.endswith(".value.weight")]


def save(parameters: Mapping[str, nn.Parameter], members: int, folder: Path) -> None:
    """Write a fusion.

    Args:
        parameters: its tensors by key.
        members: number of fused adapters.
        folder: where the files go; created if missing.
    """
    write_adapter(folder, json.dumps(_config(members)), parameters, WEIGHTS, CONFIG)


def check(folder: Path, members: int) -> None:
    """Raise if a folder is not that of a fusion.

    Args:
        folder: a folder that :func:`save` wrote.
        members: number of adapters that it must be over.

    Raises:
        ArtifactError: it is not.
    """
    path = folder / CONFIG
    config = read_json(path)
    if config != _config(members):
        raise ArtifactError(f"{path}: expected the config of a fusion of {members} adapters, found {config!r}")


def _config(members: int) -> dict[str, Any]:
    return {"config": "dynamic", "members": members}


def _fuse_present(slot: Any, setup: Any, state: Any, lvl: int = 0) -> Any:
    """Fuse only the members that a slot has; the library crashes if it lacks the last one.

    Args:
        slot: a place for adapters.
        setup: the library's ``Fuse``.
        state: state of the forward pass.
        lvl: depth of the setup, passed on.
    """
    from adapters.composition import Fuse

    present = [name for name in setup if name in slot.adapters]
    if not present:
        return state
    return type(slot).compose_fuse(slot, Fuse(*present, name=setup.name), state, lvl=lvl)


def _slots(host: Host) -> list[Any]:
    """Return the places for adapters of every layer."""
    return [slot for _, slot in bottleneck_slots(host)]


def _name(members: Sequence[str]) -> str:
    """Return what the library calls a fusion."""
    return ",".join(members)
