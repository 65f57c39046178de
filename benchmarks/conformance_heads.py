"""Hidden states by layer, logits of every kind of head, and the loss of the language-model head, of one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from conformance_encoders import LAYERS, make_inputs, plain_model
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts import kinds, tasks
from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.kinds import heads
from adaptstilts.models.batching import Feature
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import TokenSequence
from adaptstilts.retrieval.encode import encode
from adaptstilts.study import Masked, masked_text

Cell = dict[str, Any]
PADDING = 1


def state_differences(folder: Path, name: str) -> dict[str, Cell]:
    """Compare the hidden state of every layer, from one pass and cut off above it, and that of a pair.

    Args:
        folder: the encoder.
        name: its model type.
    """
    encoder, plain, inputs = Encoder(folder), plain_model(folder, name), make_inputs(name)
    single = inputs.ids[1][inputs.mask[1].bool()]
    with torch.no_grad():
        output = plain(single[None], torch.ones_like(single)[None], output_hidden_states=True)
        pair = plain(**inputs.plain(name)).last_hidden_state[0]
        actual = encoder.states(**inputs.ours())[0]
    expected = [*output.hidden_states[:LAYERS], output.last_hidden_state]
    feature = Feature.of(0, [TokenSequence(single.tolist())], None)
    cells: dict[str, Cell] = {"pair": {"difference": largest(actual, pair)}}
    everything = range(LAYERS + 1)
    for layer, states in zip(everything, collected(encoder, feature, everything), strict=True):
        (cut,) = collected(encoder, feature, [layer])
        difference = max(largest(states, expected[layer]), largest(cut, expected[layer]))
        cells[f"layer {layer}"] = {"difference": difference}
    return cells


def collected(encoder: Encoder, feature: Feature, layers: Any) -> list[Tensor]:
    """Return hidden states as retrieval computes them.

    Args:
        encoder: the encoder.
        feature: one sequence.
        layers: which; those above the last one are not computed.
    """
    states: list[Tensor] = []

    def keep(here: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        states.append(here.clone())
        return here[:, 0]

    encode(encoder, [feature], [*layers], keep, PADDING)
    return states


def head_differences(folder: Path, name: str) -> dict[str, Cell]:
    """Compare the outputs of a new head of every kind with its formula on plain states, and the masked-LM loss.

    Args:
        folder: the encoder.
        name: its model type.
    """
    encoder, plain, inputs = Encoder(folder), plain_model(folder, name), make_inputs(name)
    with torch.no_grad():
        actual = encoder.states(**inputs.ours())
        expected = plain(**inputs.plain(name)).last_hidden_state
    cells: dict[str, Cell] = {}
    for kind, task in trainable_tasks().items():
        head = heads.new(encoder, task, 1).eval()
        with torch.no_grad():
            difference = (head(actual) - formula(head, expected)).abs()
        if difference.shape[:2] == inputs.mask.shape:
            difference = difference[inputs.mask.bool()]
        cells[kind] = {"difference": float(difference.max())}
    return {**cells, "masked-LM loss": masked_loss(encoder, folder, name)}


def trainable_tasks() -> dict[str, tasks.Task]:
    """Return one task of every kind that has a head, with labels if any of the kind has some."""
    found: dict[str, tasks.Task] = {}
    for task in sorted(tasks.known().values(), key=lambda task: not task.labels):
        try:
            kinds.trainable(task.kind)
        except AdaptstiltsError:
            continue
        found.setdefault(task.kind, task)
    return found


def formula(head: nn.Module, states: Tensor) -> Tensor:
    """Return the outputs of a head from its weights alone."""
    weights = dict(head.named_parameters())
    if "out.weight" not in weights:
        return functional.normalize(states[:, 0], dim=-1)
    if "dense.weight" in weights:
        states = torch.tanh(states[:, 0] @ weights["dense.weight"].T + weights["dense.bias"])
    return states @ weights["out.weight"].T + weights["out.bias"]


def masked_loss(encoder: Encoder, folder: Path, name: str) -> Cell:
    """Compare the loss at some tokens with that of the masked language model of ``transformers``.

    Args:
        encoder: the encoder.
        folder: its folder, in which the head is.
        name: its model type.
    """
    inputs = make_inputs(name)
    labels = torch.full_like(inputs.ids, -100)
    labels[0, 2:4], labels[1, 1] = 25, 33
    task = masked_text.of(Masked(text=({"repo": "a/b", "config": "c", "split": "train"},), column="text"))
    try:
        head = heads.new(encoder, task, 1).eval()
    except ConfigError as error:
        return {"refused": str(error).partition(": ")[2]}
    chosen = labels != -100
    with torch.no_grad():
        loss = functional.cross_entropy(head(encoder.states(**inputs.ours())[chosen]), labels[chosen])
        expected = plain_model(folder, name, masked=True)(**inputs.plain(name), labels=labels).loss
    return {"difference": abs(float(loss - expected))}


def largest(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors."""
    return float((one - other).abs().max())
