"""A training phase: English rows in, an adapter (or a whole encoder) and a head out.

Everything that happens in a step is a function of (spec, step): row order of (seed, epoch), dropout of (seed, step).
So a run that continues from a checkpoint takes the same path, to the bit on one machine, as one that never stopped.
"""

from __future__ import annotations

import importlib
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from adaptstilts.data.batches import by_tokens
from adaptstilts.errors import DivergedError, Interrupted
from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod, Method, fusion
from adaptstilts.methods.fusion import Place
from adaptstilts.models.batching import collate
from adaptstilts.models.encoder import Encoder, seeded
from adaptstilts.models.weights import check_finite
from adaptstilts.phases.schedule import linear
from adaptstilts.phases.streams import Stream, streams, turns
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.adapter_pool import Resident, adapter_name
from adaptstilts.runtime.checkpoints import Checkpoints, restore, state_of
from adaptstilts.runtime.context import Meter, Runtime, half_precision
from adaptstilts.runtime.inference import headline
from adaptstilts.runtime.layer_cache import Frozen, Lower, identity
from adaptstilts.store import entries
from adaptstilts.store.entries import Cost, Entry, TrainResult
from adaptstilts.study import Train


@dataclass
class _Progress:
    """What a checkpoint holds beside tensors."""

    step: int = 0
    best_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    peak: int = 0


def train(phase: TrainPhase, runtime: Runtime, staging: Path) -> None:
    """Run a training phase and write its files.

    Raises:
        DivergedError: a loss, gradient or weight is not finite.
        Interrupted: asked to stop; a checkpoint was written.
    """
    runtime.adapter_pool.drop()
    checkpoints = Checkpoints(runtime.workspace.store.work(phase.key))
    _Trainer(phase, runtime, checkpoints).run(staging)


