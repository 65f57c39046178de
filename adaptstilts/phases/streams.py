"""The batches of a training phase: from one task, from several, or with masked text beside them."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from adaptstilts import kinds
from adaptstilts.data.batches import epoch_order
from adaptstilts.data.examples import Examples
from adaptstilts.io.wording import counted
from adaptstilts.kinds import heads
from adaptstilts.models.batching import Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan import phases
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.layer_cache import FrozenLayers
from adaptstilts.study import Mixture, masked_text

MUCH_TRUNCATED = 0.01  # share of the training rows from which truncation is reported


class BatchStream:
    """The training rows of one task as batches, its dev rows, and its head.

    Args:
        spec: which task and rows, and their settings.
        phase: the training phase.
        runtime: reads the rows.
        alone: True for the one task of a plain phase, whose metrics and head go without the task's name.

    Attributes:
        name: name of the task.
        task, kind: the task and its kind.
        settings: rows, batch size and lengths.
        is_text: True for masked text.
        is_only_text: True if masked text is all that the phase trains on.
        examples, features: the training rows.
        dev_examples, dev_features: the dev rows, for selection; None for masked text.
        per_epoch: number of batches.
        head: set once there is an encoder.
        frozen: the layers whose states are read instead of computed; None if all are computed.
    """

    head: nn.Module
    frozen: FrozenLayers | None = None

    def __init__(self, spec: phases.StreamSpec, phase: TrainPhase, runtime: Runtime, alone: bool) -> None:
        self.name, self.alone, self.settings, self.seed = spec.task, alone, spec.settings, phase.seed
        self.shots = phase.shots
        self.runtime, self.is_text = runtime, spec.text is not None
        self.task = masked_text.of(spec.text) if spec.text else runtime.task(spec.task)
        self.kind = kinds.trainable(self.task.kind)
        self.is_only_text = self.is_text and len(phase.streams) == 1
        self.examples, self.features = self._training_rows(spec, phase)
        self.dev_examples: Examples | None = None
        self.dev_features: Features | None = None
        if "dev" in spec.digests(alone):
            self.dev_examples, self.dev_features = self._dev_rows(spec, phase)
        self.per_epoch = math.ceil(len(self.features.items) / spec.settings.batch_size)
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def _training_rows(self, spec: phases.StreamSpec, phase: TrainPhase) -> tuple[Examples, Features]:
        is_own = spec.text is not None or spec.rows == spec.task
        source_task = self.task if is_own else self.runtime.task(spec.rows)
        digest = phase.data[spec.digests(self.alone)["train"]]
        settings = spec.settings
        if self.shots:
            source = source_task.shot_source(self.shots.language)
            return self.runtime.rows(source_task, source, digest, settings.max_length, shots=self.shots)
        assert source_task.train is not None  # noqa: S101
        source = source_task.fill(source_task.train)
        permuted = phase.seed if phase.placebo else None
        return self.runtime.rows(
            source_task, source, digest, settings.max_length, settings.examples, phase.seed, permuted=permuted
        )

    def _dev_rows(self, spec: phases.StreamSpec, phase: TrainPhase) -> tuple[Examples, Features]:
        assert self.task.dev is not None  # noqa: S101
        english = self.task.fill(self.task.dev)
        digest = phase.data[spec.digests(self.alone)["dev"]]
        return self.runtime.rows(self.task, english, digest, spec.settings.max_length, spec.settings.dev_examples)

    @property
    def has_frozen_head(self) -> bool:
        """True if only masked text is trained on and the head is the pretrained one of the base model."""
        return self.is_only_text and getattr(self.head, "pretrained", False)

    @property
    def prefix(self) -> str:
        """The beginning of the names of the head's parameters."""
        return "head." if self.alone else f"head.{self.name}."

    def label(self, metric: str) -> str:
        """Return the name of one of its metrics in the log."""
        return metric if self.alone else f"{self.name}.{metric}"

    def add_new_head(self, encoder: Encoder) -> None:
        """Initialize a head that fits the encoder."""
        parts = ("head", self.seed) if self.alone else ("head", self.seed, self.name)
        self.head = heads.new(encoder, self.task, *parts)

    def head_states(self, encoder: Encoder, states: Tensor) -> Tensor:
        """Return what the head reads: last hidden states, with invertible adapters undone for masked text.

        Args:
            encoder: the encoder that computed them.
            states: (sequences, tokens, hidden).
        """
        return encoder.inverted(states) if self.is_text else states

    def rows(self, turn: int) -> list[int]:
        """Return the numbers of the features in the n-th batch, counted over all epochs."""
        epoch, index = divmod(turn, self.per_epoch)
        if self._epoch[0] != epoch:
            is_sorted = self.settings.padding == "bucket"
            order = epoch_order(self.features.lengths, self.settings.batch_size, self.seed, epoch, is_sorted)
            self._epoch = (epoch, order)
        return self._epoch[1][index]

    def _dev(self) -> tuple[Examples, Features]:
        assert self.dev_examples is not None  # noqa: S101
        assert self.dev_features is not None  # noqa: S101
        return self.dev_examples, self.dev_features

    def outputs(self, encoder: Encoder, bf16: bool) -> list[Any]:
        """Return the head's outputs for the dev rows.

        Args:
            encoder: encoder with the right adapters active.
            bf16: compute under autocast.
        """
        features = self._dev()[1]
        pad = self.runtime.tokenizer.pad
        with self.frozen.states_of(features) if self.frozen else nullcontext() as lower:
            return predict(encoder, self.head, self.kind, features, pad, bf16, self.runtime.stop, lower)

    def scores(self, encoder: Encoder, bf16: bool) -> dict[str, float]:
        """Return every metric on the dev rows; see :meth:`outputs` for the arguments."""
        examples, features = self._dev()
        predictions = self.kind.decode(self.outputs(encoder, bf16), features, examples.rows, self.task)
        gold = self.kind.gold(examples.rows, self.task)
        metrics = self.kind.score(predictions, gold, self.task, "en")
        return {name: metric.value for name, metric in metrics.items()}

    def calibrate(self, encoder: Encoder, bf16: bool) -> None:
        """Set the parts of a head that are not trained, from the dev rows; see :meth:`outputs` for the arguments."""
        if self.kind.calibrates(self.task):
            examples, features = self._dev()
            self.kind.calibrate(self.head, self.outputs(encoder, bf16), features, examples.rows, self.task)

    def losses(self) -> str:
        """Say how many training rows are truncated or have unusable answers; empty if hardly any are."""
        rows, cut = len(self.examples.rows), self.features.truncated
        parts = [f"{reason}: {count:,}" for reason, count in self.features.counts.items()]
        if cut > MUCH_TRUNCATED * rows:
            parts.insert(0, f"cut to {self.settings.max_length} tokens: {cut:,}")
        return f"of {counted(rows, 'training row')} of {self.name}, {'; '.join(parts)}" if parts else ""

    def result(self, steps: int) -> dict[str, Any]:
        """Return its part of ``result.json``, given the number of steps that it had."""
        rows = {"language": self.shots.language, "rows": self.examples.ids} if self.shots else {}
        return {
            **rows,
            "steps": steps,
            "dev_examples": len(self.dev_examples.rows) if self.dev_examples else 0,
            "examples": len(self.examples.rows),
            "examples_in_split": self.examples.total,
            "truncated": self.features.truncated,
            "dropped": dict(self.examples.dropped),
            "handled": dict(self.features.counts),
        }


