"""A training phase: English rows in, an adapter (or a whole encoder) and a head out.

Everything that happens in a step is a function of (spec, step): row order of (seed, epoch), dropout of (seed, step).
So a run that continues from a checkpoint takes the same path, to the bit on one machine, as one that never stopped.
"""

from __future__ import annotations

import importlib
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from adaptstilts import kinds, tasks
from adaptstilts.config import Train
from adaptstilts.data.batches import by_tokens, epoch_order
from adaptstilts.data.examples import Examples
from adaptstilts.errors import DivergedError, Interrupted
from adaptstilts.kinds.base import Features, collate
from adaptstilts.models import heads
from adaptstilts.models.encoder import Encoder, check_finite, seeded
from adaptstilts.models.resident import Resident
from adaptstilts.phases.checkpoint import Checkpoints, restore, state_of
from adaptstilts.phases.inference import headline, predict
from adaptstilts.phases.runtime import Meter, Runtime, half_precision
from adaptstilts.phases.schedule import linear
from adaptstilts.spec import TrainPhase


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


def train(phase: TrainPhase, runtime: Runtime, resident: Resident, staging: Path) -> None:
    """Run a training phase and write its files.

    Raises:
        DivergedError: a loss, gradient or weight is not finite.
        Interrupted: asked to stop; a checkpoint was written.
    """
    resident.drop()
    checkpoints = Checkpoints(runtime.workspace.store.work(phase.key))
    _Trainer(phase, runtime, checkpoints).run(staging)


