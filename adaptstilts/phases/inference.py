"""Running a trained encoder and head over features: batches sorted by length, nothing kept for gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from adaptstilts.data.batches import sorted_runs
from adaptstilts.errors import Interrupted
from adaptstilts.kinds.base import Features, Kind, collate
from adaptstilts.models.encoder import Encoder

TOKENS = 2048


def predict(
    encoder: Encoder,
    head: nn.Module,
    kind: Kind,
    features: Features,
    pad: int,
    bf16: bool,
    stop: Callable[[], bool] = lambda: False,
) -> list[Any]:
    """What :meth:`Kind.decode` needs, one item per feature in their order.

    Raises:
        Interrupted: ``stop`` said so.
    """
    outputs: list[Any] = [None] * len(features.items)
    encoder.trunk.eval()
    head.eval()
    for run in sorted_runs(features.sizes, features.lengths, TOKENS):
        if stop():
            raise Interrupted("stopped while predicting")
        batch = collate([features.items[i] for i in run], pad, encoder.device)
        with torch.inference_mode(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
            states = encoder.states(batch.ids, batch.mask)
            for i, output in zip(run, kind.predict(head, states, batch), strict=True):
                outputs[i] = output
    return outputs


def headline(values: dict[str, float], names: Sequence[str]) -> float:
    """A task's score: the mean of its headline metrics (for question answering F1 and exact match, as in XTREME)."""
    return sum(values[name] for name in names) / len(names)
