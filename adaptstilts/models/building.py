"""An encoder from its files: built from ``config.json``, filled from safetensors, and nothing else.

The loader of ``transformers`` looks around in a folder: an ``adapter_config.json`` beside the weights, for example,
makes it attach an adapter, from whatever place that file names. So the model is built empty here, and gets exactly
the tensors of the file whose digest is in its fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures, weight_files
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.config import CONFIG, read_config
from adaptstilts.models.tensor_names import encoder_names
from adaptstilts.models.weight_files import WeightFiles
from adaptstilts.models.weights import check_finite, quiet


def model_class(architecture: Architecture) -> Any:
    """Return the class of an architecture's encoders in ``transformers``."""
    import transformers

    return getattr(transformers, architecture.model_class)


def load_encoder(folder: Path) -> Any:
    """Load an encoder from safetensors, in float32 and without pooler or head.

    Args:
        folder: has ``config.json`` and weights in safetensors; no other file of it is opened.

    Returns:
        A model of ``transformers``.

    Raises:
        ArtifactError: the config asks for code or is not supported, or a weight is missing, unexpected or not finite.
    """
    config = read_config(folder)
    architecture = architectures.get(config["model_type"])
    files = weight_files.find_safe(folder)
    tensors = _read(files, architecture)
    model = _empty_model(config, architecture, folder / CONFIG)
    path = files.index or files.parts[0]
    _check(_shapes(tensors), _shapes(model.state_dict()), path)
    check_finite(tensors, path)
    model.load_state_dict(tensors, assign=True)
    return model


def check_encoder(folder: Path) -> None:
    """Check that an encoder could be loaded, with one of its tensors in memory at a time.

    Args:
        folder: as of :func:`load_encoder`.

    Raises:
        ArtifactError: as of :func:`load_encoder`.
    """
    config = read_config(folder)
    architecture = architectures.get(config["model_type"])
    files = weight_files.find_safe(folder)
    shapes = files.shapes()
    names = encoder_names(shapes.keys(), architecture)
    expected = _shapes(_empty_model(config, architecture, folder / CONFIG).state_dict())
    _check({names[stored]: shapes[stored] for stored in names}, expected, files.index or files.parts[0])
    for stored, value, path in _tensors(files, names):
        check_finite({stored: value}, path)


def _read(files: WeightFiles, architecture: Architecture) -> dict[str, Tensor]:
    """Return the tensors of the encoder itself, in float32 and by its own keys."""
    names = encoder_names(files.shapes().keys(), architecture)
    tensors: dict[str, Tensor] = {}
    for stored, value, path in _tensors(files, names):
        key = names[stored]
        if key in tensors:
            raise ArtifactError(f"{path}: has {key} twice, once as {stored}; expected one encoder")
        tensors[key] = value
    return tensors


def _tensors(files: WeightFiles, names: Mapping[str, str]) -> Iterator[tuple[str, Tensor, Path]]:
    """Yield the tensors with certain stored names, one at a time, in float32 and with their files.

    Args:
        files: the weights.
        names: stored name -> key of the encoder.
    """
    for path in files.parts:
        try:
            with safe_open(str(path), "pt") as file:
                for stored in sorted(names.keys() & set(file.keys())):
                    yield stored, _in_float32(file.get_tensor(stored), stored, path), path
        except (SafetensorError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ArtifactError(f"{path}: weights cannot be loaded ({reason}); expected a safetensors file") from None


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


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in tensors.items()}


def _check(shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise if tensors are not exactly those of the model, in names and shapes."""
    missing = sorted(expected.keys() - shapes.keys())
    unexpected = sorted(shapes.keys() - expected.keys())
    if missing or unexpected:
        raise ArtifactError(
            f"{path}: not the weights of this config: missing {missing[:5]}, unexpected {unexpected[:5]}"
        )
    for key, shape in expected.items():
        if shape != shapes[key]:
            raise ArtifactError(f"{path}: {key} is {shapes[key]}, expected {shape}")
