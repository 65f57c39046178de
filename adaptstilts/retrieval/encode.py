"""Encode sentences: all requested layers come from one pass, which ends at the highest of them."""

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
from adaptstilts.retrieval.pooling import PoolingFunction

# Padded tokens of a batch. On a CPU small batches are fastest, because their states stay in its cache.
BATCH_TOKENS = {"cpu": 1024, "cuda": 2**15}


def encode(
    encoder: Encoder,
    features: Sequence[Feature],
    layers: Sequence[int],
    pool: PoolingFunction,
    pad: int,
    bf16: bool = False,
    tokens: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[int], None] = lambda sentences: None,
) -> NDArray[np.float32]:
    """Encode sentences and pool the hidden states of some layers, in float32.

    The states of a layer are pooled as soon as they are computed.

    Args:
        encoder: encoder with its active adapters.
        features: one sequence each. Sort them by length, so that batches need little padding.
        layers: hidden states: 0 the embeddings, n the output of layer n.
        pool: turns the states of a sentence into one vector.
        pad: id of the padding token.
        bf16: use autocast to bfloat16.
        tokens: padded tokens per batch; None for the best value on the device.
        stop: called before every batch; True stops.
        report: called with the number of sentences after every batch.

    Returns:
        (layers, sentences, hidden), in the order of both.

    Raises:
        Interrupted: ``stop`` returned True.
    """
    lengths = [feature.length for feature in features]
    budget = tokens or BATCH_TOKENS.get(encoder.device.type, BATCH_TOKENS["cuda"])
    vectors = torch.empty((len(layers), len(features), encoder.hidden), device=encoder.device)
    encoder.trunk.eval()
    with encoder.truncated(max(layers)), torch.inference_mode():
        for run in by_tokens(range(len(features)), [1] * len(features), lengths, budget):
            if stop():
                raise Interrupted("stopped while encoding")
            batch = collate([features[i] for i in run], pad, encoder.device)
            with torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
                _encode_batch(encoder, batch, layers, pool, vectors[:, run[0] : run[-1] + 1])
            report(len(run))
    return vectors.cpu().numpy()


def _encode_batch(encoder: Encoder, batch: Batch, layers: Sequence[int], pool: PoolingFunction, out: Tensor) -> None:
    """Run a batch and write its vectors.

    Args:
        encoder: truncated after the highest of the layers.
        batch: sequences of about equal length.
        layers: see :func:`encode`.
        pool: see :func:`encode`.
        out: (layers, sequences, hidden), written.
    """
    filled = 0

    def take(position: int, states: Tensor) -> None:
        nonlocal filled
        out[position] = pool(states, batch.ids, batch.mask)
        filled += 1

    with _hook_layers(encoder, layers, take):
        encoder.states(batch.ids, batch.mask, types=batch.types)
    assert filled == len(layers)  # noqa: S101 (an encoder that does not call its layers would leave rows unset)


@contextlib.contextmanager
def _hook_layers(encoder: Encoder, layers: Sequence[int], take: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Pass on hidden states while the block runs.

    Args:
        encoder: its trunk gets the hooks.
        layers: see :func:`encode`.
        take: called with the position in ``layers`` and the states, as soon as they are computed.
    """
    handles = []

    def hook_input(position: int) -> Callable[..., None]:
        return lambda module, args, kwargs: take(position, next(iter([*args, *kwargs.values()])))

    def hook_output(position: int) -> Callable[..., None]:
        def hook(module: object, args: object, output: Any) -> None:
            take(position, output[0] if isinstance(output, tuple) else output)

        return hook

    try:
        for position, layer in enumerate(layers):
            module, is_output = encoder.architecture.tap(encoder.trunk, layer)
            if is_output:
                handles.append(module.register_forward_hook(hook_output(position)))
            else:  # not the output of the embeddings, which an adapter may change
                handles.append(module.register_forward_pre_hook(hook_input(position), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def deduplicate(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the distinct texts in order of appearance, and for every text its position among them."""
    positions: dict[str, int] = {}
    places = [positions.setdefault(text, len(positions)) for text in texts]
    return list(positions), places
