"""A trunk of which only a part is computed: it ends early, or begins late with hidden states that are there.

A layer is two blocks, attention and feed-forward, each ending with its normalisation; what goes into block ``2 i`` is
what goes into layer ``i``, and what goes into block ``2 i + 1`` is what its attention block gives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import XLMRobertaModel


def lowest_parts(trunk: XLMRobertaModel, block: int) -> list[nn.Module]:
    """What is computed below a block."""
    layers = trunk.encoder.layer
    attention = [layers[block // 2].attention] if block % 2 else []
    return [trunk.embeddings, *layers[: block // 2], *attention]


@contextlib.contextmanager
def truncated(trunk: XLMRobertaModel, layers: int) -> Iterator[None]:
    """Within the block a trunk ends after ``layers`` layers; the ones above are not computed."""
    with _replaced(trunk, layers=trunk.encoder.layer[:layers]):
        yield


@contextlib.contextmanager
def ended(trunk: XLMRobertaModel, block: int) -> Iterator[None]:
    """Within the context a trunk ends before ``block``."""
    layers = trunk.encoder.layer
    attention = [_Attention(layers[block // 2].attention)] if block % 2 else []
    with _replaced(trunk, layers=nn.ModuleList([*layers[: block // 2], *attention])):
        yield


@contextlib.contextmanager
def resumed(trunk: XLMRobertaModel, block: int, states: Tensor) -> Iterator[None]:
    """Within the context a trunk begins at ``block``: nothing below it is computed.

    Args:
        trunk: with or without adapters; none of them may act below the block.
        block: 0 the attention block of the lowest layer.
        states: (sequences, tokens, hidden) that go into it; at padding they may be any finite numbers.
    """
    layers = trunk.encoder.layer[block // 2 :]
    held = layers[0].attention if block % 2 else None
    with _replaced(trunk, layers=layers, embeddings=_Given(states)):
        try:
            if held is not None:
                layers[0].attention = _Given((states,))
            yield
        finally:
            if held is not None:
                layers[0].attention = held


@contextlib.contextmanager
def _replaced(trunk: XLMRobertaModel, layers: nn.Module, embeddings: nn.Module | None = None) -> Iterator[None]:
    held = trunk.embeddings, trunk.encoder.layer
    trunk.embeddings, trunk.encoder.layer = embeddings or trunk.embeddings, layers
    try:
        yield
    finally:
        trunk.embeddings, trunk.encoder.layer = held


class _Given(nn.Module):
    """Stands where something is computed, and gives what it would."""

    def __init__(self, states: Tensor | tuple[Tensor]) -> None:
        super().__init__()
        self.states = states

    def forward(self, *inputs: Any, **named: Any) -> Tensor | tuple[Tensor]:
        return self.states


class _Attention(nn.Module):
    """A layer that ends after its attention block."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, states: Tensor, mask: Tensor, *inputs: Any, **named: Any) -> tuple[Tensor]:
        return (self.attention(states, attention_mask=mask)[0],)
