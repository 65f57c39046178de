"""A training phase: English rows in, an adapter (or a whole encoder) and a head out.

Row order is a function of (seed, epoch) and dropout one of (seed, step); see :mod:`adaptstilts.runtime.loop`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from adaptstilts.data.batches import by_tokens
from adaptstilts.errors import ArtifactError, DivergedError
from adaptstilts.kinds import heads
from adaptstilts.methods import fusion
from adaptstilts.models.batching import collate
from adaptstilts.models.seeds import seeded
from adaptstilts.models.weights import check_finite
from adaptstilts.phases.selection import Selection
from adaptstilts.phases.setup import (
    adapter_place,
    build_encoder,
    make_optimizer,
    trained_parameters,
)
from adaptstilts.phases.streams import BatchStream, open_streams, turns
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime import schedule
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.inference import headline
from adaptstilts.runtime.layer_cache import FrozenLayers, LowerStates, identity
from adaptstilts.runtime.libraries import import_libraries
from adaptstilts.runtime.loop import Loop, StepLoss
from adaptstilts.runtime.meter import Meter, Work, optimizer_tensors
from adaptstilts.store import entries
from adaptstilts.store.contents import MeasuredCost, TrainResult


def train(phase: TrainPhase, runtime: Runtime, staging: Path) -> None:
    """Run a training phase and write its files.

    Args:
        phase: names the method, the rows and the budget.
        runtime: the store, data, device, checkpoints and loggers.
        staging: folder of the entry's files.

    Raises:
        DivergedError: a loss, gradient or weight is not finite.
        Interrupted: the runtime asked to stop; a checkpoint was written.
    """
    runtime.adapter_pool.drop()
    with runtime.interruptible():
        trainer = Trainer(phase, runtime)
    for stream in trainer.streams:
        if losses := stream.losses():
            runtime.report(f"{phase.title}: {losses}", 0, 0)
    if remark := trainer.short_of_peak():
        runtime.report(f"{phase.title}: {remark}", 0, 0)
    Loop(trainer).run(staging)


class Trainer:
    """The encoder, heads and rows of a training phase; a :class:`~adaptstilts.runtime.loop.Trainee`.

    Attributes:
        streams: the sources of the batches.
        scored: the streams that have dev rows.
        selection: the best weights so far.
    """

    advice = "lower train.lr, or train in fp32"

    def __init__(self, phase: TrainPhase, runtime: Runtime) -> None:
        self.phase, self.runtime, self.settings = phase, runtime, phase.settings
        runtime.stage(f"{phase.title}: reading the data")
        self.streams = open_streams(phase, runtime)
        self.scored = [stream for stream in self.streams if stream.dev_features]
        self.turns = turns(self.streams, phase)
        self.bf16 = half_precision(self.settings.precision, runtime.device)
        self.accelerator = Accelerator(cpu=runtime.device.type == "cpu")
        import_libraries(phase.method, runtime.model.architecture)  # or their memory would count as the phase's
        self.meter = Meter(runtime.device)
        runtime.stage(f"{phase.title}: loading the model")
        self.encoder = build_encoder(phase, runtime, self.streams)
        self.parameters = trained_parameters(self.encoder, self.streams)
        self.fusion_values = fusion.value_matrices(self.encoder.delta(adapter_place(phase)) if phase.fuse else {})
        self.frozen = self._frozen_layers() if self.settings.cache else None
        self.optimizer = make_optimizer(self.parameters, self.settings, phase.method)
        total = len(self.turns)
        self.schedule = schedule.from_settings(self.settings, total)
        self.eval_every = self.settings.eval_every or math.ceil(total / self.settings.epochs)
        self.selection = Selection()
        self._lower: dict[str, LowerStates] = {}

    def short_of_peak(self) -> str:
        """Say how high the learning rate gets if the steps end before the warm-up does; else return nothing."""
        steps, rising = self.schedule.steps, self.schedule.rising
        if rising < steps:
            return ""
        return (
            f"the learning rate rises over {rising} steps, and there are {steps}: it ends at"
            f" {self.schedule.rate(steps - 1):.3g} instead of {self.schedule.lr:g}"
        )

    def start(self) -> None:
        """Do nothing: new weights are initialized with the encoder."""

    def backward(self, step: int) -> StepLoss:
        """Compute the gradients of a step; see :class:`~adaptstilts.runtime.loop.Trainee`."""
        stream, rows = self.batch(step)
        torch.manual_seed(seeded("dropout", self.phase.seed, step))
        self.encoder.trunk.train()
        stream.head.train()
        loss = self.batch_gradients(stream, rows)
        ids = [stream.examples.ids[stream.features.items[row].example] for row in rows[:8]]
        labels = {} if stream.alone else {"task": stream.name}
        return StepLoss(loss, batch=f"rows {ids} of {stream.name}", labels=labels)

    def scalars(self, loss: StepLoss, rate: float, norm: float) -> dict[str, Any]:
        """Return the values to log for a step; see :class:`~adaptstilts.runtime.loop.Trainee`."""
        return {"loss": loss.value, "lr": rate, "norm": norm, **loss.labels}

    def batch(self, step: int) -> tuple[BatchStream, list[int]]:
        """Return the stream of a step, and the numbers of its features."""
        number, turn = self.turns[step]
        return self.streams[number], self.streams[number].rows(turn)

    def batch_gradients(self, stream: BatchStream, rows: list[int]) -> float:
        """Compute the gradients of the mean loss of a batch, in runs under the token budget.

        Args:
            stream: the stream of the features.
            rows: numbers of the features.

        Returns:
            The mean loss.
        """
        total, terms = 0.0, 0
        for run in self._runs(stream, rows):
            loss, count = self._run_loss(stream, run)
            self.accelerator.backward(loss / len(rows))
            total += float(loss.detach())
            terms += int(count)
        if terms != len(rows):
            self._scale_gradients(len(rows) / max(terms, 1))
        if self.fusion_values:
            self.accelerator.backward(fusion.penalty(self.fusion_values))
        return total / max(terms, 1)

    def _runs(self, stream: BatchStream, rows: list[int]) -> list[list[int]]:
        """Divide a batch into forward passes of at most ``micro_tokens`` padded tokens."""
        if stream.kind.joint:
            return [rows]
        items = stream.features.items
        width = self._width(stream)
        lengths = {row: width or items[row].length for row in rows}
        sizes = {row: len(items[row].sequences) for row in rows}
        return by_tokens(rows, sizes, lengths, stream.settings.micro_tokens)

    def _width(self, stream: BatchStream) -> int | None:
        """Return the length to which every batch is padded; None for the length of its longest row."""
        return stream.settings.max_length if stream.settings.padding == "fixed" else None

    def _run_loss(self, stream: BatchStream, run: list[int]) -> tuple[Tensor, Tensor]:
        """Return the summed loss of one forward pass, and the number of its terms."""
        features = [stream.features.items[row] for row in run]
        batch = collate(features, self.runtime.tokenizer.pad, self.encoder.device, self._width(stream))
        lower = self.lower_states(stream)
        start = lower(run, batch) if lower else None
        with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.bf16):
            states = stream.head_states(self.encoder, self.encoder.states(batch.ids, batch.mask, start, batch.types))
            return stream.kind.loss(stream.head, states, batch)

    def work(self, step: int) -> Work:
        """Return the stream of a step, and the largest sums of lengths and of squared lengths of a forward pass."""
        stream, rows = self.batch(step)
        items, tokens, squares = stream.features.items, [], []
        for run in self._runs(stream, rows):
            width = self._width(stream) or max(items[row].length for row in run)
            sequences = sum(len(items[row].sequences) for row in run)
            tokens.append(sequences * width)
            squares.append(sequences * width**2)
        return Work(stream.name, (max(tokens), max(squares)))

    def tensors(self) -> Iterator[Tensor]:
        """Yield what stays in memory between steps: weights, optimizer state, and the copy of the best weights."""
        for module in (self.encoder.trunk, *(stream.head for stream in self.streams)):
            yield from module.parameters()
            yield from module.buffers()
        yield from optimizer_tensors(self.optimizer)
        yield from self.selection.weights.values()

    def _scale_gradients(self, factor: float) -> None:
        for parameter in self.parameters.values():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def _frozen_layers(self) -> FrozenLayers:
        """Return the layers below the lowest trained or active one, whose states are computed once."""
        phase, report, block = self.phase, self.runtime.report, self.encoder.first_active_block()
        base = phase.init if phase.init and phase.method.trains_encoder else phase.base
        frozen = FrozenLayers(
            self.runtime.state_cache,
            self.encoder,
            identity(self.runtime.workspace.store, self.runtime.model, base, block),
            block,
            self.bf16,
            exact=False,
            remark=lambda line: report(f"{phase.title}: {line}", 0, 0),
        )
        for stream in self.streams:
            stream.frozen = frozen
        return frozen

    def lower_states(self, stream: BatchStream) -> LowerStates | None:
        """Return the cached hidden states that the rows of a stream start from; None if all layers are computed."""
        if self.frozen is not None and stream.name not in self._lower:
            title = f"{self.phase.title}: hidden states below layer {self.frozen.block // 2}"
            self._lower[stream.name] = self.frozen.fill(
                stream.features,
                self.runtime.tokenizer.pad,
                self.runtime.stop,
                lambda done, total: self.runtime.report(title, done, total),
            )
        return self._lower.get(stream.name)

    def evaluate(self, steps: int) -> dict[str, float] | None:
        """Score the English dev sets if it is time, and copy the weights if these are to be kept so far.

        Raises:
            Interrupted: the runtime asked to stop before all rows were scored; nothing changed.
        """
        if steps % self.eval_every and steps != self.schedule.steps:
            return None
        self.runtime.stage(f"{self.phase.title}: scoring the dev rows after step {steps}")
        with self.meter.watch(Work("evaluation"), self.tensors):
            scores, best = dev_scores(self), self.selection.scores
            if self.settings.keep == "last" or not best or self._mean(scores) > self._mean(best):
                self.selection.keep(scores, steps, self.parameters)
            else:
                self.selection.waited += 1
        return scores

    def _mean(self, scores: dict[str, float]) -> float:
        """Return the unweighted mean over the tasks of their scores."""
        values = []
        for stream in self.scored:
            names = [stream.label(name) for name in stream.task.headline]
            values.append(headline(scores, names))
        return sum(values) / len(values)

    def is_exhausted(self) -> bool:
        """Return True if the last ``patience`` evaluations brought no gain."""
        return self.settings.patience is not None and self.selection.waited >= self.settings.patience

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the best weights and scores, for a checkpoint."""
        return self.selection.state()

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        self.selection.restore(tensors, state, self.parameters)

    def write(self, staging: Path, steps: int) -> None:
        """Write the kept weights, the heads, ``result.json`` and ``cost.json``.

        Args:
            staging: folder of the files.
            steps: number of steps that were taken.

        Raises:
            DivergedError: a weight is not finite.
        """
        with torch.no_grad():
            self.selection.put_back(self.parameters)
        try:
            check_finite(self.selection.weights, staging)
        except ArtifactError as error:
            raise DivergedError(f"{self.phase.title}: {error}") from None
        if self.phase.method.trains_encoder:
            self.encoder.save_trunk(staging / entries.ENCODER)
        elif self.phase.method.attaches:
            folder = entries.FUSION if self.phase.fuse else entries.ADAPTER
            self.encoder.save(adapter_place(self.phase), staging / folder)
        for stream in self.scored:
            stream.calibrate(self.encoder, self.bf16)
        for stream in self.streams:
            name = entries.HEAD if self.scored == [stream] else f"{entries.HEADS}/{stream.name}"
            heads.save(stream.head, self.encoder, stream.task, staging / name)
        entries.TRAIN_RESULT.write(staging, self._result(steps))
        entries.COST.write(staging, self._cost(steps))

    def _result(self, steps: int) -> TrainResult:
        taken = Counter(number for number, _ in self.turns[:steps])
        results = {stream.name: stream.result(taken[i]) for i, stream in enumerate(self.streams)}
        result = {
            **(next(iter(results.values())) if len(results) == 1 else {"streams": results}),
            "steps": steps,
            "best_step": self.selection.step,
            "dev": self.selection.scores,
            "trainable": self._count("trunk."),
            "head": self._count("head."),
        }
        return cast(TrainResult, result)

    def _count(self, prefix: str) -> int:
        """Return the number of trained values in the parameters whose names begin with a prefix."""
        return sum(value.numel() for key, value in self.parameters.items() if key.startswith(prefix))

    def _cost(self, steps: int) -> MeasuredCost:
        seconds, cpu_seconds = self.meter.seconds, self.meter.cpu_seconds
        examples = sum(len(self.batch(step)[1]) for step in range(steps))
        return {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "examples_per_second": examples / seconds,
            "peak_bytes": self.meter.peak,
            "precision": "bf16" if self.bf16 else "fp32",
        }


def dev_scores(trainer: Trainer) -> dict[str, float]:
    """Return every metric on every dev set, under the task's name if there are several tasks."""
    scores: dict[str, float] = {}
    for stream in trainer.scored:
        for name, value in stream.scores(trainer.encoder, trainer.bf16).items():
            scores[stream.label(name)] = value
    return scores
