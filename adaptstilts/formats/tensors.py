"""Read tensors from a file that somebody else wrote: safetensors, or a pickle of tensors and nothing else.

This is the only place of the package that opens a pickle. torch's restricted reader accepts tensors in a flat mapping
and refuses every other object before any of its code runs; the result is checked again here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ArtifactError

if TYPE_CHECKING:
    from torch import Tensor

SAFE = ".safetensors"


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU, in float32; widening half precision loses nothing.

    Raises:
        ArtifactError: the file is damaged, has anything but tensors, or values that are not finite.
    """
    values = _read_safetensors(path) if path.suffix == SAFE else _read_restricted(path)
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


def _read_restricted(path: Path) -> dict[Any, Any]:
    """Return the mapping in a pickle, which torch's restricted reader accepts."""
    import torch

    try:
        _check_uncompressed(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file can make any error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"{path}: refused, because it contains more than tensors ({reason}); ask for it as safetensors"
        ) from None
    if not isinstance(values, dict):
        raise ArtifactError(f"{path}: refused, expected tensors by name, found {type(values).__name__}")
    return values


def _check_uncompressed(path: Path) -> None:
    """Raise if an archive is compressed: torch never compresses, and what is small here may unpack to a huge file."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
            raise ValueError("it is compressed")


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
