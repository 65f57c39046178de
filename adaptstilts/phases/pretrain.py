"""A pretraining phase: a corpus in, an encoder with its language-model head and tokenizer out.

As in training, everything in a step is a function of (spec, step), so an interrupted phase continues to the same bits.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.errors import ArtifactError, DivergedError, Interrupted
from adaptstilts.models.encoder import generator, masked_mean
from adaptstilts.models.locate import WEIGHTS
from adaptstilts.models.partial import truncated
from adaptstilts.models.weights import check_finite, read_tensors
from adaptstilts.phases.schedule import linear
from adaptstilts.pretrain import encoded, svd
from adaptstilts.pretrain.batches import Drawer, Masked, Pairs, padded
from adaptstilts.pretrain.encoded import Encoded
from adaptstilts.pretrain.recipe import PretrainPhase, Shape
from adaptstilts.pretrain.vocabulary import BEGIN, END, PAD, SPECIAL
from adaptstilts.runtime.checkpoints import Checkpoints, restore, state_of
from adaptstilts.runtime.context import Meter, Runtime, half_precision
from adaptstilts.search.exact import neighbours, unit
from adaptstilts.store import entries
from adaptstilts.store.entries import PretrainResult

DROPOUT = 0.1
TIED = {"lm_head.decoder.weight", "lm_head.decoder.bias"}  # the embeddings and the head's own bias under other names


@dataclass
class _Progress:
    """What a checkpoint holds beside tensors."""

    step: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    peak: int = 0


def pretrain(phase: PretrainPhase, runtime: Runtime, staging: Path) -> None:
    """Run a pretraining phase; writes ``encoder/``, ``log.jsonl`` and ``result.json``.

    Raises:
        DivergedError: a loss, gradient or weight is not finite.
        Interrupted: asked to stop; a checkpoint was written.
    """
    _Pretrainer(phase, runtime).run(staging)


class _Pretrainer:
    def __init__(self, phase: PretrainPhase, runtime: Runtime) -> None:
        self.phase, self.runtime, self.shape = phase, runtime, phase.shape
        self.source = runtime.workspace.store.entry(phase.corpus)
        self.corpus = encoded.load(self.source.folder / entries.TRAIN_TEXT)
        self.tokenizer = self.source.folder / entries.TOKENIZER
        self.vocabulary = len(json.loads((self.tokenizer / "tokenizer.json").read_text())["model"]["vocab"])
        self.checkpoints = Checkpoints(runtime.workspace.store.work(phase.key))
        self.drawer = Drawer(self.corpus, self.shape, self.vocabulary, phase.positions)
        self.bf16 = half_precision(self.shape.precision, runtime.device)
        self.meter = Meter(runtime.device)
        self.progress = _Progress()
        self.model = new_model(self.shape, self.vocabulary, phase.positions).to(runtime.device)
        self.named = dict(self.model.named_parameters())
        self.optimizer = _optimizer(self.named, self.shape)

    def run(self, staging: Path) -> None:
        """Train from the beginning or from a checkpoint, and write the entry's files."""
        self.meter.start()
        if not self._resume():
            self._start()
        saved = time.monotonic()
        while self.progress.step < self.shape.steps:
            self._step()
            step, every = self.progress.step, self.runtime.checkpoint_every
            due = step % every == 0 if every else time.monotonic() - saved > 2 * self.runtime.checkpoint_seconds
            stopping = self.runtime.stop()
            if (due or stopping) and step < self.shape.steps:
                self._checkpoint()
                saved = time.monotonic()
            if stopping and step < self.shape.steps:
                raise Interrupted(
                    f"{self.phase.title}: stopped at step {step} of {self.shape.steps}, checkpoint written"
                )
        self._write(staging)

    def _start(self) -> None:
        if self.phase.start:
            self._continue(self.runtime.workspace.store.entry(self.phase.start).folder / entries.ENCODER / WEIGHTS)
            return
        start_bias(self.model, self.corpus)
        if self.shape.svd:
            self.runtime.report(f"{self.phase.title}: singular vectors of the text", 0, 0)
            vectors = svd.token_vectors(self.corpus, self.vocabulary, self.shape.hidden, self.shape.seed)
            start_embeddings(self.model, vectors)

    def _continue(self, weights: Path) -> None:
        missing, unexpected = self.model.load_state_dict(read_tensors(weights), strict=False)
        if set(missing) != TIED or unexpected:
            raise ArtifactError(f"{weights}: not the weights of this shape: {sorted(set(missing) ^ TIED)[:3]}")

    def _step(self) -> None:
        step, shape = self.progress.step, self.shape
        objective = self.drawer.objective(step)
        rate = linear(step, shape.steps, shape.warmup, shape.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.model.train()
        with torch.autocast(self.runtime.device.type, torch.bfloat16, enabled=self.bf16):
            loss, tokens = self._loss(objective, step)
        torch.autograd.backward(loss)
        norm = float(nn.utils.clip_grad_norm_(self.named.values(), shape.clip))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise DivergedError(
                f"{self.phase.title}: {objective} loss {value}, gradient norm {norm} at step {step}, learning rate"
                f" {rate:g}; lower encoders.{self.phase.name}.lr"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step = step + 1
        self.progress.tokens[objective] = self.progress.tokens.get(objective, 0) + tokens
        self.progress.log.append({"step": step, objective: round(value, 4), "norm": round(norm, 3)})
        self.runtime.report(self.phase.title, step + 1, shape.steps)

    def _loss(self, objective: str, step: int) -> tuple[Tensor, int]:
        if objective == "ranking":
            pairs = self.drawer.ranking(step)
            loss = ranking_loss(self._pooled(pairs), pairs.group, self.shape.temperature)
            return loss, int(pairs.mask.sum())
        batch = self.drawer.mlm(step) if objective == "mlm" else self.drawer.tlm(step)
        return masked_loss(self.model, batch), int(batch.mask.sum())

    def _pooled(self, pairs: Pairs) -> Tensor:
        device = self.runtime.device
        return pooled(self.model, pairs.ids.to(device), pairs.mask.to(device), self.shape.middle)

    def _checkpoint(self) -> None:
        self.progress.seconds, self.progress.peak = self.meter.seconds, self.meter.peak
        self.checkpoints.save(self.progress.step, state_of(self.named, self.optimizer), vars(self.progress))

    def _resume(self) -> bool:
        found = self.checkpoints.load()
        for warning in self.checkpoints.warnings:
            self.runtime.report(warning, 0, 0)
        if found is None:
            return False
        tensors, state = found
        self.progress = _Progress(**state)
        self.meter.carry(self.progress.seconds, self.progress.peak)
        restore(tensors, self.named, self.optimizer)
        step = self.progress.step
        self.runtime.report(f"{self.phase.title}: continued from step {step}", step, self.shape.steps)
        return True

    def _write(self, staging: Path) -> None:
        try:
            check_finite({key: value.detach() for key, value in self.named.items()}, Path(WEIGHTS))
        except ArtifactError as error:
            raise DivergedError(f"{self.phase.title}: {error}") from None
        seconds, peak = self.meter.seconds, self.meter.peak
        save(self.model, staging / entries.ENCODER)
        for path in sorted(self.tokenizer.iterdir()):
            shutil.copyfile(path, staging / entries.ENCODER / path.name)
        entries.write_log(staging, self.progress.log)
        corpus = entries.CORPUS_RESULT.read(self.source)
        held = encoded.load(self.source.folder / entries.HELD_OUT_TEXT)
        start = self.phase.start and self.runtime.workspace.store.entry(self.phase.start)
        result: PretrainResult = {
            "languages": corpus["languages"],
            "steps": self.progress.step,
            "tokens": self.progress.tokens,
            "seconds": round(seconds, 1),
            "peak_bytes": peak,
            "precision": "bf16" if self.bf16 else "fp32",
            "parameters": sum(value.numel() for value in self.model.roberta.parameters()),
            "removed": corpus["removed"],
            "start": entries.PRETRAIN_RESULT.read(start) if start else None,
            "held_out": self._held_out(held, sorted(corpus["languages"], key=lambda code: code != encoded.ENGLISH)),
        }
        entries.PRETRAIN_RESULT.write(staging, result)

    def _held_out(self, held: Encoded, codes: list[str]) -> dict[str, Any]:
        """What the held-out sentences say: masked-token loss, and the layer at which translations are found best."""
        if not len(held):
            return {}
        self.model.eval()
        accuracy = layer_accuracy(self.model, held, codes, self.shape.max_length, self.runtime.device)
        means = [float(np.mean([row[layer] for row in accuracy.values()])) for layer in range(self.shape.layers + 1)]
        return {
            "retrieval": {code: [round(value, 4) for value in row] for code, row in accuracy.items()},
            "mean": [round(value, 4) for value in means],
            "layer": int(np.argmax(means)),
            "masked_loss": round(self._held_out_loss(held), 4),
        }

    def _held_out_loss(self, held: Encoded) -> float:
        drawer = Drawer(held, self.shape, self.vocabulary, self.phase.positions)
        with torch.inference_mode():
            return float(np.mean([float(masked_loss(self.model, drawer.mlm(step))) for step in range(8)]))


def new_model(shape: Shape, vocabulary: int, positions: int) -> Any:
    """An ``XLMRobertaForMaskedLM`` with random weights that depend on the shape's seed alone."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    config = XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        max_position_embeddings=positions + PAD + 1,
        pad_token_id=PAD,
        bos_token_id=BEGIN,
        eos_token_id=END,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )
    with generator("weights", shape.seed):
        return XLMRobertaForMaskedLM(config)


def start_embeddings(model: Any, vectors: Tensor) -> None:
    """Put token vectors in place of the random ones; special tokens keep theirs.

    Centred and of one length, thrice that of random rows: as output weights they then start with even logits.
    """
    weight = model.roberta.embeddings.word_embeddings.weight
    known = vectors.norm(dim=1) > 0
    known[: len(SPECIAL)] = False
    length = 3 * model.config.initializer_range * math.sqrt(vectors.shape[1])
    with torch.no_grad():
        centred = vectors[known] - vectors[known].mean(dim=0)
        weight[known] = (functional.normalize(centred, dim=1) * length).to(weight)


def start_bias(model: Any, corpus: Encoded) -> None:
    """Start the language-model head from how often each token occurs."""
    bias = model.lm_head.bias
    counts = np.bincount(corpus.tokens, minlength=len(bias)) + 1.0
    with torch.no_grad():
        bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def pooled(model: Any, ids: Tensor, mask: Tensor, layer: int) -> Tensor:
    """Mean over the tokens (special ones included) of one hidden state; layers above are not computed."""
    with truncated(model.roberta, layer):
        return masked_mean(model.roberta(input_ids=ids, attention_mask=mask).last_hidden_state, mask)


def ranking_loss(vectors: Tensor, group: Tensor, temperature: float) -> Tensor:
    """Cross entropy of finding the translation among a batch's, in both directions, by cosine over a temperature.

    InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748), as InfoXLM uses it across languages
    (Chi et al. 2021, arXiv 2007.07834).

    Args:
        vectors: (2 x pairs, hidden), sentences first, then their translations.
        group: (pairs,) other pairs of a sentence's own group do not count as negatives.
        temperature: of the softmax.
    """
    with torch.autocast(vectors.device.type, enabled=False):  # half precision would blur logits of this size
        a, b = functional.normalize(vectors.float(), dim=1).chunk(2)
        scores = a @ b.T / temperature
    same = (group[:, None] == group[None, :]).to(scores.device)
    own = torch.eye(len(group), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(same & ~own, -1e4)
    gold = torch.arange(len(group), device=scores.device)
    return (functional.cross_entropy(scores, gold) + functional.cross_entropy(scores.T, gold)) / 2


def masked_loss(model: Any, batch: Masked) -> Tensor:
    """Mean cross entropy of the tokens asked for; the language-model head sees only those."""
    device = next(model.parameters()).device
    states = model.roberta(input_ids=batch.ids.to(device), attention_mask=batch.mask.to(device)).last_hidden_state
    asked = states.reshape(-1, states.shape[-1])[batch.places.to(device)]
    return functional.cross_entropy(model.lm_head(asked).float(), batch.asked.to(device))


def layer_accuracy(
    model: Any, held: Encoded, codes: list[str], longest: int, device: torch.device
) -> dict[str, list[float]]:
    """Share of English sentences whose nearest neighbour is their translation, by language and hidden state."""
    found: dict[str, list[float]] = {}
    for number, code in enumerate(codes[1:], 1):
        pairs = [(held.bounds[held.group[s]], s) for s in held.of_language(number)]
        rows = [[BEGIN, *held.ids(int(s))[: longest - 2], END] for side in (0, 1) for s in (p[side] for p in pairs)]
        if not rows:
            continue
        states = _all_layers(model, rows, device)
        half = len(pairs)
        found[code] = [
            float(np.mean(neighbours(unit(layer[:half]), unit(layer[half:]), 1)[0][:, 0] == np.arange(half)))
            for layer in states
        ]
    return found


def _all_layers(model: Any, rows: list[list[int]], device: torch.device) -> list[np.ndarray]:
    pieces = []
    for start in range(0, len(rows), 64):
        ids = padded(rows[start : start + 64])
        mask = (ids != PAD).long().to(device)
        with torch.inference_mode():
            states = model.roberta(input_ids=ids.to(device), attention_mask=mask, output_hidden_states=True)
            pieces.append(torch.stack([masked_mean(layer, mask) for layer in states.hidden_states]).cpu())
    return list(torch.cat(pieces, dim=1).numpy())


def save(model: Any, folder: Path) -> None:
    """Write config and weights, the language-model head included, loadable here and by plain transformers."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(model.config.to_json_string())
    config |= {"architectures": ["XLMRobertaForMaskedLM"], "_name_or_path": ""}
    config |= {"hidden_dropout_prob": DROPOUT, "attention_probs_dropout_prob": DROPOUT}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    held = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items() if key not in TIED}
    save_file(held, str(folder / WEIGHTS), metadata={"format": "pt"})


def _optimizer(named: dict[str, nn.Parameter], shape: Shape) -> torch.optim.Optimizer:
    """Fused AdamW; word embeddings with a rate of their own, one-dimensional weights without decay."""
    words = [value for key, value in named.items() if "word_embeddings" in key]
    matrices = [value for key, value in named.items() if value.ndim > 1 and "word_embeddings" not in key]
    groups = [
        {"params": words, "weight_decay": 0.0, "share": shape.embedding_lr},
        {"params": matrices, "weight_decay": shape.weight_decay, "share": 1.0},
        {"params": [value for value in named.values() if value.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=shape.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
