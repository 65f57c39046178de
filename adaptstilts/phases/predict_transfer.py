"""A foresee phase: predictors of transfer from representations alone. Nothing is trained.

``logme`` is that of the target's training rows in the encoder with the intermediate adapter; what stands for a row is
what the target's head would see. ``embedding`` compares the texts of both tasks: the cosine of their mean vectors, in
the base model (Vu et al. 2020, arXiv 2005.00770; Poth et al. 2021, arXiv 2104.08247).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts import kinds
from adaptstilts.data.batches import sorted_runs
from adaptstilts.metrics.transfer import logme
from adaptstilts.models.batching import Features, collate
from adaptstilts.models.encoder import Encoder, masked_mean
from adaptstilts.plan.phases import PredictTransferPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.store import entries
from adaptstilts.tasks import Task

VECTORS = 20_000  # of a task, at most

Vectors = NDArray[np.float64]


def foresee(phase: PredictTransferPhase, runtime: Runtime, staging: Path) -> None:
    """Run a foresee phase and write ``predictors.json``."""
    pad = runtime.tokenizer.pad
    giver = runtime.task(phase.rows)
    rows = _features(phase, runtime, giver)
    vectors, targets = labelled(runtime.adapter_pool.encoder(phase.base, phase.stack), rows, giver, pad)
    found: dict[str, float | None] = {"logme": logme(vectors, targets) if len(vectors) else None, "embedding": None}
    if phase.sources:
        bare = runtime.adapter_pool.encoder(None, ())
        ours = mean_vector(bare, rows, pad)
        others = [_features(phase, runtime, runtime.task(name)) for name in phase.sources]
        theirs = np.mean([mean_vector(bare, features, pad) for features in others], axis=0)
        found["embedding"] = cosine(ours, theirs)
    entries.PREDICTORS.write(staging, found)


def labelled(encoder: Encoder, features: Features, task: Task, pad: int) -> tuple[Vectors, Vectors]:
    """Vectors (n, hidden) and what they stand for, (n, classes) zeros and ones or (n, 1) of a regression."""
    vectors: list[Tensor] = []
    values: list[float] = []
    kind = kinds.trainable(task.kind)
    for run, states, _ in _states(encoder, features, pad):
        at = 0
        for item in (features.items[i] for i in run):
            for sequence, token, value in kind.probes(item):
                vectors.append(states[at + sequence, token])
                values.append(value)
            at += len(item.sequences)
    if not vectors:
        return np.empty((0, 0)), np.empty((0, 0))
    kept = random.Random("foresee").sample(range(len(vectors)), min(len(vectors), VECTORS))
    held, wanted = torch.stack([vectors[i] for i in kept]).double().numpy(), np.array([values[i] for i in kept])
    if kind.numeric:
        return held, wanted[:, None]
    return held, (wanted[:, None] == np.unique(wanted)[None, :]).astype(np.float64)


def mean_vector(encoder: Encoder, features: Features, pad: int) -> Vectors:
    """Mean over sequences of the mean over tokens of the last hidden states: (hidden,)."""
    found = [masked_mean(states, mask).double().numpy() for _, states, mask in _states(encoder, features, pad)]
    mean: Vectors = np.concatenate(found).mean(0)
    return mean


def cosine(a: Vectors, b: Vectors) -> float:
    """Of two vectors, neither of them zero; rounding alone would let equal ones exceed 1."""
    found = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return min(1.0, max(-1.0, found))


def _features(phase: PredictTransferPhase, runtime: Runtime, task: Task) -> Features:
    assert task.train is not None  # noqa: S101
    limit, length = phase.settings.rows, phase.settings.max_length
    return runtime.rows(task, task.fill(task.train), phase.data[task.name], length, limit)[1]


def _states(encoder: Encoder, features: Features, pad: int) -> Iterator[tuple[Sequence[int], Tensor, Tensor]]:
    """Numbers of features, their hidden states (sequences, tokens, hidden) and masks, by batches of like length."""
    encoder.trunk.eval()
    for run in sorted_runs(features.sizes, features.lengths, TOKENS):
        batch = collate([features.items[i] for i in run], pad, encoder.device)
        with torch.no_grad():
            yield run, encoder.states(batch.ids, batch.mask).float().cpu(), batch.mask.cpu()
