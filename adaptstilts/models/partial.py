"""Computing a part of an encoder: it ends early, or begins late with hidden states that are already there.

A layer is two blocks, attention and feed-forward, each with its normalisation. The input of block ``2 i`` is that of
layer ``i``; the input of block ``2 i + 1`` is the output of its attention block. Architectures whose attention block
is no module of its own have only even blocks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from adaptstilts.methods.host import Host, module_at


def lowest_parts(host: Host, block: int) -> list[nn.Module]:
    """Return the modules that are computed below a block."""
    parts = [*host.inputs, *host.layers[: block // 2]]
    if block % 2:
        parts.append(_attention(host, block))
    return parts


@contextlib.contextmanager
def truncated(host: Host, layers: int) -> Iterator[None]:
    """Cut the encoder off after ``layers`` layers within the context; higher layers are not computed."""
    with _replaced(host.model, host.names.layers, _module_list(host, host.layers[:layers])):
        yield


@contextlib.contextmanager
def ended(host: Host, block: int) -> Iterator[None]:
    """Cut the encoder off before ``block`` within the context."""
    layers: list[nn.Module] = [*host.layers[: block // 2]]
    if block % 2:
        layers.append(_AttentionOnly(_attention(host, block)))
    with contextlib.ExitStack() as stack:
        if host.names.final:
            stack.enter_context(_replaced(host.model, host.names.final, nn.Identity()))
        stack.enter_context(_replaced(host.model, host.names.layers, _module_list(host, layers)))
        yield


def _module_list(host: Host, layers: Sequence[nn.Module]) -> nn.ModuleList:
    """Return layers as a module; one that changes nothing if there are none and the library needs one."""
    if not layers and not host.names.runs_without_layers:
        return nn.ModuleList([_NoLayer()])
    return nn.ModuleList(layers)


@contextlib.contextmanager
def resumed(host: Host, block: int, states: Tensor) -> Iterator[None]:
    """Start the encoder at ``block`` within the context; nothing below it is computed.

    Args:
        host: the encoder, with or without adapters; none may be active below the block.
        block: 0 for the attention block of the lowest layer.
        states: (sequences, tokens, hidden), the input of the block; at padding they may be any finite numbers.
    """
    layers = host.layers[block // 2 :]
    with contextlib.ExitStack() as stack:
        for name in host.names.inputs:
            stack.enter_context(_replaced(host.model, name, _Constant(states)))
        if block % 2:
            assert host.names.attention is not None  # noqa: S101
            stack.enter_context(_replaced(layers[0], host.names.attention, _Constant((states,))))
        stack.enter_context(_replaced(host.model, host.names.layers, _module_list(host, layers)))
        yield


def _attention(host: Host, block: int) -> nn.Module:
    """Return the attention block of the layer of an odd block."""
    assert host.names.attention is not None  # noqa: S101
    module: nn.Module = module_at(host.layers[block // 2], host.names.attention)
    return module


@contextlib.contextmanager
def _replaced(owner: Any, path: str, module: nn.Module | Sequence[nn.Module]) -> Iterator[None]:
    """Replace the module that a dotted name leads to, and put the original one back at the end."""
    parent, _, name = path.rpartition(".")
    holder = module_at(owner, parent) if parent else owner
    former = getattr(holder, name)
    setattr(holder, name, module)
    try:
        yield
    finally:
        setattr(holder, name, former)


class _Constant(nn.Module):
    """A module that returns the same value whatever its input is."""

    def __init__(self, value: Tensor | tuple[Tensor]) -> None:
        super().__init__()
        self.value = value

    def forward(self, *inputs: Any, **named: Any) -> Tensor | tuple[Tensor]:
        """Return the value."""
        return self.value


class _NoLayer(nn.Module):
    """A layer that returns what it reads, and no attention weights."""

    def forward(self, states: Tensor, *inputs: Any, **named: Any) -> tuple[Tensor, None]:
        """Return the states."""
        return states, None


class _AttentionOnly(nn.Module):
    """A layer that ends after its attention block."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, states: Tensor, mask: Tensor, *inputs: Any, **named: Any) -> tuple[Tensor]:
        """Return the output of the attention block."""
        return (self.attention(states, attention_mask=mask)[0],)
