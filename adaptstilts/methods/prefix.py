"""Prefix tuning (Li & Liang 2021, arXiv 2101.00190), through the ``adapters`` library.

Attention of every layer sees learned keys and values before those of the tokens: ``[P; K]`` and ``[Q; V]``. While
training they are made by a small network, ``W2 tanh(W1 e + b1) + b2`` of one embedding ``e`` for each position, which
all layers share. Two stacked prefixes are both seen, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import _adapters_library as with_adapters
from adaptstilts.methods.base import AdapterMethod, ascending

if TYPE_CHECKING:
    from torch import nn
    from transformers import XLMRobertaModel


class Prefix(AdapterMethod):
    """Learned keys and values before those of the tokens, in every layer of a frozen encoder.

    Attributes:
        length: how many there are.
        inner: inner size of the network that makes them.
        leave_out: indices of layers without a prefix, 0 the lowest.
    """

    kind: Literal["prefix"] = "prefix"
    length: int = Field(30, ge=1, le=512)
    inner: int = Field(512, ge=1, le=8192)
    leave_out: Annotated[tuple[int, ...], AfterValidator(ascending)] = Field((), strict=False)
    backend: ClassVar[str] = "adapters"
    default_lr: ClassVar[float] = 3e-4

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a prefix that is longer than the longest text."""
        if self.length > shape["positions"]:
            return f"length {self.length} is more than the {shape['positions']} positions of the model; give fewer"
        return super().why_not_on(shape)

    def why_not_mergeable(self) -> str | None:
        """Refuse: a weighted sum of the networks does not make the weighted sum of the prefixes."""
        return "a prefix is what a network makes, and averaged networks do not make averaged prefixes"

    def trainable(self, shape: Mapping[str, int]) -> int:
        """``length h + (h + 1) inner + (inner + 1) 2 h layers``: embeddings and both layers of the network."""
        hidden = shape["hidden"]
        made = 2 * hidden * len(self.layers(shape["layers"]))
        return self.length * hidden + (hidden + 1) * self.inner + (self.inner + 1) * made

    def prepare(self, trunk: XLMRobertaModel) -> None:
        """Give every layer the places where prefixes go."""
        with_adapters.prepare(trunk)

    def add(self, trunk: XLMRobertaModel, name: str) -> None:
        """Attach a new prefix."""
        trunk.add_adapter(name, config=self._library_config())

    def activate(self, trunk: XLMRobertaModel, names: Sequence[str]) -> None:
        """Show attention the prefixes of ``names``."""
        with_adapters.activate(trunk, names)

    def remove(self, trunk: XLMRobertaModel, name: str) -> None:
        """Detach a prefix; nothing is active afterwards."""
        with_adapters.remove(trunk, name)

    def tensors(self, trunk: XLMRobertaModel, name: str) -> dict[str, nn.Parameter]:
        """Parameters by the first of the names that the library gives them; it has one for each layer."""
        return with_adapters.tensors(trunk, f".prefix_tunings.{name}.")

    def attached_layers(self, trunk: XLMRobertaModel, name: str) -> set[int]:
        """Layers that see this prefix, if it is there."""
        places = [layer.attention.self.prefix_tuning for layer in trunk.encoder.layer]
        return {i for i, place in enumerate(places) if name in place.prefixes and name in place.pool.prefix_tunings}

    def active(self, trunk: XLMRobertaModel, names: Sequence[str]) -> tuple[str, ...]:
        """The members of the active stack."""
        return with_adapters.active(trunk)

    def save(self, trunk: XLMRobertaModel, name: str, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter.safetensors``.

        The library cannot: it writes a tensor once for each layer that shares it, which safetensors refuses.
        """
        with_adapters.save(trunk, name, self.tensors(trunk, name), folder)

    @classmethod
    def read_config(cls, folder: Path, depth: int) -> Prefix:
        """Recognise a prefix; anything this class would compute otherwise is refused."""
        held = with_adapters.read(folder, "prefix tuning")
        try:
            method = cls(
                length=held["prefix_length"], inner=held["bottleneck_size"], leave_out=tuple(held["leave_out"])
            )
        except (KeyError, TypeError, ValueError) as error:
            path = folder / "adapter_config.json"
            raise ArtifactError(f"{path}: not the config of prefix tuning ({error})") from None
        with_adapters.check_config(held, method._library_config(), folder, "prefix tuning")
        return method

    def _library_config(self) -> Any:
        from adapters import PrefixTuningConfig

        return PrefixTuningConfig(prefix_length=self.length, bottleneck_size=self.inner, leave_out=list(self.leave_out))
