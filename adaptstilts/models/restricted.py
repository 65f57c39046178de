"""Read a pickle of tensors: the only place of the package that opens one.

torch's restricted reader accepts tensors in a flat mapping and refuses every other object before any of its code runs.
Whoever calls it checks the result again.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError


def read_restricted(path: Path, mapped: bool = False) -> dict[Any, Any]:
    """Return the mapping in a pickle, which torch's restricted reader accepts.

    Args:
        path: the file, in torch's archive or its earlier format.
        mapped: read the values of an archive only when they are used.

    Raises:
        ArtifactError: it is damaged, or has any object but tensors in a mapping.
    """
    import torch

    try:
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            _check_archive(path)
        with warnings.catch_warnings(action="ignore"):
            values = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and is_archive)
    except Exception as error:  # a hostile file can make any error
        raise ArtifactError(
            f"{path}: refused, because it contains more than tensors or is damaged ({_reason(error)}); ask for it as"
            " safetensors"
        ) from None
    if not isinstance(values, dict):
        raise ArtifactError(f"{path}: refused, expected tensors by name, found {type(values).__name__}")
    return values


def _check_archive(path: Path) -> None:
    """Raise if an archive is compressed, or claims more than it has: torch never does, and either may fill memory."""
    with zipfile.ZipFile(path) as archive:
        items = archive.infolist()
    if any(item.compress_type != zipfile.ZIP_STORED for item in items):
        raise ValueError("it is compressed")
    if sum(item.file_size for item in items) > path.stat().st_size:
        raise ValueError("its parts claim more bytes than it has")


def _reason(error: Exception) -> str:
    """Return what torch objects to, without its advice to read the file unrestricted."""
    text = str(error)
    if refused := re.search(r"GLOBAL (\S+) w", text):
        return f"it calls {refused[1]}"
    if refused := re.search(r"WeightsUnpickler error:\s*(\S.*)", text):
        return refused[1]
    return (text.splitlines() or [type(error).__name__])[0][:200]
