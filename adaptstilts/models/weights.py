"""Read weights from files, safetensors only, with strict checks of keys, shapes and values."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError
from adaptstilts.io.wording import counted
from adaptstilts.methods import AdapterMethod
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.weight_files import find_safe

_LIBRARIES = ("transformers", "adapters", "peft")
_WRAPPERS = ("base_model.model.", "")  # what keys begin with: in peft's files, and in others


def read_language_model_head(folder: Path, architecture: Architecture) -> dict[str, Tensor]:
    """Read the language-model head in an encoder's weights, by the names of our own head; empty without one.

    Args:
        folder: folder of the encoder.
        architecture: architecture of the encoder.

    Raises:
        ArtifactError: a weight is not finite.
    """
    layout = architecture.language_model
    if layout is None:
        return {}
    stored = {name: layout.prefix + key for name, key in layout.keys.items()}
    head: dict[str, Tensor] = {}
    for path in find_safe(folder).parts:
        with safe_open(str(path), "pt") as file:
            present = set(file.keys())
            here = {name: file.get_tensor(key).float() for name, key in stored.items() if key in present}
        check_finite({stored[name]: value for name, value in here.items()}, path)
        head.update(here)
    return head


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ArtifactError: it is missing, truncated, not a safetensors file (a pickle, say), or has values that are not
            finite.
    """
    try:
        tensors: dict[str, Tensor] = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); pickles are not accepted") from None
    check_finite(tensors, path)
    return tensors


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise if a weight is not finite.

    Args:
        tensors: by key.
        path: the file that messages name.

    Raises:
        ArtifactError: names the first such tensor.
    """
    for key, value in tensors.items():
        if not value.is_floating_point() or math.isfinite(value.sum()):
            continue  # a sum is finite only if its terms are, and it is cheaper than checking each of them
        if not bool(torch.isfinite(value).all()):
            raise ArtifactError(f"{path}: {key} has values that are not finite")


def copy_strict(tensors: Mapping[str, Tensor], module: nn.Module, path: Path) -> None:
    """Fill a module with tensors that must be exactly its own; arguments and errors as of :func:`fill`."""
    fill(tensors, dict(module.state_dict(keep_vars=True)), path)


def fill(tensors: Mapping[str, Tensor], parameters: Mapping[str, Any], path: Path) -> None:
    """Copy tensors into parameters that must have exactly the same names, shapes and types.

    Args:
        tensors: to be copied, by key.
        parameters: to be filled, by key.
        path: the file that messages name.

    Raises:
        ArtifactError: names the first difference.
    """
    wrong = sorted(tensors.keys() ^ parameters.keys())
    if wrong:
        state = "unexpected" if wrong[0] in tensors else "missing"
        raise ArtifactError(
            f"{path}: {counted(len(wrong), 'tensor does', 'tensors do')} not fit, first {wrong[0]} ({state})"
        )
    for key, value in parameters.items():
        if tensors[key].dtype != value.dtype:
            raise ArtifactError(f"{path}: {key} is {tensors[key].dtype}, expected {value.dtype}")
        if tensors[key].shape != value.shape:
            raise ArtifactError(f"{path}: {key} is {tuple(tensors[key].shape)}, expected {tuple(value.shape)}")
    with torch.no_grad():
        for key, value in parameters.items():
            value.copy_(tensors[key])


def adapter_weights(folder: Path) -> Path:
    """Return the weights file in an adapter's folder.

    Raises:
        ArtifactError: there is none.
    """
    for name in ("adapter.safetensors", "adapter_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise ArtifactError(f"{folder}: no adapter.safetensors or adapter_model.safetensors; pickles are not accepted")


def by_present_keys(
    tensors: Mapping[str, Tensor], method: AdapterMethod, expected: Collection[str], prefix: str, path: Path
) -> dict[str, Tensor]:
    """Return an adapter's tensors by the keys that its method has today.

    Args:
        tensors: by keys that may have the encoder's name in a model with a head, another adapter's name, or be of an
            earlier version.
        method: method of the adapter.
        expected: keys of the adapter's parameters on an encoder.
        prefix: the encoder's name in a model with a head.
        path: the file that messages name.

    Raises:
        ArtifactError: two tensors would have one key.
    """
    alone = {key: _without_prefix(key, prefix) for key in tensors}
    present = method.present_keys(alone.values(), expected)
    by_key: dict[str, Tensor] = {}
    for stored, value in tensors.items():
        key = present[alone[stored]]
        if key in by_key:
            raise ArtifactError(f"{path}: has {key} twice; expected the tensors of one adapter")
        by_key[key] = value
    return by_key


def _without_prefix(key: str, prefix: str) -> str:
    """Return a key of a model with a head as the encoder alone has it.

    Args:
        key: key of a tensor.
        prefix: the encoder's name in the model with a head.
    """
    for wrapper in _WRAPPERS:
        if key.startswith(f"{wrapper}{prefix}."):
            return wrapper + key.removeprefix(f"{wrapper}{prefix}.")
    return key


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries' log lines and warnings within the context; this package checks what they would report."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(peft|adapters|transformers)\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
