"""A phase of predictors: predict from representations alone how well an intermediate will transfer.

``logme`` is computed from the target's training rows in the encoder with the intermediate adapter; a row is represented
by the vectors that the target's head would read. ``embedding`` compares the texts of both tasks: the cosine of their
mean vectors in the base model (Vu et al. 2020, arXiv 2005.00770; Poth et al. 2021, arXiv 2104.08247).
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
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.means import masked_mean
from adaptstilts.plan.phases import PredictTransferPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.store import entries
from adaptstilts.tasks import Task

MAX_VECTORS = 20_000  # of a task

Doubles = NDArray[np.float64]


def predict_transfer(phase: PredictTransferPhase, runtime: Runtime, staging: Path) -> None:
    """Run a phase of predictors and write ``predictors.json``.

    Args:
        phase: names the target, the intermediate and its tasks.
        runtime: the data and the loaded adapters.
        staging: folder of the entry's files.
    """
    pad, pool = runtime.tokenizer.pad, runtime.adapter_pool
    target = runtime.task(phase.rows)
    features = _features(phase, runtime, target)
    vectors, targets = labelled_vectors(pool.encoder(phase.base, phase.stack), features, target, pad)
    predictors: dict[str, float | None] = {"logme": None, "embedding": None}
    if len(vectors):
        predictors["logme"] = logme(vectors, targets)
    if phase.sources:
        base = pool.encoder(None, ())
        target_mean = mean_vector(base, features, pad)
        source_features = [_features(phase, runtime, runtime.task(name)) for name in phase.sources]
        source_means = [mean_vector(base, each, pad) for each in source_features]
        predictors["embedding"] = cosine(target_mean, np.mean(source_means, axis=0))
    entries.PREDICTORS.write(staging, predictors)


def labelled_vectors(encoder: Encoder, features: Features, task: Task, pad: int) -> tuple[Doubles, Doubles]:
    """Return the vectors that the task's head would read, and their targets.

    Args:
        encoder: encoder with the right adapters active.
        features: training rows of the task.
        task: says which vectors count, and whether their targets are numbers or classes.
        pad: id of the padding token.

    Returns:
        (n, hidden) vectors, and (n, classes) zeros and ones or, if the targets are numbers, (n, 1) values.
    """
    vectors: list[Tensor] = []
    values: list[float] = []
    kind = kinds.trainable(task.kind)
    for run, states, _ in _states(encoder, features, pad):
        first = 0
        for i in run:
            item = features.items[i]
            for sequence, token, value in kind.probes(item):
                vectors.append(states[first + sequence, token])
                values.append(value)
            first += len(item.sequences)
    if not vectors:
        return np.empty((0, 0)), np.empty((0, 0))
    sample = random.Random("foresee").sample(range(len(vectors)), min(len(vectors), MAX_VECTORS))
    chosen = torch.stack([vectors[i] for i in sample]).double().numpy()
    targets = np.array([values[i] for i in sample])
    if kind.numeric:
        return chosen, targets[:, None]
    return chosen, (targets[:, None] == np.unique(targets)[None, :]).astype(np.float64)


def mean_vector(encoder: Encoder, features: Features, pad: int) -> Doubles:
    """Compute the mean over sequences of the mean over tokens of the last hidden states: (hidden,).

    Args:
        encoder: encoder with the right adapters active.
        features: the rows.
        pad: id of the padding token.
    """
    means = [masked_mean(states, mask).double().numpy() for _, states, mask in _states(encoder, features, pad)]
    mean: Doubles = np.concatenate(means).mean(0)
    return mean


def cosine(a: Doubles, b: Doubles) -> float:
    """Compute the cosine of two vectors other than zero; it is at most 1 in spite of rounding."""
    value = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return min(1.0, max(-1.0, value))


def _features(phase: PredictTransferPhase, runtime: Runtime, task: Task) -> Features:
    """Return the training rows of a task that the phase reads."""
    assert task.train is not None  # noqa: S101
    limit, length = phase.settings.rows, phase.settings.max_length
    return runtime.rows(task, task.fill(task.train), phase.data[task.name], length, limit)[1]


def _states(encoder: Encoder, features: Features, pad: int) -> Iterator[tuple[Sequence[int], Tensor, Tensor]]:
    """Yield numbers of features, their hidden states (sequences, tokens, hidden) and masks, batch by batch."""
    encoder.trunk.eval()
    for run in sorted_runs(features.sizes, features.lengths, TOKENS):
        batch = collate([features.items[i] for i in run], pad, encoder.device)
        with torch.no_grad():
            states = encoder.states(batch.ids, batch.mask, types=batch.types)
            yield run, states.float().cpu(), batch.mask.cpu()