class _Trainer:
    def __init__(self, phase: TrainPhase, runtime: Runtime, checkpoints: Checkpoints) -> None:
        self.phase, self.runtime, self.checkpoints = phase, runtime, checkpoints
        self.settings: Train = phase.settings
        self.task = tasks.get(phase.task)
        self.kind = kinds.get(self.task.kind)
        giver = tasks.get(phase.rows)
        assert giver.train is not None  # noqa: S101
        assert self.task.dev is not None  # noqa: S101
        limits = self.settings
        self.examples, self.features = runtime.rows(
            giver, giver.train, phase.data["train"], limits.max_length, limits.examples, phase.seed
        )
        english = runtime.workspace.split(self.task.dev).source
        self.dev_examples, self.dev_features = runtime.rows(
            self.task, english, phase.data["dev"], limits.max_length, limits.dev_examples
        )
        self.bf16 = half_precision(limits.precision, runtime.device)
        self.accelerator = Accelerator(cpu=runtime.device.type == "cpu")
        _import_libraries(phase)
        self.meter = Meter(runtime.device)
        self.encoder, self.head = _model(phase, runtime)
        self.named = _trainable(self.encoder, self.head)
        self.optimizer = _optimizer(self.named, self.settings)
        self.per_epoch = math.ceil(len(self.features.items) / limits.batch_size)
        self.total = min(self.per_epoch * limits.epochs, limits.max_steps or self.per_epoch * limits.epochs)
        self.every = limits.eval_every or self.per_epoch
        self.progress = _Progress()
        self.best: dict[str, Tensor] = {}
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

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
        rows = self._rows(step)
        torch.manual_seed(seeded("dropout", self.phase.seed, step))
        rate = linear(step, self.total, settings.warmup, settings.lr or 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.encoder.trunk.train()
        self.head.train()
        loss = self._backward(rows)
        norm = float(torch.nn.utils.clip_grad_norm_(self.named.values(), settings.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            ids = [self.examples.ids[self.features.items[row].example] for row in rows]
            raise DivergedError(
                f"{self.phase.title}: loss {loss}, gradient norm {norm} at step {step}, learning rate {rate:g}, rows"
                f" {ids[:8]} of {self.phase.rows}; lower train.lr, or train in fp32"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step = step + 1
        self.progress.log.append({"step": step, "loss": loss, "lr": rate, "norm": norm})
        self.runtime.report(self.phase.title, step + 1, self.total)

    def _backward(self, rows: list[int]) -> float:
        """Gradients of the mean loss of a batch, computed in runs under the token budget; returns the loss."""
        settings, items = self.settings, self.features.items
        width = settings.max_length if settings.padding == "fixed" else None
        lengths = {row: width or items[row].length for row in rows}
        sizes = {row: len(items[row].sequences) for row in rows}
        total, terms = 0.0, 0
        for run in by_tokens(rows, sizes, lengths, settings.micro_tokens):
            batch = collate([items[row] for row in run], self.runtime.tokenizer.pad, self.encoder.device, width)
            with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.bf16):
                states = self.encoder.states(batch.ids, batch.mask)
                loss, count = self.kind.loss(self.head, states, batch)
            self.accelerator.backward(loss / len(rows))
            total += float(loss.detach())
            terms += int(count)
        if terms != len(rows):
            for parameter in self.named.values():
                if parameter.grad is not None:
                    parameter.grad.mul_(len(rows) / max(terms, 1))
        return total / max(terms, 1)

    def _rows(self, step: int) -> list[int]:
        epoch, index = divmod(step, self.per_epoch)
        if self._epoch[0] != epoch:
            bucket = self.settings.padding == "bucket"
            order = epoch_order(self.features.lengths, self.settings.batch_size, self.phase.seed, epoch, bucket)
            self._epoch = (epoch, order)
        return self._epoch[1][index]

    def _select(self) -> None:
        """Score the English dev set and keep the weights if they are the best so far."""
        scores = _score(self, self.dev_examples, self.dev_features)
        self.progress.log.append({"step": self.progress.step - 1, "dev": scores})
        names = self.kind.headline
        if not self.progress.best or headline(scores, names) > headline(self.progress.best, names):
            self.progress.best, self.progress.best_step = scores, self.progress.step
            self.progress.waited = 0
            self.best = {key: value.detach().clone() for key, value in self.named.items()}
        else:
            self.progress.waited += 1

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
        if self.phase.method.kind == "full":
            self.encoder.save_trunk(staging / "encoder")
        else:
            self.encoder.save(self.phase.task, staging / "adapter")
        heads.save(self.head, self.encoder, self.task, staging / "head")
        _write_lines(staging / "log.jsonl", self.progress.log)
        _write_json(staging / "result.json", self._result())
        _write_json(staging / "cost.json", self._cost())

    def _result(self) -> dict[str, Any]:
        trunk = sum(value.numel() for key, value in self.named.items() if key.startswith("trunk."))
        head = sum(value.numel() for key, value in self.named.items() if key.startswith("head."))
        return {
            "steps": self.progress.step,
            "best_step": self.progress.best_step,
            "dev": self.progress.best,
            "dev_examples": len(self.dev_examples.rows),
            "examples": len(self.examples.rows),
            "examples_in_split": self.examples.total,
            "truncated": self.features.truncated,
            "dropped": dict(self.examples.dropped),
            "trainable": trunk,
            "head": head,
        }

    def _cost(self) -> dict[str, Any]:
        seconds = self.meter.seconds
        seen = sum(len(self._rows(step)) for step in range(self.progress.step))
        return {
            "seconds": seconds,
            "examples_per_second": seen / seconds,
            "peak_bytes": self.meter.peak,
            "precision": "bf16" if self.bf16 else "fp32",
        }


def _import_libraries(phase: TrainPhase) -> None:
    """Load the libraries now, so that their memory does not count as the phase's."""
    importlib.import_module("transformers.models.xlm_roberta.modeling_xlm_roberta")
    if phase.method.backend in ("adapters", "peft"):
        importlib.import_module(phase.method.backend)


def _model(phase: TrainPhase, runtime: Runtime) -> tuple[Encoder, nn.Module]:
    """The encoder, composed with exactly the phase's parameters trainable, and the head."""
    store, task = runtime.workspace.store, tasks.get(phase.task)
    start = store.entry(phase.init) if phase.init else None
    if phase.method.kind == "full":
        parent = start or (store.entry(phase.base) if phase.base else None)
        folder = parent.folder / "encoder" if parent else runtime.model.folder
        encoder = Encoder(folder, "plain", runtime.device, runtime.model.name)
        encoder.train_all()
    else:
        resident = Resident(store, runtime.model, runtime.device)
        encoder = resident.encoder(phase.base, phase.stack, phase.method.backend)
        under = list(encoder.methods)
        if start:
            encoder.load(phase.task, phase.method, start.folder / "adapter")
        else:
            encoder.add(phase.task, phase.method, "adapter", phase.seed)
        encoder.compose([*under, phase.task], train=phase.task)
    if start:
        return encoder, heads.load(encoder, task, start.folder / "head")
    return encoder, heads.new(encoder, task, "head", phase.seed)


def _trainable(encoder: Encoder, head: nn.Module) -> dict[str, nn.Parameter]:
    named = {f"trunk.{key}": value for key, value in encoder.parameters().items()}
    return named | {f"head.{key}": value for key, value in head.named_parameters()}


def _optimizer(named: dict[str, nn.Parameter], settings: Train) -> torch.optim.Optimizer:
    """Fused AdamW; biases and LayerNorm weights (one-dimensional) without weight decay."""
    groups = [
        {"params": [p for p in named.values() if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in named.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr or 0.0, eps=1e-8, fused=True)


def _score(trainer: _Trainer, examples: Examples, features: Features) -> dict[str, float]:
    kind, task = trainer.kind, trainer.task
    outputs = predict(trainer.encoder, trainer.head, kind, features, trainer.runtime.tokenizer.pad, trainer.bf16)
    found = kind.decode(outputs, features, examples.rows, task)
    return {name: metric.value for name, metric in kind.score(found, kind.gold(examples.rows, task)).items()}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _write_lines(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(v, allow_nan=False) + "\n" for v in values), encoding="utf-8")
