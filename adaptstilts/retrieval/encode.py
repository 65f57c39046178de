"""Sentences to vectors: the encoder cut off at the highest layer asked for, all layers from one pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.data.batches import by_tokens
from adaptstilts.errors import Interrupted
from adaptstilts.models.batching import Batch, Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.retrieval.pooling import Pool

TOKENS = {"cpu": 1024, "cuda": 2**15}  # padded tokens of a batch: on a CPU what stays in its cache is fastest


def encode(
    encoder: Encoder,
    features: Sequence[Feature],
    layers: Sequence[int],
    pool: Pool,
    pad: int,
    bf16: bool = False,
    tokens: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    done: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Pooled hidden states of some layers, in float32.

    Every layer's states are pooled as soon as they are there, and no layer above the highest is computed.

    Args:
        encoder: with the adapters that are to act.
        features: one sequence each; batches are of like length if these are sorted by it.
        layers: 0 the embeddings, n the output of layer n.
        pool: what makes one vector of a sentence's states.
        pad: token that fills a batch up.
        bf16: autocast.
        tokens: padded tokens of a batch; None for what is best on the device.
        stop: asked before every batch.
        done: told how many sentences a batch had.

    Returns:
        (layers, sentences, hidden), in the order of both.

    Raises:
        Interrupted: ``stop`` said so.
    """
    lengths = [feature.length for feature in features]
    budget = tokens or TOKENS.get(encoder.device.type, TOKENS["cuda"])
    found = torch.empty((len(layers), len(features), encoder.hidden), device=encoder.device)
    encoder.trunk.eval()
    with encoder.truncated(max(layers)), torch.inference_mode():
        for run in by_tokens(range(len(features)), [1] * len(features), lengths, budget):
            if stop():
                raise Interrupted("stopped while encoding")
            batch = collate([features[i] for i in run], pad, encoder.device)
            with torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
                _pooled(encoder, batch, layers, pool, found[:, run[0] : run[-1] + 1])
            done(len(run))
    return found.cpu().numpy()


def _pooled(encoder: Encoder, batch: Batch, layers: Sequence[int], pool: Pool, out: Tensor) -> None:
    """Run a batch and fill ``out`` (layers, sequences, hidden)."""
    filled = 0

    def take(number: int, states: Tensor) -> None:
        nonlocal filled
        out[number] = pool(states, batch.ids, batch.mask)
        filled += 1

    with _tapped(encoder, layers, take):
        encoder.states(batch.ids, batch.mask)
    assert filled == len(layers)  # noqa: S101 (an encoder that does not call its layers would leave rows unset)


@contextlib.contextmanager
def _tapped(encoder: Encoder, layers: Sequence[int], take: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Within the block ``take`` is given the number and the states of every layer that is computed and wanted."""
    trunk, handles = encoder.trunk, []

    def entering(number: int) -> Callable[..., None]:
        return lambda module, given, named: take(number, given[0] if given else named["hidden_states"])

    def leaving(number: int) -> Callable[..., None]:
        def hook(module: object, given: object, output: Any) -> None:
            take(number, output[0] if isinstance(output, tuple) else output)

        return hook

    try:
        for number, layer in enumerate(layers):
            if layer == 0:  # what goes into the layers: an adapter may have changed the embeddings
                handles.append(trunk.encoder.register_forward_pre_hook(entering(number), with_kwargs=True))
            else:
                handles.append(trunk.encoder.layer[layer - 1].register_forward_hook(leaving(number)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct texts in order of appearance, and for every text its number among them."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), places
