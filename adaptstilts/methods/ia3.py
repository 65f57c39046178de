"""(IA)3 (Liu et al. 2022, arXiv 2205.05638), through ``peft`` on the bare encoder.

Three learned vectors in every layer scale what passes: keys ``l_k * (K x + b)``, values ``l_v * (V x + b)`` and the
inner activations of the feed-forward block, ``W (l_ff * a) + b``. Stacked adapters act as the product of their
vectors, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adaptstilts.methods._peft_library import PeftMethod
from adaptstilts.methods.base import LayerIndices, Method

if TYPE_CHECKING:
    from torch import Tensor

    from adaptstilts.methods.host import ModuleNames

_ATTENTION = ("key", "value")
_FEEDFORWARD = "output"


class Ia3(PeftMethod):
    """Learned scales of keys, values and inner activations of a frozen encoder.

    Attributes:
        leave_out: indices of layers without scales, 0 the lowest.
    """

    kind: Literal["ia3"] = "ia3"
    leave_out: LayerIndices = ()
    default_lr: ClassVar[float] = 3e-3
    decayed: ClassVar[bool] = False  # scales are neutral at one, not at zero
    noun: ClassVar[str] = "an (IA)3 adapter"

    @property
    def variant(self) -> str:
        """Return what messages call this adapter."""
        return "an (IA)3 adapter of keys, values and inner activations, named layer by layer,"

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the scales."""
        return ("ia3_l",)

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the linear layers whose outputs or inputs are scaled."""
        return (*_ATTENTION, _FEEDFORWARD)

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return ``layers * (2 h + i)``, with ``i`` the inner size of the feed-forward block."""
        return len(self.layers(shape["layers"])) * (2 * shape["hidden"] + shape["intermediate"])

    @classmethod
    def merged_tensors(
        cls, parts: Sequence[tuple[Method, Mapping[str, Tensor]]], weights: Sequence[float]
    ) -> dict[str, Tensor]:
        """Return ``1 + sum of w (l - 1)``: scales that an adapter lacks are one.

        Args:
            parts: method and tensors of each adapter.
            weights: one for each.
        """
        offsets: list[tuple[Method, Mapping[str, Tensor]]] = []
        for method, tensors in parts:
            offsets.append((method, {key: value - 1 for key, value in tensors.items()}))
        return {key: 1 + value for key, value in super().merged_tensors(offsets, weights).items()}

    def library_config(self, depth: int, names: ModuleNames) -> Any:
        """Return peft's config, which names every module with its layer.

        peft goes by the end of a module's name, and ``attention.output.dense`` ends like ``output.dense``.

        Args:
            depth: number of layers of the encoder.
            names: what its modules are called.
        """
        from peft import IA3Config

        layers = self.layers(depth)
        inner = [names.in_layer(i, _FEEDFORWARD) for i in layers]
        attention = [names.in_layer(i, role) for i, role in product(layers, _ATTENTION)]
        return IA3Config(target_modules=[*attention, *inner], feedforward_modules=inner)

    @classmethod
    def from_library(cls, config: Mapping[str, Any], depth: int, names: ModuleNames) -> Ia3:
        """Return the scales of a config; layers that it does not name are left out.

        Args:
            config: a file's settings.
            depth: number of layers of the encoder.
            names: what the encoder's modules are called.
        """
        targets = set(config["target_modules"])
        return cls(leave_out=tuple(i for i in range(depth) if names.in_layer(i, _FEEDFORWARD) not in targets))
