"""Weights from files: strict about keys, shapes and values, and nothing but safetensors."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError
from adaptstilts.models.locate import WEIGHTS, read_config

if TYPE_CHECKING:
    from transformers import XLMRobertaModel


HEAD_PREFIX = "lm_head."


def load_trunk(folder: Path) -> XLMRobertaModel:
    """An XLM-R encoder from safetensors, in float32, without pooler.

    Raises:
        ArtifactError: the config asks for code, or a weight is missing, unexpected or not finite.
    """
    from transformers import XLMRobertaModel

    read_config(folder)
    with quiet():
        try:
            trunk, info = XLMRobertaModel.from_pretrained(
                str(folder),
                add_pooling_layer=False,
                attn_implementation="sdpa",
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise ArtifactError(f"{folder}: weights cannot be loaded ({str(error).splitlines()[0]})") from None
    missing = sorted(info["missing_keys"])
    unexpected = sorted(k for k in info["unexpected_keys"] if HEAD_PREFIX not in k and "pooler." not in k)
    if missing or unexpected or info["mismatched_keys"]:
        raise ArtifactError(
            f"{folder / WEIGHTS}: not the weights of this config: missing {missing[:5]}, unexpected {unexpected[:5]}"
        )
    check_finite(dict(trunk.state_dict()), folder / WEIGHTS)
    return trunk


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ArtifactError: missing, not safetensors (a pickle, say), truncated, or with values that are not finite.
    """
    try:
        held: dict[str, Tensor] = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); pickles are not accepted") from None
    check_finite(held, path)
    return held


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are not finite."""
    for key, value in tensors.items():
        # a sum is finite only if all its terms are, and much cheaper; a finite tensor whose sum overflows is looked at
        if value.is_floating_point() and not (math.isfinite(value.sum()) or bool(torch.isfinite(value).all())):
            raise ArtifactError(f"{path}: {key} holds values that are not finite")


def copy_strict(held: Mapping[str, Tensor], module: nn.Module, path: Path) -> None:
    """Fill a module from tensors that must be exactly its own."""
    fill(held, dict(module.state_dict(keep_vars=True)), path)


def fill(held: Mapping[str, Tensor], expected: Mapping[str, Any], path: Path) -> None:
    """Copy tensors into parameters that must have exactly their names, shapes and types."""
    wrong = sorted(held.keys() ^ expected.keys())
    if wrong:
        state = "unexpected" if wrong[0] in held else "missing"
        raise ArtifactError(f"{path}: {len(wrong)} tensors do not fit, first {wrong[0]} ({state})")
    for key, value in expected.items():
        if held[key].dtype != value.dtype:
            raise ArtifactError(f"{path}: {key} is {held[key].dtype}, expected {value.dtype}")
        if held[key].shape != value.shape:
            raise ArtifactError(f"{path}: {key} is {tuple(held[key].shape)}, expected {tuple(value.shape)}")
    with torch.no_grad():
        for key, value in expected.items():
            value.copy_(held[key])


def weights_of(folder: Path) -> Path:
    """The weights file of an adapter's folder.

    Raises:
        ArtifactError: there is none.
    """
    for name in ("adapter.safetensors", "adapter_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise ArtifactError(f"{folder}: no adapter.safetensors or adapter_model.safetensors; pickles are not accepted")


def renamed(held: Mapping[str, Tensor], name: str, expected: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Tensors under the keys of this encoder: without the prefix of a model with a head, and with our name."""
    renamed = {}
    for key, value in held.items():
        for part in ("encoder.", "shared_parameters."):
            key = key.replace(f"roberta.{part}", part)
        for mark in ("invertible_adapters.", ".adapters.", ".prefix_tunings.", "shared_parameters."):
            if mark in key and key not in expected:
                head, _, tail = key.partition(mark)
                key = f"{head}{mark}{name}.{tail.partition('.')[2]}"
        if key in renamed:
            raise ArtifactError(f"{path}: holds {key} twice; expected the tensors of one adapter")
        renamed[key] = value
    return renamed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own log lines out of ours; what they would warn of is checked here."""
    loggers = [logging.getLogger(name) for name in ("transformers", "adapters", "peft")]
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
