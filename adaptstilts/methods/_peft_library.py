"""Methods that work through ``peft`` on the bare encoder, and the files of such adapters.

The encoder is never wrapped in a ``PeftModel``: its ``set_adapter`` unfreezes what is frozen, accepts unknown names,
and cannot activate two adapters at once. ``inject_adapter_in_model`` puts peft's layers into the encoder, and they are
switched here.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakKeyDictionary

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import AdapterMethod, read_json, write_adapter

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host, ModuleNames

_PREFIX = "base_model.model."
_NOT_COMPARED = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "revision",
    "task_type",
}
_TUNED_MODULES: WeakKeyDictionary[Any, list[tuple[int, Any]]] = WeakKeyDictionary()


class PeftMethod(AdapterMethod):
    """A method whose modules are those of the ``peft`` library.

    Attributes:
        noun: what messages call such an adapter.
    """

    backend: ClassVar[str] = "peft"
    noun: ClassVar[str]

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Return the attributes of a peft layer that keep the parameters of an adapter."""

    @property
    @abstractmethod
    def roles(self) -> tuple[str, ...]:
        """Return the roles of the linear layers that are adapted in every layer of the encoder."""

    def why_not_for(self, names: ModuleNames) -> str | None:
        """Refuse architectures that have no such linear layer."""
        missing = [role for role in self.roles if role not in names.linear]
        if missing:
            return f"encoders of this architecture have no linear layer of their own for {', '.join(missing)}"
        return super().why_not_for(names)

    @abstractmethod
    def library_config(self, depth: int, names: ModuleNames) -> Any:
        """Return peft's config for an encoder.

        Args:
            depth: number of layers.
            names: what its modules are called.
        """

    @classmethod
    @abstractmethod
    def from_library(cls, config: Mapping[str, Any], depth: int, names: ModuleNames) -> Self:
        """Return the method that a config describes; KeyError, TypeError or ValueError if it describes none.

        Args:
            config: settings in a file. Fields that this ignores are compared with :meth:`library_config` afterwards.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.
        """

    @property
    def variant(self) -> str:
        """Return what messages call an adapter of exactly these settings."""
        return self.noun

    def add(self, host: Host, name: str) -> None:
        """Attach new modules where peft's config says.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        from peft import inject_adapter_in_model

        inject_adapter_in_model(self.library_config(host.depth, host.names), host.model, adapter_name=name)
        _TUNED_MODULES.pop(host.model, None)

    def activate(self, host: Host, names: Sequence[str]) -> None:
        """Make ``names`` active wherever they have modules.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        for _, module in _tuned_modules(host):
            present = [name for name in names if name in _adapters(module)]
            # set_adapter would also walk every adapter to set requires_grad, which the encoder does in one place
            module._disable_adapters = not present
            module._active_adapter = present

    def merge_into(self, host: Host) -> None:
        """Merge the adapters that act into the weights of the encoder, which are changed for good.

        Args:
            host: the encoder.
        """
        for _, module in _tuned_modules(host):
            if module._active_adapter and not module.disable_adapters:
                module.merge(safe_merge=False)

    def remove(self, host: Host, name: str) -> None:
        """Detach an adapter.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        for _, module in _tuned_modules(host):
            if name in _adapters(module):
                module.delete_adapter(name)

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return the parameters by the keys that a saved ``PeftModel`` gives them, which have no name.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        tensors: dict[str, nn.Parameter] = {}
        for path, module in host.model.named_modules():
            for part in self.parts:
                adapters = getattr(module, part, {}) if isinstance(module, _tuner_layer()) else {}
                if name in adapters:
                    tensors |= _part_tensors(f"{_PREFIX}{path}.{part}", adapters[name])
        return tensors

    def present_keys(self, stored: Collection[str], expected: Collection[str]) -> dict[str, str]:
        """Return each key as it is, or as it was meant if version 0.1.0 left parts of it out.

        That version removed the adapter's name from whole keys, and so every module of the same name.

        Args:
            stored: keys of the file, as of the encoder alone.
            expected: keys of :meth:`tensors`.
        """
        present = {key: key for key in stored}
        if present.keys() == set(expected):
            return present
        modules = set(chain.from_iterable(key.split(".") for key in expected)) - {*self.parts, "weight"}
        for name in sorted(modules):
            damaged = {_without_part(key, name): key for key in expected}
            if damaged.keys() == present.keys():
                return damaged
        return present

    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the layers in which every adapted module has all parts of this name.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        counts: Counter[int] = Counter()
        for layer, module in _tuned_modules(host):
            counts[layer] += all(name in getattr(module, part, ()) for part in self.parts)
        return {layer for layer, count in counts.items() if count == len(self.roles)}

    def active(self, host: Host, names: Sequence[str]) -> tuple[str, ...]:
        """Return ``names`` if they are active everywhere; else what is active in the first module that differs.

        Args:
            host: the encoder.
            names: names of adapters, the first lowest.
        """
        for _, module in _tuned_modules(host):
            is_off = module.disable_adapters or module.merged
            acting = () if is_off else tuple(module.active_adapters)
            if acting != tuple(name for name in names if name in _adapters(module)):
                return acting
        return tuple(names)

    def save(self, host: Host, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does.

        Args:
            host: the encoder.
            name: name of the adapter.
            folder: where the files go; created if missing.
        """
        config = self.library_config(host.depth, host.names)
        config.inference_mode = True
        config.base_model_name_or_path = host.model.config._name_or_path or None
        fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
        text = json.dumps(fields, indent=2, sort_keys=True)
        write_adapter(folder, text, self.tensors(host, name), "adapter_model.safetensors")

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
        config = read_json(path)
        try:
            method = cls.from_library(config, depth, names)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of {cls.noun} ({error})") from None
        method._check_config(config, method.library_config(depth, names).to_dict(), path)
        return method

    def _check_config(self, config: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
        """Raise if a config differs from what this method would write."""
        compared = {key: value for key, value in config.items() if key not in _NOT_COMPARED}
        wrong = sorted(key for key, value in compared.items() if _plain(expected.get(key)) != _plain(value))
        if wrong:
            settings = ", ".join(f"{key}={config.get(key)!r}" for key in wrong)
            raise ArtifactError(f"{path}: {settings} is not what {self.variant} has; other variants are not read")


def _tuned_modules(host: Host) -> list[tuple[int, Any]]:
    """Return (layer, module) of every module of peft's; cached, because swapping would pay for the walk."""
    if host.model not in _TUNED_MODULES:
        _TUNED_MODULES[host.model] = host.layer_modules(_tuner_layer())
    return _TUNED_MODULES[host.model]


def _tuner_layer() -> type[Any]:
    """Return the class of peft's layers."""
    from peft.tuners import tuners_utils

    layer: type[Any] = tuners_utils.BaseTunerLayer
    return layer


def _part_tensors(key: str, part: Any) -> dict[str, nn.Parameter]:
    """Return the parameters of one part of an adapter: a module, or a parameter itself.

    Args:
        key: key of the part.
        part: part of one adapter.
    """
    from torch import nn

    if isinstance(part, nn.Parameter) or key.endswith("_vector"):  # peft writes magnitudes without .weight
        return {key: getattr(part, "weight", part)}
    return {f"{key}.{inner}": value for inner, value in part.named_parameters()}


def _without_part(key: str, name: str) -> str:
    """Return a key as version 0.1.0 wrote it for an adapter of some name, see :meth:`PeftMethod.present_keys`."""
    return _PREFIX + key.removeprefix(_PREFIX).replace(f".{name}.", ".")


def _adapters(module: Any) -> Any:
    """Return the first part of every adapter of a peft layer, by the name of the adapter."""
    return getattr(module, module.adapter_layer_names[0])


def _plain(value: Any) -> Any:
    """Normalize a value so that equal settings compare equal: sets and lists sorted, and {} for None."""
    if isinstance(value, set | tuple | list):
        return sorted(value, key=str)
    return {} if value is None else value
