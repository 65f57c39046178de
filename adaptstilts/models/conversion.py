"""Convert ``pytorch_model.bin`` to safetensors, with the same tensors, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.restricted import read_restricted
from adaptstilts.models.tensor_names import encoder_names
from adaptstilts.models.weight_files import WeightFiles

if TYPE_CHECKING:
    from torch import Tensor


def convert(files: WeightFiles, target: Path, config: Mapping[str, Any], architecture: Architecture) -> None:
    """Write the tensors of pickles as one safetensors file.

    If a tensor has several names, as when output embeddings are the input embeddings, the names in the head are left
    out, as in ``transformers``. The result is the file that ``transformers`` would write for the same model.

    Args:
        files: the pickles.
        target: the file to write.
        config: config of the model.
        architecture: architecture of the model.

    Raises:
        ArtifactError: a file is refused, a value is not a plain tensor, a weight of the encoder is not finite, or sizes
            are not those of the config.
    """
    from safetensors.torch import save_file

    from adaptstilts.models.weights import check_finite

    tensors: dict[str, Tensor] = {}
    for part in files.parts:
        values = read_restricted(part, mapped=True)
        files.check_names(part, {str(name) for name in values})
        for name, value in values.items():
            if name in tensors:
                raise ArtifactError(f"{part}: has {name}, which another shard has too; expected every tensor once")
            tensors[name] = _checked(name, value, part)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    if reason := architecture.why_not_weights(config, shapes):
        raise ArtifactError(f"{files.paths[0]}: {reason}; expected the weights of this config")
    check_finite({name: tensors[name] for name in encoder_names(tensors.keys(), architecture)}, files.paths[0])
    save_file(_without_aliases(tensors, architecture), str(target), metadata={"format": "pt"})


def _checked(name: object, value: Any, path: Path) -> Tensor:
    """Return a tensor after checking that it is dense and claims no more values than its file has."""
    import torch

    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        raise ArtifactError(f"{path}: {name!r} is {type(value).__name__}; expected tensors by name and nothing else")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise ArtifactError(f"{path}: {name} is not a plain tensor; expected dense tensors")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ArtifactError(f"{path}: {name} of shape {tuple(value.shape)} claims more values than the file has")
    return value.detach()


def _without_aliases(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Return the tensors under one name each, without shared memory."""
    names: dict[tuple[int, tuple[int, ...]], list[str]] = {}
    for name, value in tensors.items():
        names.setdefault((value.data_ptr(), tuple(value.shape)), []).append(name)
    tied = architecture.language_model.tied if architecture.language_model else frozenset()
    kept: dict[str, Tensor] = {}
    for same in names.values():
        of_encoder = [name for name in same if not architecture.is_unused(name)]
        untied = [name for name in same if name not in tied]
        chosen = (of_encoder or untied or same) if len(same) > 1 else same
        for name in chosen:
            kept[name] = tensors[name].clone() if _shares_memory(tensors[name]) else tensors[name].contiguous()
    return kept


def _shares_memory(value: Tensor) -> bool:
    """Return whether a tensor is only a part of its storage, which safetensors refuse."""
    return value.numel() * value.element_size() != value.untyped_storage().nbytes()
