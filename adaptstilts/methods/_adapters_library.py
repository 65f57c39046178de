"""Methods that work through the ``adapters`` library, and the files of such adapters."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakKeyDictionary

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import NAME_IN_KEYS, AdapterMethod, read_json, write_adapter

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host, ModuleNames

# module dictionaries of the library, by adapter: the part of a key after one of these is an adapter's name
_BY_ADAPTER = ("adapters", "invertible_adapters", "prefix_tunings", "shared_parameters", "loras", "prefix_gates")
_LIBRARY_MODULES: WeakKeyDictionary[Any, dict[type, list[tuple[int, Any]]]] = WeakKeyDictionary()


class AdaptersMethod(AdapterMethod):
    """A method whose modules are those of the ``adapters`` library.

    Attributes:
        noun: what messages call such an adapter.
        feature: what the library must support in the encoder's architecture; see ``ModuleNames.adapters``.
    """

    backend: ClassVar[str] = "adapters"
    noun: ClassVar[str]
    feature: ClassVar[str]

    def why_not_for(self, names: ModuleNames) -> str | None:
        """Refuse architectures in which the library does not support this."""
        if self.feature not in names.adapters:
            return "the adapters library does not support this method in encoders of this architecture"
        return super().why_not_for(names)

    @abstractmethod
    def library_config(self) -> Any:
        """Return the library's config."""

    @classmethod
    @abstractmethod
    def from_library(cls, config: Mapping[str, Any]) -> Self:
        """Return the method that a config describes; KeyError, TypeError or ValueError if it describes none.

        Fields that this ignores are compared with :meth:`library_config` afterwards.
        """

    @property
    def variant(self) -> str:
        """Return what messages call an adapter of exactly these settings."""
        return self.noun

    def prepare(self, host: Host) -> None:
        """Add places for adapters to every layer; without an adapter the outputs stay equal to the bit."""
        import adapters

        interface = host.names.interface
        adapters.init(host.model, interface=interface and adapters.AdapterModelInterface(**interface))

    def add(self, host: Host, name: str) -> None:
        """Attach a new adapter.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        host.model.add_adapter(name, config=self.library_config())
        _LIBRARY_MODULES.pop(host.model, None)

    def activate(self, host: Host, names: Sequence[str]) -> None:
        """Stack ``names``, the first lowest.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        from adapters.composition import Stack

        host.model.set_active_adapters(Stack(*names) if names else None)

    def remove(self, host: Host, name: str) -> None:
        """Detach an adapter and deactivate all, because the library mistakes a stack with one less for the old one.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        host.model.set_active_adapters(None)
        host.model.delete_adapter(name)

    def active(self, host: Host, names: Sequence[str]) -> tuple[str, ...]:
        """Return the members of the active stack; any other setup is returned as its ``repr``, which names no adapter.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        from adapters.composition import Stack

        setup = host.model.adapters_config.active_setup
        if setup is None:
            return ()
        if isinstance(setup, Stack) and all(isinstance(member, str) for member in setup.children):
            return tuple(setup.children)
        return (repr(setup),)

    def present_keys(self, stored: Collection[str], expected: Collection[str]) -> dict[str, str]:
        """Return each key with ``NAME_IN_KEYS`` in the place of the adapter's name.

        Args:
            stored: keys of the file, as of the encoder alone.
            expected: keys of :meth:`tensors`.
        """
        return {key: with_name(key, NAME_IN_KEYS) for key in stored}

    def save(self, host: Host, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors`` as the library would, but always all tensors.

        Args:
            host: the encoder.
            name: name of the adapter.
            folder: where the files go; created if missing.
        """
        from adapters.configuration import build_full_config

        config = build_full_config(
            host.model.adapters_config.get(name),
            host.model.config,
            model_name=host.model.model_name,
            name=NAME_IN_KEYS,
            model_class=type(host.model).__name__,
        )
        text = json.dumps(config, indent=2, sort_keys=True)
        write_adapter(folder, text, self.tensors(host, name), "adapter.safetensors")

    @classmethod
    def read_config(cls, folder: Path, depth: int, names: ModuleNames) -> Self:
        """Return the method of a folder; refuse anything that this class would compute differently.

        Args:
            folder: folder with the adapter's files.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.

        Raises:
            ArtifactError: see above.
        """
        path = folder / "adapter_config.json"
        config = read_json(path).get("config")
        if not isinstance(config, dict):
            raise ArtifactError(f"{path}: not the config of {cls.noun}: no mapping under config")
        try:
            method = cls.from_library(config)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of {cls.noun} ({error})") from None
        method._check_config(config, path)
        return method

    def _check_config(self, config: Mapping[str, Any], path: Path) -> None:
        """Raise if a config differs from what this method would write."""
        expected = self.library_config().to_dict()
        wrong = sorted(key for key in {*config, *expected} if config.get(key) != expected.get(key))
        if wrong:
            settings = ", ".join(f"{key}={config.get(key)!r}" for key in wrong)
            raise ArtifactError(f"{path}: {settings} is not what {self.variant} has; other variants are not read")


def named_tensors(host: Host, name: str, *dictionaries: str) -> dict[str, nn.Parameter]:
    """Return an adapter's parameters by the keys of the library's files, the name being ``NAME_IN_KEYS``.

    Args:
        host: the encoder.
        name: name of the adapter.
        dictionaries: attributes of the library's modules that have such adapters by name.
    """
    tensors: dict[str, nn.Parameter] = {}
    for attribute in dictionaries:
        for path, key, value in parameters_of(host, name, attribute):
            tensors[f"{path}.{NAME_IN_KEYS}.{key}"] = value
    return tensors


def parameters_of(host: Host, name: str, attribute: str) -> Iterator[tuple[str, str, nn.Parameter]]:
    """Yield (path of the dictionary, key, parameter) of what has a name in the dictionaries of one attribute.

    Args:
        host: the encoder.
        name: name of an adapter or a fusion.
        attribute: attribute of the library's modules.
    """
    from torch import nn

    for path, module in host.model.named_modules():
        by_name = getattr(module, attribute, None)
        if isinstance(by_name, nn.ModuleDict) and name in by_name:
            for key, value in by_name[name].named_parameters():
                yield f"{path}.{attribute}" if path else attribute, key, value


def name_in(key: str) -> tuple[list[str], int] | None:
    """Return a key's parts and the index of the adapter's name among them; None if it has none.

    The name follows the first dictionary of adapters, because no module of an encoder is called like one.
    """
    parts = key.split(".")
    for index, part in enumerate(parts[:-2]):
        if part in _BY_ADAPTER:
            return parts, index + 1
    return None


def with_name(key: str, name: str) -> str:
    """Return a key of the library's files with another adapter's name.

    Args:
        key: key with any adapter's name or none.
        name: the new name.
    """
    place = name_in(key)
    if place is None:
        return key
    parts, index = place
    return ".".join([*parts[:index], name, *parts[index + 1 :]])


def layers_with_bottleneck(host: Host, name: str, placement: str) -> set[int]:
    """Return the layers that have a bottleneck at every place that a placement asks for, and at no other.

    Args:
        host: the encoder.
        name: name of the adapter.
        placement: ``double`` asks for one after attention as well.
    """
    expected = {"output_adapter", "mh_adapter"} if placement == "double" else {"output_adapter"}
    places: dict[int, set[str]] = {}
    for layer, slot in bottleneck_slots(host):
        if name in slot.adapters:
            places.setdefault(layer, set()).add(slot.location_key)
    return {layer for layer, keys in places.items() if keys == expected}


def bottleneck_slots(host: Host) -> list[tuple[int, Any]]:
    """Return (layer, module) of every place for bottleneck adapters and fusions."""
    from adapters.methods.bottleneck import BottleneckLayer

    return library_modules(host, BottleneckLayer)


def library_modules(host: Host, module_class: type) -> list[tuple[int, Any]]:
    """Return (layer, module) of every module of a class; cached, because swapping would pay for the walk.

    Args:
        host: the encoder.
        module_class: module class of the library.
    """
    by_class = _LIBRARY_MODULES.setdefault(host.model, {})
    if module_class not in by_class:
        by_class[module_class] = host.layer_modules(module_class)
    return by_class[module_class]
