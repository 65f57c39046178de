"""What the steps of a training phase are divided over: the rows of one task, of several, or masked text beside them."""

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
from adaptstilts.kinds import heads
from adaptstilts.models.batching import Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan import phases
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.layer_cache import Frozen
from adaptstilts.study import Mixture, masked_text


class Stream:
    """Training rows of one task as batches, its dev rows, and its head.

    Attributes:
        name: of the task.
        alone: whether it is the only one of its phase.
        task, kind: what is trained.
        settings: rows, batch size and lengths.
        examples, features: to train on.
        dev_examples, dev_features: to select on; None for masked text.
        head: set once there is an encoder.
        frozen: the layers whose states are read instead of computed; None where all are computed.
    """

    head: nn.Module
    frozen: Frozen | None = None

    def __init__(self, own: phases.StreamSpec, phase: TrainPhase, runtime: Runtime, alone: bool) -> None:
        self.name, self.alone, self.settings, self.seed = own.task, alone, own.settings, phase.seed
        self.runtime, self.text = runtime, own.text is not None
        self.task = masked_text.of(own.text) if own.text else runtime.task(own.task)
        self.kind = kinds.trainable(self.task.kind)
        giver = self.task if own.text or own.rows == own.task else runtime.task(own.rows)
        names = own.digests(alone)
        length = own.settings.max_length
        assert giver.train is not None  # noqa: S101
        self.examples, self.features = runtime.rows(
            giver, giver.fill(giver.train), phase.data[names["train"]], length, own.settings.examples, phase.seed
        )
        self.dev_examples: Examples | None = None
        self.dev_features: Features | None = None
        if "dev" in names:
            assert self.task.dev is not None  # noqa: S101
            english = self.task.fill(self.task.dev)
            digest = phase.data[names["dev"]]
            limit = own.settings.dev_examples
            self.dev_examples, self.dev_features = runtime.rows(self.task, english, digest, length, limit)
        self.lonely = len(phase.streams) == 1
        self.per_epoch = math.ceil(len(self.features.items) / own.settings.batch_size)
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    @property
    def fixed(self) -> bool:
        """Whether its head stays as it is: the base model's own, where nothing but text is trained on."""
        return self.text and self.lonely and getattr(self.head, "pretrained", False)

    def seen(self, encoder: Encoder, states: Tensor) -> Tensor:
        """Last hidden states as its head sees them."""
        return encoder.inverted(states) if self.text else states

    @property
    def prefix(self) -> str:
        """What the names of its head's weights begin with."""
        return "head." if self.alone else f"head.{self.name}."

    def start(self, encoder: Encoder) -> None:
        """Give it a new head."""
        parts = ("head", self.seed) if self.alone else ("head", self.seed, self.name)
        self.head = heads.new(encoder, self.task, *parts)

    def rows(self, turn: int) -> list[int]:
        """The features of its n-th batch."""
        epoch, index = divmod(turn, self.per_epoch)
        if self._epoch[0] != epoch:
            bucket = self.settings.padding == "bucket"
            order = epoch_order(self.features.lengths, self.settings.batch_size, self.seed, epoch, bucket)
            self._epoch = (epoch, order)
        return self._epoch[1][index]

    def outputs(self, encoder: Encoder, bf16: bool) -> list[Any]:
        """What its head says of its dev rows."""
        assert self.dev_features is not None  # noqa: S101
        pad = self.runtime.tokenizer.pad
        with self.frozen.over(self.dev_features) if self.frozen else nullcontext() as below:
            return predict(encoder, self.head, self.kind, self.dev_features, pad, bf16, below=below)

    def scores(self, encoder: Encoder, bf16: bool) -> dict[str, float]:
        """Every metric on its dev rows."""
        assert self.dev_examples is not None and self.dev_features is not None  # noqa: S101, PT018
        rows = self.dev_examples.rows
        found = self.kind.decode(self.outputs(encoder, bf16), self.dev_features, rows, self.task)
        metrics = self.kind.score(found, self.kind.gold(rows, self.task), self.task, "en")
        return {name: metric.value for name, metric in metrics.items()}

    def calibrate(self, encoder: Encoder, bf16: bool) -> None:
        """Set what its head has that is not trained."""
        assert self.dev_examples is not None and self.dev_features is not None  # noqa: S101, PT018
        if self.kind.calibrates(self.task):
            outputs = self.outputs(encoder, bf16)
            self.kind.calibrate(self.head, outputs, self.dev_features, self.dev_examples.rows, self.task)

    def result(self, steps: int) -> dict[str, Any]:
        """What it says of itself in the phase's result."""
        return {
            "steps": steps,
            "dev_examples": len(self.dev_examples.rows) if self.dev_examples else 0,
            "examples": len(self.examples.rows),
            "examples_in_split": self.examples.total,
            "truncated": self.features.truncated,
            "dropped": dict(self.examples.dropped),
            "handled": dict(self.features.counts),
        }


def streams(phase: TrainPhase, runtime: Runtime) -> list[Stream]:
    """The streams of a phase; masked text, where there is some, is the last."""
    own = phase.streams or (phases.StreamSpec(phase.task, phase.rows, phase.settings),)
    return [Stream(stream, phase, runtime, alone=not phase.streams) for stream in own]


def turns(found: Sequence[Stream], phase: TrainPhase) -> list[tuple[int, int]]:
    """For every step: which stream, and how many batches it had before.

    A mixture has as many steps as its tasks have batches in so many epochs, each task's rows counted up to the cap;
    masked text adds steps of its own.
    """
    settings = phase.settings
    tasked = [i for i, stream in enumerate(found) if not stream.text]
    if len(found) == 1:
        total = found[0].per_epoch * settings.epochs
        return [(0, step) for step in range(min(total, settings.max_steps or total))]
    sizes = [len(found[i].features.items) for i in tasked]
    if phase.mixture and phase.mixture.cap:
        sizes = [min(size, phase.mixture.cap) for size in sizes]
    batches = sum(math.ceil(size / found[i].settings.batch_size) for i, size in zip(tasked, sizes, strict=True))
    total = round(settings.epochs * batches / (1 - phase.masked))
    total = min(total, settings.max_steps or total)
    weights = shares(sizes, phase.mixture) if phase.mixture else [1.0]
    chances = [share * (1 - phase.masked) for share in weights] + [phase.masked] * (len(found) - len(tasked))
    drawn = random.Random(f"turns-{phase.seed}").choices(range(len(found)), chances, k=total)
    before: Counter[int] = Counter()
    order = []
    for stream in drawn:
        order.append((stream, before[stream]))
        before[stream] += 1
    return order


def shares(sizes: Sequence[int], mixture: Mixture) -> list[float]:
    """How likely each task's turn is: proportional to its (capped) size, to a root of it, or equal."""
    if mixture.sampling == "uniform":
        return [1 / len(sizes)] * len(sizes)
    power = 1 / mixture.temperature if mixture.sampling == "temperature" else 1.0
    weights = [size**power for size in sizes]
    return [weight / sum(weights) for weight in weights]