class _Trainer:
    def __init__(self, phase: TrainPhase, runtime: Runtime, checkpoints: Checkpoints) -> None:
        self.phase, self.runtime, self.checkpoints = phase, runtime, checkpoints
        self.settings: Train = phase.settings
        self.streams = streams(phase, runtime)
        self.tasked = [stream for stream in self.streams if stream.dev_features]
        self.turns = turns(self.streams, phase)
        self.bf16 = half_precision(self.settings.precision, runtime.device)
        self.accelerator = Accelerator(cpu=runtime.device.type == "cpu")
        _import_libraries(phase)
        self.meter = Meter(runtime.device)
        self.encoder = _model(phase, runtime, self.streams)
        self.named = _trainable(self.encoder, self.streams)
        own = self.encoder.delta(adapter_place(phase)) if phase.fuse else {}
        self.fusion_values = fusion.values(own)
        self.frozen = self._frozen() if self.settings.cache else None
        self.lower: dict[str, Lower] = {}
        self.optimizer = _optimizer(self.named, self.settings, phase.method)
        self.total = len(self.turns)
        self.every = self.settings.eval_every or math.ceil(self.total / self.settings.epochs)
        self.progress = _Progress()
        self.best: dict[str, Tensor] = {}

    def run(self, staging: Path) -> None:
        """Train from the beginning or from a checkpoint, and write the entry's files."""
        self.meter.start()
        self._resume()
        saved = time.monotonic()
        while self.progress.step < self.total and not self._exhausted():
            self._step()
            step = self.progress.step
            if step % self.every == 0 or step == self.total:
                self._select()
            every = self.runtime.checkpoint_every
            due = step % every == 0 if every else time.monotonic() - saved > self.runtime.checkpoint_seconds
            stopping = self.runtime.stop()
            if (due or stopping) and step < self.total:
                self._checkpoint()
                saved = time.monotonic()
            if stopping and step < self.total:
                raise Interrupted(f"{self.phase.title}: stopped at step {step} of {self.total}, checkpoint written")
        self._write(staging)

    def _exhausted(self) -> bool:
        return self.settings.patience is not None and self.progress.waited >= self.settings.patience

    def _step(self) -> None:
        step, settings = self.progress.step, self.settings
        stream, rows = self._batch(step)
        torch.manual_seed(seeded("dropout", self.phase.seed, step))
        rate = linear(step, self.total, settings.warmup, settings.lr or 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.encoder.trunk.train()
        stream.head.train()
        loss = self._backward(stream, rows)
        norm = float(torch.nn.utils.clip_grad_norm_(self.named.values(), settings.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            ids = [stream.examples.ids[stream.features.items[row].example] for row in rows]
            raise DivergedError(
                f"{self.phase.title}: loss {loss}, gradient norm {norm} at step {step}, learning rate {rate:g}, rows"
                f" {ids[:8]} of {stream.name}; lower train.lr, or train in fp32"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step = step + 1
        told = {} if stream.alone else {"task": stream.name}
        self.progress.log.append({"step": step, "loss": loss, "lr": rate, "norm": norm, **told})
        self.runtime.report(self.phase.title, step + 1, self.total)

    def _backward(self, stream: Stream, rows: list[int]) -> float:
        """Gradients of the mean loss of a batch, computed in runs under the token budget; returns the loss."""
        settings, items = stream.settings, stream.features.items
        width = settings.max_length if settings.padding == "fixed" else None
        lengths = {row: width or items[row].length for row in rows}
        sizes = {row: len(items[row].sequences) for row in rows}
        total, terms = 0.0, 0
        runs = [rows] if stream.kind.joint else by_tokens(rows, sizes, lengths, settings.micro_tokens)
        below = self._below(stream)
        for run in runs:
            batch = collate([items[row] for row in run], self.runtime.tokenizer.pad, self.encoder.device, width)
            start = below(run, batch) if below else None
            with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.bf16):
                states = stream.seen(self.encoder, self.encoder.states(batch.ids, batch.mask, start))
                loss, count = stream.kind.loss(stream.head, states, batch)
            self.accelerator.backward(loss / len(rows))
            total += float(loss.detach())
            terms += int(count)
        if terms != len(rows):
            for parameter in self.named.values():
                if parameter.grad is not None:
                    parameter.grad.mul_(len(rows) / max(terms, 1))
        if self.fusion_values:
            self.accelerator.backward(fusion.penalty(self.fusion_values))
        return total / max(terms, 1)

    def _frozen(self) -> Frozen:
        """The layers below the lowest that is trained or acts, where they are computed once."""
        phase, store, block = self.phase, self.runtime.workspace.store, self.encoder.first_active_block()
        base = phase.init if phase.init and phase.method.trains_encoder else phase.base
        found = Frozen(
            self.runtime.trunk_cache,
            self.encoder,
            identity(store, self.runtime.model, base, block),
            block,
            self.bf16,
            exact=False,
            remark=lambda line: self.runtime.report(f"{phase.title}: {line}", 0, 0),
        )
        for stream in self.streams:
            stream.frozen = found
        return found

    def _below(self, stream: Stream) -> Lower | None:
        """Where the hidden states of a stream's rows come from, when not from the beginning."""
        if self.frozen is not None and stream.name not in self.lower:
            title = f"{self.phase.title}: hidden states below layer {self.frozen.block // 2}"
            self.lower[stream.name] = self.frozen.filled(
                stream.features,
                self.runtime.tokenizer.pad,
                self.runtime.stop,
                lambda done, total: self.runtime.report(title, done, total),
            )
        return self.lower.get(stream.name)

    def _batch(self, step: int) -> tuple[Stream, list[int]]:
        """Whose step it is, and its features."""
        number, turn = self.turns[step]
        return self.streams[number], self.streams[number].rows(turn)

    def _select(self) -> None:
        """Score the English dev sets and keep the weights if they are the best so far: by the mean over tasks."""
        scores = _score(self)
        self.progress.log.append({"step": self.progress.step - 1, "dev": scores})
        if not self.progress.best or self._mean(scores) > self._mean(self.progress.best):
            self.progress.best, self.progress.best_step = scores, self.progress.step
            self.progress.waited = 0
            self.best = {key: value.detach().clone() for key, value in self.named.items()}
        else:
            self.progress.waited += 1

    def _mean(self, scores: dict[str, float]) -> float:
        """The unweighted mean of the tasks' scores."""
        values = [headline(scores, [_told(stream, name) for name in stream.task.headline]) for stream in self.tasked]
        return sum(values) / len(values)

    def _checkpoint(self) -> None:
        self.progress.seconds, self.progress.peak = self.meter.seconds, self.meter.peak
        tensors = state_of(self.named, self.optimizer) | {f"best/{key}": value for key, value in self.best.items()}
        self.checkpoints.save(self.progress.step, tensors, vars(self.progress))

    def _resume(self) -> None:
        found = self.checkpoints.load()
        for warning in self.checkpoints.warnings:
            self.runtime.report(warning, 0, 0)
        if found is None:
            return
        tensors, state = found
        self.progress = _Progress(**state)
        self.meter.carry(self.progress.seconds, self.progress.peak)
        restore(tensors, self.named, self.optimizer)
        self.best = {
            key: tensors[f"best/{key}"].to(value.device)
            for key, value in self.named.items()
            if f"best/{key}" in tensors
        }
        self.runtime.report(
            f"{self.phase.title}: continued from step {self.progress.step}", self.progress.step, self.total
        )

    def _write(self, staging: Path) -> None:
        with torch.no_grad():
            for key, value in self.named.items():
                value.copy_(self.best[key])
        try:
            check_finite(self.best, staging)
        except Exception as error:
            raise DivergedError(f"{self.phase.title}: {error}") from None
        if self.phase.method.trains_encoder:
            self.encoder.save_trunk(staging / entries.ENCODER)
        elif self.phase.method.attaches:
            folder = entries.FUSION if self.phase.fuse else entries.ADAPTER
            self.encoder.save(adapter_place(self.phase), staging / folder)
        for stream in self.tasked:
            stream.calibrate(self.encoder, self.bf16)
        for stream in self.streams:
            own = entries.HEAD if self.tasked == [stream] else f"{entries.HEADS}/{stream.name}"
            heads.save(stream.head, self.encoder, stream.task, staging / own)
        entries.write_log(staging, self.progress.log)
        entries.TRAIN_RESULT.write(staging, self._result())
        entries.COST.write(staging, self._cost())

    def _result(self) -> TrainResult:
        trunk = sum(value.numel() for key, value in self.named.items() if key.startswith("trunk."))
        head = sum(value.numel() for key, value in self.named.items() if key.startswith("head."))
        taken = Counter(number for number, _ in self.turns[: self.progress.step])
        own = {stream.name: stream.result(taken[i]) for i, stream in enumerate(self.streams)}
        result = {
            **(next(iter(own.values())) if len(own) == 1 else {"streams": own}),
            "steps": self.progress.step,
            "best_step": self.progress.best_step,
            "dev": self.progress.best,
            "trainable": trunk,
            "head": head,
        }
        return cast(TrainResult, result)

    def _cost(self) -> Cost:
        seconds = self.meter.seconds
        seen = sum(len(self._batch(step)[1]) for step in range(self.progress.step))
        return {
            "seconds": seconds,
            "examples_per_second": seen / seconds,
            "peak_bytes": self.meter.peak,
            "precision": "bf16" if self.bf16 else "fp32",
        }


def _import_libraries(phase: TrainPhase) -> None:
    """Load the libraries now, so that their memory does not count as the phase's."""
    importlib.import_module("transformers.models.xlm_roberta.modeling_xlm_roberta")
    if isinstance(phase.method, AdapterMethod) and phase.method.backend in ("adapters", "peft"):
        importlib.import_module(phase.method.backend)


def _model(phase: TrainPhase, runtime: Runtime, found: Sequence[Stream]) -> Encoder:
    """The encoder, composed with exactly the phase's parameters trainable; every stream gets its head."""
    store = runtime.workspace.store
    start = store.entry(phase.init) if phase.init else None
    if phase.method.trains_encoder:
        parent = start or (store.entry(phase.base) if phase.base else None)
        folder = parent.folder / entries.ENCODER if parent else runtime.model.folder
        encoder = Encoder(folder, "plain", runtime.device, runtime.model.name)
        encoder.train_all(phase.method.frozen_modules(encoder.trunk))
    else:
        resident = Resident(store, runtime.model, runtime.device)
        method = phase.method if isinstance(phase.method, AdapterMethod) else None
        encoder = resident.encoder(phase.base, phase.stack, method.backend if method else None, phase.fuse)
        if method:
            place = adapter_place(phase)
            _attach(encoder, place, method, phase, start or (store.entry(phase.start) if phase.start else None))
            encoder.compose([*map(adapter_name, phase.stack), place], train=place)
    for stream in found:
        if start:
            stream.head = heads.load(encoder, stream.task, start.folder / entries.HEAD)
        else:
            stream.start(encoder)
    return encoder


def adapter_place(phase: TrainPhase) -> Place:
    """What the phase trains is called on its encoder: a name that libraries take, or the adapters that it fuses."""
    if phase.fuse:
        return tuple(map(adapter_name, phase.fuse))
    return re.sub(r"[^A-Za-z0-9_-]", "_", phase.task)


def _attach(encoder: Encoder, place: Place, method: AdapterMethod, phase: TrainPhase, start: Entry | None) -> None:
    """Put on the encoder what is to be trained: new, or as another phase left it."""
    if isinstance(place, tuple) and start:
        encoder.load_fusion(place, start.folder / entries.FUSION)
    elif isinstance(place, tuple):
        encoder.fuse(place, "fusion", phase.seed)
    elif start:
        encoder.load(place, method, start.folder / entries.ADAPTER)
    else:
        encoder.add(place, method, "adapter", phase.seed)


def _trainable(encoder: Encoder, found: Sequence[Stream]) -> dict[str, nn.Parameter]:
    named = {f"trunk.{key}": value for key, value in encoder.parameters().items()}
    for stream in found:
        if stream.fixed:
            stream.head.requires_grad_(False)
            continue
        named |= {stream.prefix + key: value for key, value in stream.head.named_parameters()}
    return named


def _optimizer(named: dict[str, nn.Parameter], settings: Train, method: Method) -> torch.optim.Optimizer:
    """Fused AdamW; only matrices have weight decay: biases, LayerNorm weights and scales (IA3's) have none."""
    matrices = {key for key, p in named.items() if p.ndim > 1 and (method.decayed or not key.startswith("trunk."))}
    groups = [
        {"params": [p for key, p in named.items() if key in matrices], "weight_decay": settings.weight_decay},
        {"params": [p for key, p in named.items() if key not in matrices], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr or 0.0, eps=1e-8, fused=True)


def _score(trainer: _Trainer) -> dict[str, float]:
    """Every metric on every dev set, under the task's name where there are several."""
    found: dict[str, float] = {}
    for stream in trainer.tasked:
        scores = stream.scores(trainer.encoder, trainer.bf16)
        found |= {_told(stream, name): value for name, value in scores.items()}
    return found


def _told(stream: Stream, metric: str) -> str:
    return metric if stream.alone else f"{stream.name}.{metric}"
