"""Methods that add offsets to weights of the encoder, and the files of such adapters.

A weight ``w`` acts as ``w`` plus the offsets of the active adapters. So stacked adapters are summed, in any order, and
without an active adapter the weight itself is used, to the bit. No library has this format: a folder has
``adapter_config.json``, which is the method's identity, and ``adapter_model.safetensors``, the offsets (not the sums)
by the name of their weight in the encoder.
"""

from __future__ import annotations

import functools
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import AdapterMethod, LayerIndices, read_json, write_adapter

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host, ModuleNames


class OffsetMethod(AdapterMethod):
    """Offsets of some weights in every layer of a frozen encoder.

    Attributes:
        leave_out: indices of layers whose weights stay as they are, 0 the lowest.
    """

    leave_out: LayerIndices = ()

    def why_not_for(self, names: ModuleNames) -> str | None:
        """Refuse architectures without biases."""
        return super().why_not_for(names) if names.biases else "encoders of this architecture have no biases"

    @classmethod
    @abstractmethod
    def offset_weights(cls, module: nn.Module) -> tuple[str, ...]:
        """Return the names of a module's own weights that get an offset."""

    def add(self, host: Host, name: str) -> None:
        """Attach new offsets, all zero.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        import torch
        from torch import nn
        from torch.nn.utils import parametrize

        for index in self.layers(host.depth):
            for module in list(host.layers[index].modules()):
                for weight in self.offset_weights(module):
                    if not parametrize.is_parametrized(module, weight):
                        parametrize.register_parametrization(module, weight, _sum_class()())
                    parametrizations: Any = module.parametrizations
                    parametrization = parametrizations[weight]
                    parametrization[0].offsets[name] = nn.Parameter(torch.zeros_like(parametrization.original))

    def activate(self, host: Host, names: Sequence[str]) -> None:
        """Add the offsets of ``names`` to the weights.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        for _, _, place in _places(host):
            place.active = place.present(names)

    def remove(self, host: Host, name: str) -> None:
        """Detach an adapter's offsets.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        for _, _, place in _places(host):
            if name in place.offsets:
                del place.offsets[name]

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return the offsets by the name of their weight in a plain encoder.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        return {key: place.offsets[name] for _, key, place in _places(host) if name in place.offsets}

    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the layers in which every weight that should have an offset of this name has one.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        layers = set()
        for index, layer in enumerate(host.layers):
            expected = present = 0
            for module in layer.modules():
                expected += len(self.offset_weights(module))
                present += isinstance(module, _sum_class()) and name in module.offsets
            if present and present == expected:
                layers.add(index)
        return layers

    def active(self, host: Host, names: Sequence[str]) -> tuple[str, ...]:
        """Return ``names`` if every weight uses them; else the names that the first other weight uses.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        for _, _, place in _places(host):
            if place.active != place.present(names):
                return tuple(place.active)
        return tuple(names)

    def save(self, host: Host, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``.

        Args:
            host: the encoder.
            name: name of the adapter.
            folder: where the files go; created if missing.
        """
        config = json.dumps(self.identity(), indent=1)
        write_adapter(folder, config, self.tensors(host, name), "adapter_model.safetensors")

    @classmethod
    def read_config(cls, folder: Path, depth: int, names: ModuleNames) -> Self:
        """Return the method that wrote a folder.

        Args:
            folder: folder with the adapter's files.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.

        Raises:
            ArtifactError: another method wrote it, or the settings are not valid.
        """
        path = folder / "adapter_config.json"
        config = read_json(path)
        kind = cls.model_fields["kind"].default
        if config.get("kind") != kind:
            raise ArtifactError(f"{path}: of kind {config.get('kind')!r}, expected {kind!r}")
        try:
            return cls.model_validate(config)
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise ArtifactError(f"{path}: not the config of {kind} ({problem})") from None


def _places(host: Host) -> Iterator[tuple[int, str, Any]]:
    """Yield (layer, name of the weight, its sum) for every weight that has offsets."""
    for index, layer in enumerate(host.layers):
        for path, module in layer.named_modules():
            if isinstance(module, _sum_class()):
                owner, _, rest = path.partition(".parametrizations.")
                yield index, f"{host.names.layers}.{index}.{owner}.{rest.partition('.')[0]}", module


@functools.cache
def _sum_class() -> Any:
    """Return the class of a weight's parametrization; defined on first use, so that importing needs no torch."""
    from torch import Tensor, nn

    class WeightWithOffsets(nn.Module):
        """The sum of a weight and its active offsets.

        Attributes:
            offsets: by adapter.
            active: names of the offsets that are added, in this order.
        """

        def __init__(self) -> None:
            super().__init__()
            self.offsets = nn.ParameterDict()
            self.active: list[str] = []

        def present(self, names: Sequence[str]) -> list[str]:
            """Return those of ``names`` that have an offset here."""
            return [name for name in names if name in self.offsets]

        def forward(self, weight: Tensor) -> Tensor:
            """Return the weight plus its active offsets."""
            for name in self.active:
                weight = weight + self.offsets[name]
            return weight

    return WeightWithOffsets