def open_streams(phase: TrainPhase, runtime: Runtime) -> list[BatchStream]:
    """Read the rows of a phase, one stream for each task; masked text comes last."""
    specs = phase.streams or (phases.StreamSpec(phase.task, phase.rows, phase.settings),)
    return [BatchStream(spec, phase, runtime, alone=not phase.streams) for spec in specs]


def turns(streams: Sequence[BatchStream], phase: TrainPhase) -> list[tuple[int, int]]:
    """Return for every step the number of its stream, and the number of earlier batches of that stream.

    A mixture has as many steps as its tasks have batches in its epochs, with each task's rows counted up to the cap;
    masked text adds steps of its own. An exact number of steps replaces all that.

    Args:
        streams: streams of the phase.
        phase: gives epochs, numbers of steps, mixture, and share of masked text.
    """
    limit, exact = phase.settings.max_steps, phase.settings.steps
    if len(streams) == 1:
        total = streams[0].per_epoch * phase.settings.epochs
        return [(0, step) for step in range(exact or min(total, limit or total))]
    tasks = [i for i, stream in enumerate(streams) if not stream.is_text]
    sizes = _capped_sizes([streams[i] for i in tasks], phase.mixture)
    batches = 0
    for i, size in zip(tasks, sizes, strict=True):
        batches += math.ceil(size / streams[i].settings.batch_size)
    total = round(phase.settings.epochs * batches / (1 - phase.masked))
    weights = shares(sizes, phase.mixture) if phase.mixture else [1.0]
    chances = [share * (1 - phase.masked) for share in weights] + [phase.masked] * (len(streams) - len(tasks))
    return _drawn_turns(chances, exact or min(total, limit or total), phase.seed)


def _capped_sizes(streams: Sequence[BatchStream], mixture: Mixture | None) -> list[int]:
    """Return the number of training rows of every stream, no more than the mixture's cap."""
    sizes = [len(stream.features.items) for stream in streams]
    if mixture and mixture.cap:
        return [min(size, mixture.cap) for size in sizes]
    return sizes


def _drawn_turns(chances: Sequence[float], total: int, seed: int) -> list[tuple[int, int]]:
    """Draw the stream of every step, and count the earlier batches of that stream."""
    before: Counter[int] = Counter()
    order = []
    for number in random.Random(f"turns-{seed}").choices(range(len(chances)), chances, k=total):
        order.append((number, before[number]))
        before[number] += 1
    return order


def shares(sizes: Sequence[int], mixture: Mixture) -> list[float]:
    """Return the probability of each task's turn: proportional to its size, to a root of it, or equal.

    Args:
        sizes: number of rows of each task, capped.
        mixture: how tasks are sampled.
    """
    if mixture.sampling == "uniform":
        return [1 / len(sizes)] * len(sizes)
    power = 1 / mixture.temperature if mixture.sampling == "temperature" else 1.0
    weights = [size**power for size in sizes]
    return [weight / sum(weights) for weight in weights]
