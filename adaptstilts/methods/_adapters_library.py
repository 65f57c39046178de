"""Methods that work through the ``adapters`` library, and the files of such adapters."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.base import AdapterMethod, read_json, write_adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


class AdaptersMethod(AdapterMethod):
    """A method whose modules are those of the ``adapters`` library.

    Attributes:
        noun: what messages call such an adapter.
    """

    backend: ClassVar[str] = "adapters"
    noun: ClassVar[str]

    @abstractmethod
    def library_config(self) -> Any:
        """Return the library's config."""

    @classmethod
    @abstractmethod
    def from_library(cls, config: Mapping[str, Any]) -> Self:
        """Return the method that a config describes; KeyError, TypeError or ValueError if it describes none.

        What this ignores is compared with :meth:`library_config` afterwards.
        """

    @property
    def variant(self) -> str:
        """Return what messages call an adapter of exactly these settings."""
        return self.noun

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Give every layer the places for adapters; without an adapter the outputs stay equal to the bit."""
        import adapters

        adapters.init(trunk)

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new adapter."""
        trunk.add_adapter(name, config=self.library_config())

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Stack ``names``, the first lowest."""
        from adapters.composition import Stack

        trunk.set_active_adapters(Stack(*names) if names else None)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach an adapter and activate none, because the library mistakes a stack of one less for the old one."""
        trunk.set_active_adapters(None)
        trunk.delete_adapter(name)

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """Return the members of the active stack, or any other setup as its ``repr``, which is no adapter's name."""
        from adapters.composition import Stack

        setup = trunk.adapters_config.active_setup
        if setup is None:
            return ()
        if isinstance(setup, Stack) and all(isinstance(member, str) for member in setup.children):
            return tuple(setup.children)
        return (repr(setup),)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors``, where the library would not write all tensors."""
        from adapters.configuration import build_full_config

        config = build_full_config(
            trunk.adapters_config.get(name), trunk.config, model_name=trunk.model_name, name=name
        )
        text = json.dumps(config, indent=2, sort_keys=True)
        write_adapter(folder, text, self.tensors(trunk, name), "adapter.safetensors")

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Self:
        """Return the method of a folder; anything that this class would compute otherwise is refused.

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
        """Raise if a file says anything else than this method would write."""
        expected = self.library_config().to_dict()
        wrong = sorted(key for key in {*config, *expected} if config.get(key) != expected.get(key))
        if wrong:
            settings = ", ".join(f"{key}={config.get(key)!r}" for key in wrong)
            raise ArtifactError(f"{path}: {settings} is not what {self.variant} has; other variants are not read")


def named_tensors(trunk: XLMRobertaModel, *marks: str) -> dict[str, nn.Parameter]:
    """Return the parameters with one of ``marks`` in the name that the library gives them in its files."""
    return {key: value for key, value in trunk.named_parameters() if any(mark in key for mark in marks)}


def layers_with_bottleneck(trunk: XLMRobertaModel, name: str, placement: str) -> set[int]:
    """Return the layers that have a bottleneck at every place that a placement asks for, and at no other.

    Args:
        trunk: the encoder.
        name: of the adapter.
        placement: ``double`` asks for one after attention as well.
    """
    expected = (True, placement == "double")
    layers = set()
    for index, layer in enumerate(trunk.encoder.layer):
        if (name in layer.output.adapters, name in layer.attention.output.adapters) == expected:
            layers.add(index)
    return layers
