"""Methods that work through ``peft`` on the bare encoder, and the files of such adapters.

The encoder is never wrapped in a ``PeftModel``: its ``set_adapter`` unfreezes what is frozen, accepts unknown names,
and cannot activate two adapters at once. ``inject_adapter_in_model`` puts peft's layers into the encoder, and they are
switched here.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakKeyDictionary

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import AdapterMethod, read_json, write_adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel

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
    def modules_per_layer(self) -> int:
        """Return how many modules of a layer are adapted."""

    @abstractmethod
    def library_config(self, depth: int) -> Any:
        """Return peft's config for an encoder of ``depth`` layers."""

    @classmethod
    @abstractmethod
    def from_library(cls, config: Mapping[str, Any], depth: int) -> Self:
        """Return the method that a config describes; KeyError, TypeError or ValueError if it describes none.

        Args:
            config: a file's settings. What this ignores is compared with :meth:`library_config` afterwards.
            depth: number of layers of the encoder.
        """

    @property
    def variant(self) -> str:
        """Return what messages call an adapter of exactly these settings."""
        return self.noun

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach new modules where peft's config says."""
        from peft import inject_adapter_in_model

        inject_adapter_in_model(self.library_config(len(trunk.encoder.layer)), trunk, adapter_name=name)
        _TUNED_MODULES.pop(trunk, None)

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Let ``names`` act wherever they have modules."""
        for _, module in _tuned_modules(trunk):
            present = [name for name in names if name in _adapters(module)]
            # set_adapter would also walk every adapter to set requires_grad, which the encoder does in one place
            module._disable_adapters = not present
            module._active_adapter = present

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an adapter."""
        for _, module in _tuned_modules(trunk):
            if name in _adapters(module):
                module.delete_adapter(name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Return the parameters by the names that a saved ``PeftModel`` gives them."""
        marks = {f".{part}.{name}.": f".{part}." for part in self.parts}
        tensors = {}
        for key, value in trunk.named_parameters():
            for mark, replacement in marks.items():
                if mark in f"{key}.":
                    stored = f"{key}.".replace(mark, replacement).removesuffix(".")
                    # peft writes magnitudes without .weight
                    tensors[_PREFIX + stored.replace("_vector.weight", "_vector")] = value
        return tensors

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Return the layers in which every adapted module has all parts of this name."""
        counts = Counter(
            layer
            for layer, module in _tuned_modules(trunk)
            if all(name in getattr(module, part, ()) for part in self.parts)
        )
        return {layer for layer, count in counts.items() if count == self.modules_per_layer}

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """Return ``names``, or what acts in the first module that uses another selection of them."""
        for _, module in _tuned_modules(trunk):
            is_off = module.disable_adapters or module.merged
            acting = () if is_off else tuple(module.active_adapters)
            if acting != tuple(name for name in names if name in _adapters(module)):
                return acting
        return tuple(names)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``, as the library does."""
        config = self.library_config(len(trunk.encoder.layer))
        config.inference_mode = True
        config.base_model_name_or_path = trunk.config._name_or_path or None
        fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
        text = json.dumps(fields, indent=2, sort_keys=True)
        write_adapter(folder, text, self.tensors(trunk, name), "adapter_model.safetensors")

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Self:
        """Return the method of a folder; anything that this class would compute otherwise is refused.

        Raises:
            ArtifactError: see above.
        """
        path = folder / "adapter_config.json"
        config = read_json(path)
        try:
            method = cls.from_library(config, depth)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the config of {cls.noun} ({error})") from None
        method._check_config(config, depth, path)
        return method

    def _check_config(self, config: Mapping[str, Any], depth: int, path: Path) -> None:
        """Raise if a file says anything else than this method would write."""
        expected = self.library_config(depth).to_dict()
        compared = {key: value for key, value in config.items() if key not in _NOT_COMPARED}
        wrong = sorted(key for key, value in compared.items() if _plain(expected.get(key)) != _plain(value))
        if wrong:
            settings = ", ".join(f"{key}={config.get(key)!r}" for key in wrong)
            raise ArtifactError(f"{path}: {settings} is not what {self.variant} has; other variants are not read")


def _tuned_modules(trunk: XLMRobertaModel) -> list[tuple[int, Any]]:
    """Return (layer, module) of every module of peft's; cached, because swapping would pay for the walk."""
    if trunk not in _TUNED_MODULES:
        from peft.tuners.tuners_utils import BaseTunerLayer

        _TUNED_MODULES[trunk] = [
            (index, module)
            for index, layer in enumerate(trunk.encoder.layer)
            for module in layer.modules()
            if isinstance(module, BaseTunerLayer)
        ]
    return _TUNED_MODULES[trunk]


def _adapters(module: Any) -> Any:
    """Return the first part of every adapter of a peft layer, by adapter."""
    return getattr(module, module.adapter_layer_names[0])


def _plain(value: Any) -> Any:
    """Return a value so that equal settings are equal: sets and lists sorted, and {} for None."""
    if isinstance(value, set | tuple | list):
        return sorted(value, key=str)
    return {} if value is None else value
