"""What methods that work through the ``adapters`` library share: switching them, and reading its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import read_json, write_files

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


def prepare(trunk: XLMRobertaModel) -> None:
    """Give every layer the places where adapters go; without one the outputs stay bit-equal."""
    import adapters

    adapters.init(trunk)


def activate(trunk: XLMRobertaModel, names: Sequence[str]) -> None:
    """Stack ``names``, the first lowest."""
    from adapters.composition import Stack

    trunk.set_active_adapters(Stack(*names) if names else None)


def remove(trunk: XLMRobertaModel, name: str) -> None:
    """Detach an adapter; nothing is active afterwards, because a stack of one less can be taken for the old one."""
    trunk.set_active_adapters(None)
    trunk.delete_adapter(name)


def tensors(trunk: XLMRobertaModel, *marks: str) -> dict[str, nn.Parameter]:
    """Parameters with one of ``marks`` in the name that the library gives them in its files."""
    return {key: value for key, value in trunk.named_parameters() if any(mark in key for mark in marks)}


def attached_layers(trunk: XLMRobertaModel, name: str, placement: str) -> set[int]:
    """Layers whose slots for bottlenecks hold ``name`` at every place that a placement asks for, and at no other."""
    wanted = (True, placement == "double")
    slots = [(layer.output.adapters, layer.attention.output.adapters) for layer in trunk.encoder.layer]
    return {index for index, held in enumerate(slots) if tuple(name in slot for slot in held) == wanted}


def active(trunk: XLMRobertaModel) -> tuple[str, ...]:
    """The members of the active stack; any other setup by its own notation, which is no adapter's name."""
    from adapters.composition import Stack

    setup = trunk.adapters_config.active_setup
    if setup is None:
        return ()
    plain = isinstance(setup, Stack) and all(isinstance(child, str) for child in setup.children)
    return tuple(setup.children) if plain else (repr(setup),)


def save(trunk: XLMRobertaModel, name: str, tensors: Mapping[str, nn.Parameter], folder: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter.safetensors`` where the library itself cannot, or not all of it."""
    from adapters.configuration import build_full_config

    own = trunk.adapters_config.get(name)
    told = build_full_config(own, trunk.config, model_name=trunk.model_name, name=name)
    write_files(folder, json.dumps(told, indent=2, sort_keys=True), "adapter.safetensors", tensors)


def read(folder: Path, what: str) -> dict[str, Any]:
    """The settings in an ``adapter_config.json``.

    Raises:
        ArtifactError: there are none.
    """
    path = folder / "adapter_config.json"
    held = read_json(path).get("config")
    if not isinstance(held, dict):
        raise ArtifactError(f"{path}: not the config of {what}: no mapping under config")
    return held


def check_config(held: Mapping[str, Any], expected: Any, folder: Path, what: str) -> None:
    """Compare the settings in a file with those that a method would write.

    Raises:
        ArtifactError: one of them says something else, so the library would compute something else.
    """
    wanted = expected.to_dict()
    wrong = sorted(key for key in {*held, *wanted} if held.get(key) != wanted.get(key))
    if wrong:
        told = ", ".join(f"{key}={held.get(key)!r}" for key in wrong)
        path = folder / "adapter_config.json"
        raise ArtifactError(f"{path}: {told} is not what {what} has; other variants are not read")
