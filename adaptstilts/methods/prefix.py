"""Prefix tuning (Li & Liang 2021, arXiv 2101.00190), through the ``adapters`` library.

Attention of every layer sees learned keys and values before those of the tokens: ``[P; K]`` and ``[Q; V]``. They come
from a small network, ``W2 tanh(W1 e + b1) + b2`` of one embedding ``e`` for each position, which all layers share.
Stacked prefixes are all seen, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adaptstilts.methods._adapters_library import AdaptersMethod, library_modules, named_tensors
from adaptstilts.methods.base import LayerIndices

if TYPE_CHECKING:
    from torch import nn

    from adaptstilts.methods.host import Host


class Prefix(AdaptersMethod):
    """Learned keys and values before those of the tokens, in every layer of a frozen encoder.

    Attributes:
        length: how many learned positions there are.
        inner: inner size of the network that produces them.
        leave_out: indices of layers without a prefix, 0 the lowest.
    """

    kind: Literal["prefix"] = "prefix"
    length: int = Field(30, ge=1, le=512)
    inner: int = Field(512, ge=1, le=8192)
    leave_out: LayerIndices = ()
    default_lr: ClassVar[float] = 3e-4
    noun: ClassVar[str] = "prefix tuning"
    feature: ClassVar[str] = "prefix"

    def why_not_on(self, shape: Mapping[str, int]) -> str | None:
        """Refuse a prefix that is longer than the longest text."""
        if self.length > shape["positions"]:
            return f"length {self.length} is more than the {shape['positions']} positions of the model; give fewer"
        return super().why_not_on(shape)

    def why_not_mergeable(self) -> str | None:
        """Refuse: a weighted sum of networks does not produce the weighted sum of the prefixes."""
        return "a network computes the prefix, and averaging networks does not average their prefixes"

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``length h + (h + 1) inner + (inner + 1) 2 h layers``: embeddings and both layers of the network."""
        hidden = shape["hidden"]
        outputs = 2 * hidden * len(self.layers(shape["layers"]))
        return self.length * hidden + (hidden + 1) * self.inner + (self.inner + 1) * outputs

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        """Return the parameters by the first of their keys in the library's files, which have one for each layer.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        return named_tensors(host, name, "prefix_tunings")

    def attached_layers(self, host: Host, name: str) -> set[int]:
        """Return the layers that see this prefix, if its network is there.

        Args:
            host: the encoder.
            name: name of the adapter.
        """
        from adapters.methods.prefix_tuning import PrefixTuningLayer

        places = library_modules(host, PrefixTuningLayer)
        return {layer for layer, place in places if name in place.prefixes and name in place.pool.prefix_tunings}

    def library_config(self) -> Any:
        """Return the library's config."""
        from adapters import PrefixTuningConfig

        return PrefixTuningConfig(prefix_length=self.length, bottleneck_size=self.inner, leave_out=list(self.leave_out))

    @classmethod
    def from_library(cls, config: Mapping[str, Any]) -> Prefix:
        """Return the prefix of a config."""
        return cls(
            length=config["prefix_length"], inner=config["bottleneck_size"], leave_out=tuple(config["leave_out"])
        )
