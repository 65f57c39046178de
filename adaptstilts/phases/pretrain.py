"""A pretraining phase: a corpus in, an encoder with its language-model head and tokenizer out."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptstilts.errors import ArtifactError, DivergedError
from adaptstilts.models.weight_files import WEIGHTS
from adaptstilts.models.weights import check_finite
from adaptstilts.pretrain import encoded, svd
from adaptstilts.pretrain import model as models
from adaptstilts.pretrain.batches import Drawer
from adaptstilts.pretrain.encoded import TokenizedCorpus
from adaptstilts.pretrain.held_out import layer_accuracy
from adaptstilts.pretrain.losses import masked_loss, pooled, ranking_loss
from adaptstilts.pretrain.plan import PretrainPhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.loop import Loop, StepLoss
from adaptstilts.runtime.meter import Meter, Work, optimizer_tensors
from adaptstilts.runtime.schedule import Schedule
from adaptstilts.store import entries
from adaptstilts.store.contents import MeasuredCost, PretrainResult

HELD_OUT_BATCHES = 8  # share of masked text


def pretrain(phase: PretrainPhase, runtime: Runtime, staging: Path) -> None:
    """Run a pretraining phase; writes ``encoder/``, ``log.jsonl`` and ``result.json``.

    Args:
        phase: names the corpus, and the shape and budget of the encoder.
        runtime: the store, device, checkpoints and loggers.
        staging: folder of the entry's files.

    Raises:
        DivergedError: a loss, gradient or weight is not finite.
        Interrupted: the runtime asked to stop; a checkpoint was written.
    """
    Loop(Pretrainer(phase, runtime), 2 * runtime.checkpoint_seconds).run(staging)


class Pretrainer:
    """The model and the text of a pretraining phase; a :class:`~adaptstilts.runtime.loop.Trainee`.

    Attributes:
        source: the corpus entry.
        tokenizer: folder of its tokenizer.
        corpus: the tokenized text.
        vocabulary: number of tokens.
        tokens: number of tokens that each objective has read.
    """

    def __init__(self, phase: PretrainPhase, runtime: Runtime) -> None:
        self.phase, self.runtime, self.shape = phase, runtime, phase.shape
        self.source = runtime.workspace.store.entry(phase.corpus)
        self.corpus = encoded.load(self.source.folder / entries.TRAIN_TEXT)
        self.tokenizer = self.source.folder / entries.TOKENIZER
        tokenizer = json.loads((self.tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
        self.vocabulary = len(tokenizer["model"]["vocab"])
        self.drawer = Drawer(self.corpus, self.shape, self.vocabulary, phase.positions)
        self.bf16 = half_precision(self.shape.precision, runtime.device)
        self.meter = Meter(runtime.device)
        self.model = models.new_model(self.shape, self.vocabulary, phase.positions).to(runtime.device)
        self.parameters = dict(self.model.named_parameters())
        self.optimizer = models.make_optimizer(self.parameters, self.shape)
        rising = int(self.shape.warmup * self.shape.steps)
        self.schedule = Schedule(self.shape.steps, rising, self.shape.lr, self.shape.clip, lead=1)
        self.advice = f"lower encoders.{phase.name}.lr"
        self.tokens: Counter[str] = Counter()

    def start(self) -> None:
        """Take the weights of another phase, or set the embeddings and the bias from the text."""
        if self.phase.start:
            start = self.runtime.workspace.store.entry(self.phase.start)
            models.load_weights(self.model, start.folder / entries.ENCODER / WEIGHTS)
            return
        models.start_bias(self.model, self.corpus)
        if self.shape.svd:
            self.runtime.report(f"{self.phase.title}: singular vectors of the text", 0, 0)
            vectors = svd.token_vectors(self.corpus, self.vocabulary, self.shape.hidden, self.shape.seed)
            models.start_embeddings(self.model, vectors)

    def backward(self, step: int) -> StepLoss:
        """Compute the gradients of a step; see :class:`~adaptstilts.runtime.loop.Trainee`."""
        objective = self.drawer.objective(step)
        self.model.train()
        with torch.autocast(self.runtime.device.type, torch.bfloat16, enabled=self.bf16):
            loss, tokens = self._loss(objective, step)
        torch.autograd.backward(loss)
        self.tokens[objective] += tokens
        return StepLoss(float(loss.detach()), objective)

    def _loss(self, objective: str, step: int) -> tuple[Tensor, int]:
        """Return the loss of a step, and how many tokens it read."""
        if objective == "ranking":
            pairs = self.drawer.ranking(step)
            device = self.runtime.device
            vectors = pooled(self.model, pairs.ids.to(device), pairs.mask.to(device), self.shape.middle)
            return ranking_loss(vectors, pairs.group, self.shape.temperature), int(pairs.mask.sum())
        batch = self.drawer.mlm(step) if objective == "mlm" else self.drawer.tlm(step)
        return masked_loss(self.model, batch), int(batch.mask.sum())

    def work(self, step: int) -> Work:
        """Return the objective of a step; see :class:`~adaptstilts.runtime.loop.Trainee`."""
        return Work(self.drawer.objective(step))

    def tensors(self) -> Iterator[Tensor]:
        """Yield what stays in memory between steps: weights and optimizer state."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield from optimizer_tensors(self.optimizer)

    def scalars(self, loss: StepLoss, rate: float, norm: float) -> dict[str, Any]:
        """Return the values to log for a step; see :class:`~adaptstilts.runtime.loop.Trainee`."""
        return {loss.objective: round(loss.value, 4), "norm": round(norm, 3)}

    def evaluate(self, steps: int) -> None:
        """Do nothing: the last weights are kept."""

    def is_exhausted(self) -> bool:
        """Return False: all steps are taken."""
        return False

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the number of tokens that were read, for a checkpoint."""
        return {}, {"tokens": dict(self.tokens)}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        self.tokens = Counter(state["tokens"])

    def write(self, staging: Path, steps: int) -> None:
        """Write the encoder, its tokenizer and ``result.json``.

        Args:
            staging: folder of the files.
            steps: number of steps that were taken.

        Raises:
            DivergedError: a weight is not finite.
        """
        try:
            check_finite({key: value.detach() for key, value in self.parameters.items()}, Path(WEIGHTS))
        except ArtifactError as error:
            raise DivergedError(f"{self.phase.title}: {error}") from None
        cost: MeasuredCost = {
            "seconds": round(self.meter.seconds, 1),
            "cpu_seconds": round(self.meter.cpu_seconds, 1),
            "peak_bytes": self.meter.peak,
        }
        models.save(self.model, staging / entries.ENCODER)
        for path in sorted(self.tokenizer.iterdir()):
            shutil.copyfile(path, staging / entries.ENCODER / path.name)
        entries.PRETRAIN_RESULT.write(staging, self._result(steps, cost))

    def _result(self, steps: int, cost: MeasuredCost) -> PretrainResult:
        corpus = entries.CORPUS_RESULT.read(self.source)
        start = self.phase.start and self.runtime.workspace.store.entry(self.phase.start)
        return {
            "languages": corpus["languages"],
            "steps": steps,
            "tokens": dict(self.tokens),
            "seconds": cost["seconds"],
            "cpu_seconds": cost["cpu_seconds"],
            "peak_bytes": cost["peak_bytes"],
            "precision": "bf16" if self.bf16 else "fp32",
            "parameters": sum(value.numel() for value in self.model.base_model.parameters()),
            "removed": corpus["removed"],
            "start": entries.PRETRAIN_RESULT.read(start) if start else None,
            "held_out": self._held_out(encoded.english_first(corpus["languages"])),
        }

    def _held_out(self, codes: list[str]) -> dict[str, Any]:
        """Measure the masked-token loss on held-out text, and at which layer translations are found best."""
        corpus = encoded.load(self.source.folder / entries.HELD_OUT_TEXT)
        if not len(corpus):
            return {}
        self.model.eval()
        accuracy = layer_accuracy(self.model, corpus, codes, self.shape.max_length, self.runtime.device)
        if not accuracy:
            return {}
        means = [float(np.mean(layer)) for layer in zip(*accuracy.values(), strict=True)]
        return {
            "retrieval": {code: _rounded(shares) for code, shares in accuracy.items()},
            "mean": _rounded(means),
            "layer": int(np.argmax(means)),
            "masked_loss": round(self._masked_loss(corpus), 4),
        }

    def _masked_loss(self, corpus: TokenizedCorpus) -> float:
        drawer = Drawer(corpus, self.shape, self.vocabulary, self.phase.positions)
        with torch.inference_mode():
            losses = [float(masked_loss(self.model, drawer.mlm(step))) for step in range(HELD_OUT_BATCHES)]
        return float(np.mean(losses))


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]
