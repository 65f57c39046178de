"""What methods that work through ``peft`` share: finding its layers on a bare encoder, switching them, its files.

A trunk is never wrapped in a ``PeftModel``: its ``set_adapter`` unfreezes what is frozen, accepts unknown names, and
knows no two adapters at once. The layers that ``inject_adapter_in_model`` leaves in the trunk are switched here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import write_files

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

PREFIX = "base_model.model."
_NOT_COMPARED = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "revision",
    "task_type",
}
_MODULES: WeakKeyDictionary[Any, list[tuple[int, Any]]] = WeakKeyDictionary()


def modules(trunk: XLMRobertaModel) -> list[tuple[int, Any]]:
    """(layer, module) of every place with adapters; walking the trunk again is what swapping would pay."""
    if trunk not in _MODULES:
        from peft.tuners.tuners_utils import BaseTunerLayer

        _MODULES[trunk] = [
            (index, module)
            for index, layer in enumerate(trunk.encoder.layer)
            for module in layer.modules()
            if isinstance(module, BaseTunerLayer)
        ]
    return _MODULES[trunk]


def attach(trunk: XLMRobertaModel, name: str, config: Any) -> None:
    """Put new modules called ``name`` where a peft config says."""
    from peft import inject_adapter_in_model

    inject_adapter_in_model(config, trunk, adapter_name=name)
    _MODULES.pop(trunk, None)


def activate(trunk: XLMRobertaModel, names: Sequence[str]) -> None:
    """Make ``names`` act wherever they have modules."""
    for _, module in modules(trunk):
        here = [name for name in names if name in _held(module)]
        # set_adapter would also walk every adapter to set requires_grad, which the encoder does in one place
        module._disable_adapters = not here
        module._active_adapter = here


def remove(trunk: XLMRobertaModel, name: str) -> None:
    """Detach what is called ``name``."""
    for _, module in modules(trunk):
        if name in _held(module):
            module.delete_adapter(name)


def attached_layers(trunk: XLMRobertaModel, name: str, parts: Sequence[str], places: int) -> set[int]:
    """Layers in which ``places`` modules have ``name`` in every one of their ``parts``."""
    count: dict[int, int] = {}
    for index, module in modules(trunk):
        count[index] = count.get(index, 0) + all(name in getattr(module, part) for part in parts)
    return {index for index, n in count.items() if n == places}


def active(trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
    """``names``, unless some module has one of them and does not use it, or uses another one."""
    for _, module in modules(trunk):
        off = module.disable_adapters or module.merged
        acting = () if off else tuple(module.active_adapters)
        if acting != tuple(name for name in names if name in _held(module)):
            return acting
    return tuple(names)


def save(trunk: XLMRobertaModel, config: Any, tensors: Mapping[str, nn.Parameter], folder: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does."""
    config.inference_mode = True
    config.base_model_name_or_path = trunk.config._name_or_path or None
    fields = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    write_files(folder, json.dumps(fields, indent=2, sort_keys=True), "adapter_model.safetensors", tensors)


def check_config(held: Mapping[str, Any], expected: Any, path: Path, what: str) -> None:
    """Compare a file's config with the one that a method would write.

    Raises:
        ArtifactError: a key says something else, so the library would compute something else.
    """
    wanted = expected.to_dict()
    given = {key: value for key, value in held.items() if key not in _NOT_COMPARED}
    wrong = sorted(key for key, value in given.items() if _plain(wanted.get(key)) != _plain(value))
    if wrong:
        told = ", ".join(f"{key}={held.get(key)!r}" for key in wrong)
        raise ArtifactError(f"{path}: {told} is not what {what} has; other variants are not read")


def _held(module: Any) -> Any:
    """What a module holds, by name: peft keeps the parts of a layer in dictionaries that it lists by attribute."""
    return getattr(module, module.adapter_layer_names[0])


def _plain(value: Any) -> Any:
    if isinstance(value, set | tuple | list):
        return sorted(value, key=str)
    return {} if value is None else value
