"""Read tensors from a file that somebody else wrote: safetensors, or a pickle of tensors and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError
from adaptstilts.models.restricted import read_restricted

if TYPE_CHECKING:
    from torch import Tensor

SAFE = ".safetensors"


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU, in float32; widening half precision loses nothing.

    Raises:
        ArtifactError: the file is damaged, has anything but tensors, or values that are not finite.
    """
    values = _read_safetensors(path) if path.suffix == SAFE else read_restricted(path)
    return {key: _check_tensor(key, value, path) for key, value in values.items()}


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors.

    Args:
        tensors: by name.
        path: the file, in an existing folder.
    """
    from safetensors.torch import save_file

    contiguous = {key: value.contiguous() for key, value in tensors.items()}
    save_file(contiguous, str(path), metadata={"format": "pt"})


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); fetch or export it again") from None
    return tensors


def _check_tensor(key: object, value: Any, path: Path) -> Tensor:
    """Return a plain tensor with finite values in float32; raise for any other value.

    Args:
        key: its name in the file.
        value: the value.
        path: the file.
    """
    import torch

    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        raise ArtifactError(f"{path}: {key!r} is {type(value).__name__}; expected tensors by name and nothing else")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise ArtifactError(f"{path}: {key} is not a plain tensor; expected dense float tensors")
    if value.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ArtifactError(f"{path}: {key} is {value.dtype}; expected float32, float16 or bfloat16")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ArtifactError(f"{path}: {key} of shape {tuple(value.shape)} claims more values than the file has")
    widened = value.detach().to(torch.float32)
    if not bool(torch.isfinite(widened).all()):
        raise ArtifactError(f"{path}: {key} has values that are not finite")
    return widened
