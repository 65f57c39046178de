"""Heads on disk: one safetensors file and one JSON file that says which task and labels it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from adaptstilts import kinds
from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object, write_json
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.seeds import generator
from adaptstilts.models.weights import copy_strict, read_tensors
from adaptstilts.tasks import Task

_WEIGHTS = "head.safetensors"
_CARD = "head.json"


def new(encoder: Encoder, task: Task, *seed: object) -> nn.Module:
    """Return a new head.

    Args:
        encoder: the encoder that it is for.
        task: the task that it is for.
        seed: parts that its initial weights depend on, and nothing else.
    """
    with generator(*seed):
        head = kinds.trainable(task.kind).head(encoder, task)
    return head.to(encoder.device)


def card(encoder: Encoder, task: Task) -> dict[str, Any]:
    """Return what a head and its task must agree on: kind, labels in order, hidden size."""
    return {"kind": task.kind, "labels": list(task.labels), "hidden": encoder.hidden}


def save(head: nn.Module, encoder: Encoder, task: Task, folder: Path) -> None:
    """Write a head and its card.

    Args:
        head: head of the task.
        encoder: the encoder that it was trained on.
        task: the task that it is for.
        folder: created if missing.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().cpu().contiguous() for key, value in head.state_dict().items()}
    save_file(tensors, str(folder / _WEIGHTS))
    write_json(folder / _CARD, {**card(encoder, task), "task": task.name}, indent=1)


def load(encoder: Encoder, task: Task, folder: Path) -> nn.Module:
    """Read a head.

    Args:
        encoder: the encoder that it is for.
        task: the task that it is for.
        folder: where :func:`save` wrote it.

    Raises:
        ArtifactError: it is for another kind, other labels, another order of labels or another hidden size.
    """
    path = folder / _CARD
    stored = read_object(path, "head card")
    for key, value in card(encoder, task).items():
        if stored.get(key) != value:
            raise ArtifactError(f"{path}: {key} {stored.get(key)!r}, {task.name} needs {value!r}")
    head = new(encoder, task, "load")
    copy_strict(read_tensors(folder / _WEIGHTS), head, folder / _WEIGHTS)
    return head
