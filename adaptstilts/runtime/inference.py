"""Running a trained encoder and head over features: batches sorted by length, nothing kept for gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adaptstilts.data.batches import sorted_runs
from adaptstilts.errors import ConfigError, Interrupted
from adaptstilts.kinds.base import Trainable
from adaptstilts.models.batching import Batch, Features, collate
from adaptstilts.models.encoder import Encoder

TOKENS = 2048  # padded tokens per batch

StartOf = Callable[[Sequence[int], Batch], tuple[int, Tensor]]


def predict(
    encoder: Encoder,
    head: nn.Module,
    kind: Trainable,
    features: Features,
    pad: int,
    bf16: bool,
    stop: Callable[[], bool] = lambda: False,
    start_of: StartOf | None = None,
) -> list[Any]:
    """Return what :meth:`Trainable.decode` needs, one item per feature in their order.

    Args:
        encoder: encoder with the right adapters active.
        head: head of the task.
        kind: kind of the task.
        features: in any order; they are batched by length.
        pad: id of the padding token.
        bf16: use autocast to bfloat16.
        stop: called before every batch.
        start_of: returns, for the numbers of some features and their batch, the block that the encoder starts from
            and the block's input; None to start from the beginning.

    Raises:
        Interrupted: ``stop`` returned True.
    """
    outputs: list[Any] = [None] * len(features.items)
    encoder.trunk.eval()
    head.eval()
    for run in sorted_runs(features.sizes, features.lengths, TOKENS):
        if stop():
            raise Interrupted("stopped while predicting")
        batch = collate([features.items[i] for i in run], pad, encoder.device)
        with torch.inference_mode(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
            start = start_of(run, batch) if start_of else None
            states = encoder.states(batch.ids, batch.mask, start, batch.types)
            for i, output in zip(run, kind.predict(head, states, batch), strict=True):
                outputs[i] = output
    return outputs


def headline(values: Mapping[str, float], names: Sequence[str]) -> float:
    """Return a task's score: the mean of its headline metrics (for question answering F1 and exact match, as XTREME).

    Args:
        values: by metric.
        names: names of the headline metrics.

    Raises:
        ConfigError: a kind from outside did not compute one of them.
    """
    for name in names:
        if name not in values:
            raise ConfigError(f"the metric {name!r} is declared, but its kind computes {', '.join(values) or 'none'}")
    return sum(values[name] for name in names) / len(names)
