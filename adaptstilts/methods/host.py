"""The encoder as methods see it: a model of ``transformers``, and what its modules are called."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

ROLES = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class ModuleNames:
    """What one architecture calls its modules; a dot leads one module deeper.

    Attributes:
        layers: the list of layers, from the model.
        inputs: modules that compute the input of the lowest layer, from the model, in the order of their use.
        attention: the attention block of a layer, with its residual and normalisation; None if it is not a module of
            its own, so that a layer can only be computed as a whole.
        linear: role of a linear layer (one of :data:`ROLES`) -> its name in a layer. A role is left out if the
            architecture has no such layer, for example one projection for query, key and value.
        peft: role -> the name in peft's files, if not that in ``linear``; peft takes every module whose name ends so.
        prefix: the encoder's own name in a model with a head.
        adapters: what the ``adapters`` library supports in this architecture: any of ``bottleneck``, ``invertible``,
            ``compacter`` and ``prefix``.
        interface: arguments of ``adapters.AdapterModelInterface``; None if the library knows the architecture itself.
        final: the normalisation after the last layer, from the model; None if there is none.
        runs_without_layers: whether the library computes an encoder that has no layer left.
        biases: whether linear layers and normalisations have biases.
    """

    layers: str
    inputs: tuple[str, ...]
    linear: Mapping[str, str]
    prefix: str
    attention: str | None = None
    peft: Mapping[str, str] = field(default_factory=dict)
    adapters: frozenset[str] = frozenset()
    interface: Mapping[str, Any] | None = None
    final: str | None = None
    runs_without_layers: bool = True
    biases: bool = True

    @property
    def layer_list(self) -> str:
        """Return the last part of the layers' name, by which peft finds the number of a layer."""
        return self.layers.rpartition(".")[2]

    def peft_name(self, role: str) -> str:
        """Return what peft's files call the linear layer of a role."""
        return self.peft.get(role, self.linear[role])

    def in_layer(self, layer: int, role: str) -> str:
        """Return the name of a linear layer from the list of layers on: ``layer.3.output.dense``.

        Args:
            layer: index of the layer.
            role: role of the linear layer.
        """
        return f"{self.layer_list}.{layer}.{self.linear[role]}"

    def taken_for(self, roles: Collection[str]) -> list[str]:
        """Return the names of other linear layers that peft would take for those of some roles, by their ends."""
        ends = tuple(f".{self.peft_name(role)}" for role in roles)
        others = [name for role, name in self.linear.items() if role not in roles]
        return [name for name in others if f".{name}".endswith(ends)]


@dataclass(frozen=True)
class Host:
    """The encoder that adapters attach to.

    Attributes:
        model: the encoder without a head.
        names: what its modules are called.
        hidden: hidden size.
    """

    model: Any
    names: ModuleNames
    hidden: int

    @property
    def layers(self) -> Sequence[nn.Module]:
        """Return the layers, the lowest first."""
        layers: Sequence[nn.Module] = module_at(self.model, self.names.layers)
        return layers

    @property
    def depth(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def layer_modules(self, module_class: type) -> list[tuple[int, Any]]:
        """Return (layer, module) of every module of a class."""
        modules: list[tuple[int, Any]] = []
        for index, layer in enumerate(self.layers):
            modules += [(index, module) for module in layer.modules() if isinstance(module, module_class)]
        return modules

    @property
    def inputs(self) -> list[nn.Module]:
        """Return the modules that compute the input of the lowest layer."""
        return [module_at(self.model, name) for name in self.names.inputs]


def module_at(module: Any, path: str) -> Any:
    """Return the module that a dotted name leads to."""
    return functools.reduce(getattr, path.split("."), module)
