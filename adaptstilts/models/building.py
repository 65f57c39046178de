"""An encoder from its two files: built from ``config.json``, filled from ``model.safetensors``, and nothing else.

The loader of ``transformers`` looks around in a folder: an ``adapter_config.json`` beside the weights, for example,
makes it attach an adapter, from whatever place that file names. So the model is built empty here, and gets exactly
the tensors of the file whose digest is in its fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.config import CONFIG, read_config
from adaptstilts.models.locate import WEIGHTS
from adaptstilts.models.weights import check_finite, quiet

_OLD_NAMES = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}  # names in the first BERT files


def model_class(architecture: Architecture) -> Any:
    """Return the class of an architecture's encoders in ``transformers``."""
    import transformers

    return getattr(transformers, architecture.model_class)


def load_encoder(folder: Path) -> Any:
    """Load an encoder from safetensors, in float32 and without pooler or head.

    Args:
        folder: has ``config.json`` and ``model.safetensors``; no other file of it is opened.

    Returns:
        A model of ``transformers``.

    Raises:
        ArtifactError: the config asks for code or is not supported, or a weight is missing, unexpected or not finite.
    """
    config = read_config(folder)
    architecture = architectures.get(config["model_type"])
    path = folder / WEIGHTS
    tensors = _read(path, architecture)
    model = _empty_model(config, architecture, folder / CONFIG)
    _check(tensors, model.state_dict(), path)
    check_finite(tensors, path)
    model.load_state_dict(tensors, assign=True)
    return model


def _read(path: Path, architecture: Architecture) -> dict[str, Tensor]:
    """Return the tensors of the encoder itself, in float32 and by its own keys."""
    prefix = f"{architecture.names.prefix}."
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(str(path), "pt") as file:
            for stored in file.keys():  # noqa: SIM118
                if architecture.is_unused(stored):
                    continue
                key = _present_name(stored.removeprefix(prefix))
                if key in tensors:
                    raise ArtifactError(f"{path}: has {key} twice, once as {stored}; expected one encoder")
                tensors[key] = _in_float32(file.get_tensor(stored), stored, path)
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: weights cannot be loaded ({reason}); expected a safetensors file") from None
    return tensors


def _present_name(key: str) -> str:
    """Return a key under its present name in the library."""
    for old, new in _OLD_NAMES.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _in_float32(value: Tensor, key: str, path: Path) -> Tensor:
    if not value.is_floating_point():
        raise ArtifactError(f"{path}: {key} is {value.dtype}, expected floating-point weights")
    return value.to(torch.float32)


def _empty_model(config: Mapping[str, Any], architecture: Architecture, path: Path) -> Any:
    """Return a model whose weights have shapes but no memory.

    Args:
        config: config of the model.
        architecture: architecture of the model.
        path: path of the config, for messages.
    """
    from accelerate import init_empty_weights

    encoder_class = model_class(architecture)
    try:
        settings = _library_config(encoder_class.config_class, architecture.library_fields(config))
        with quiet(), init_empty_weights(include_buffers=False):
            model = encoder_class._from_config(settings, dtype=torch.float32, **architecture.load_options)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(
            f"{path}: no encoder can be built from it ({reason}); compare it with a published one"
        ) from None
    model.config.architectures = [architecture.model_class]
    return model.eval()


def _library_config(config_class: Any, fields: Mapping[str, Any]) -> Any:
    """Return the library's config; ValueError if a field is not a setting."""
    plain = config_class()
    settings = {*vars(plain), *config_class.attribute_map}
    for name in fields:
        if not name.isidentifier() or (hasattr(plain, name) and name not in settings):
            raise ValueError(f"{name[:60]!r} is not a setting")
    return config_class(**fields, dtype=torch.float32)


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise if tensors are not exactly those of the model, in names and shapes."""
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys())
    if missing or unexpected:
        raise ArtifactError(
            f"{path}: not the weights of this config: missing {missing[:5]}, unexpected {unexpected[:5]}"
        )
    for key, value in expected.items():
        if value.shape != tensors[key].shape:
            raise ArtifactError(f"{path}: {key} is {tuple(tensors[key].shape)}, expected {tuple(value.shape)}")
