"""What methods that move weights the encoder has share: offsets under names, and files of our own.

A weight ``w`` acts as ``w + sum over active names of d``, so two stacked ones are the sum of their offsets, in any
order, and without an active name the weight itself is used. No library has such a format: a folder holds
``adapter_config.json``, the method, and ``adapter_model.safetensors``, the offsets (not the moved weights) by the name
of the weight in the encoder.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import AdapterMethod, read_json, write_files

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

    Moved = Callable[[nn.Module], Sequence[str]]

Known = TypeVar("Known", bound=AdapterMethod)


def attach(trunk: XLMRobertaModel, name: str, layers: Iterable[int], moved: Moved) -> None:
    """Give the weights that ``moved`` names in each module of these layers an offset called ``name``, zero at first."""
    import torch
    from torch import nn
    from torch.nn.utils import parametrize

    for index in layers:
        for module in list(trunk.encoder.layer[index].modules()):
            for weight in moved(module):
                if not parametrize.is_parametrized(module, weight):
                    parametrize.register_parametrization(module, weight, _sums()())
                offsets = module.parametrizations[weight][0].offsets
                offsets[name] = nn.Parameter(torch.zeros_like(module.parametrizations[weight].original))


def activate(trunk: XLMRobertaModel, names: Sequence[str]) -> None:
    """Add the offsets of ``names``, wherever they are, to the weights."""
    for _, _, held in _places(trunk):
        held.acting = [name for name in names if name in held.offsets]


def remove(trunk: XLMRobertaModel, name: str) -> None:
    """Detach what is called ``name``."""
    for _, _, held in _places(trunk):
        if name in held.offsets:
            del held.offsets[name]


def tensors(trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
    """The offsets by the name of their weight in a plain encoder."""
    return {key: held.offsets[name] for _, key, held in _places(trunk) if name in held.offsets}


def attached_layers(trunk: XLMRobertaModel, name: str, places: int) -> set[int]:
    """Layers in which ``places`` weights have an offset of this name."""
    count: dict[int, int] = {}
    for index, _, held in _places(trunk):
        count[index] = count.get(index, 0) + (name in held.offsets)
    return {index for index, n in count.items() if n == places}


def active(trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
    """``names``, unless some weight has one of them and does not use it, or uses another one."""
    for _, _, held in _places(trunk):
        if held.acting != [name for name in names if name in held.offsets]:
            return tuple(held.acting)
    return tuple(names)


def save(method: AdapterMethod, offsets: Mapping[str, nn.Parameter], folder: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``."""
    write_files(folder, json.dumps(method.identity(), indent=1), "adapter_model.safetensors", offsets)


def read_config(method: type[Known], folder: Path) -> Known:
    """The method that a folder was written by.

    Raises:
        ArtifactError: it was not written by this one.
    """
    path = folder / "adapter_config.json"
    held = read_json(path)
    kind = method.model_fields["kind"].default
    try:
        if held.get("kind") != kind:
            raise ArtifactError(f"{path}: of kind {held.get('kind')!r}, expected {kind!r}")
        return method.model_validate(held)
    except ValidationError as error:
        first = error.errors()[0]
        told = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ArtifactError(f"{path}: not the config of {kind} ({told})") from None


def _places(trunk: XLMRobertaModel) -> Iterator[tuple[int, str, Any]]:
    """(layer, name of the weight, its offsets) of every weight that has any."""
    for index, layer in enumerate(trunk.encoder.layer):
        for path, module in layer.named_modules():
            if isinstance(module, _sums()):
                owner, _, rest = path.partition(".parametrizations.")
                yield index, f"encoder.layer.{index}.{owner}.{rest.partition('.')[0]}", module


@functools.cache
def _sums() -> Any:
    """The class of a weight's offsets; made on first use, because methods are known without importing torch."""
    from torch import Tensor, nn

    class Offsets(nn.Module):
        """A parametrization of one weight: the offsets by name, and the names that act."""

        def __init__(self) -> None:
            super().__init__()
            self.offsets = nn.ParameterDict()
            self.acting: list[str] = []

        def forward(self, weight: Tensor) -> Tensor:
            for name in self.acting:
                weight = weight + self.offsets[name]
            return weight

    return Offsets
