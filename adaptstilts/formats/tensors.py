"""Tensors of a file that somebody else wrote: safetensors, or a pickle that may hold tensors and nothing else.

The one place of the package that opens a pickle. torch's restricted reader builds tensors in a flat mapping and
refuses every other object before anything of it runs; what it gives is checked again here.
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
    """The tensors of a file by name, on the CPU, in float32 (half precision is widened, which loses nothing).

    Raises:
        ArtifactError: it is no such file, holds something else than tensors, or values that are not finite.
    """
    held = _safe(path) if path.suffix == SAFE else _restricted(path)
    return {key: _widened(key, value, path) for key, value in held.items()}


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors."""
    from safetensors.torch import save_file

    held = {key: value.contiguous() for key, value in tensors.items()}
    save_file(held, str(path), metadata={"format": "pt"})


def _safe(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held: dict[str, Any] = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); fetch or export it again") from None
    return held


def _restricted(path: Path) -> dict[str, Any]:
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch never compresses; what is small here may be huge unpacked
                if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                    raise ValueError("it is compressed")
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file decides what is raised
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"{path}: refused, it is not a file of tensors alone ({told}); ask for it as safetensors"
        ) from None
    if not isinstance(held, dict):
        raise ArtifactError(f"{path}: refused, expected tensors by name, found {type(held).__name__}")
    return held


def _widened(key: object, value: Any, path: Path) -> Tensor:
    import torch

    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        raise ArtifactError(f"{path}: {key!r} is {type(value).__name__}; expected tensors by name and nothing else")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise ArtifactError(f"{path}: {key} is no plain tensor; expected dense float tensors")
    if value.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ArtifactError(f"{path}: {key} is {value.dtype}; expected float32, float16 or bfloat16")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ArtifactError(f"{path}: {key} of shape {tuple(value.shape)} claims more values than the file has")
    plain = value.detach().to(torch.float32)
    if not bool(torch.isfinite(plain).all()):
        raise ArtifactError(f"{path}: {key} holds values that are not finite")
    return plain
