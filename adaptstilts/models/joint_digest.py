"""The digest of sharded weights: that of the one safetensors file which ``transformers`` writes of the same tensors.

So a model is the same model whether its weights are in one file or in several. The file itself is never written: its
header is computed, and the values are read from the shards in its order. The format and the order are those of
https://github.com/huggingface/safetensors: tensors by the alignment of their type, then by name.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.models.headers import describe

_TYPES = (
    "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64",
)  # fmt: skip
_BLOCK = 2**22  # bytes that are read at once


@dataclass(frozen=True)
class _StoredTensor:
    """One tensor, and where its values are in its file."""

    name: str
    dtype: str
    shape: list[int]
    path: Path
    begin: int
    size: int


def joint_digest(parts: Sequence[Path]) -> str:
    """Return the sha256 of one safetensors file with the tensors of several.

    Args:
        parts: complete safetensors files, each tensor in one of them.

    Raises:
        ArtifactError: a tensor has a type that is not known here.
    """
    tensors: list[_StoredTensor] = []
    for part in parts:
        tensors += _tensors_of(part)
    tensors.sort(key=lambda tensor: (-_TYPES.index(tensor.dtype), tensor.name))
    hashed = hashlib.sha256(_header(tensors))
    for tensor in tensors:
        with open(tensor.path, "rb") as file:
            file.seek(tensor.begin)
            left = tensor.size
            while left:
                block = file.read(min(left, _BLOCK))
                if not block:
                    raise ArtifactError(f"{tensor.path}: became shorter while it was read")
                hashed.update(block)
                left -= len(block)
    return hashed.hexdigest()


def _tensors_of(part: Path) -> list[_StoredTensor]:
    descriptions, start = describe(part)
    tensors = []
    for name, description in descriptions.items():
        begin, end = description["data_offsets"]
        if description["dtype"] not in _TYPES:
            raise ArtifactError(f"{part}: {name[:100]} is {description['dtype']}, expected one of {', '.join(_TYPES)}")
        tensors.append(
            _StoredTensor(name, description["dtype"], description["shape"], part, start + begin, end - begin)
        )
    return tensors


def _header(tensors: Sequence[_StoredTensor]) -> bytes:
    """Return the header, with the length before it, of a file that has these tensors in this order."""
    fields: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        offsets = [end, end + tensor.size]
        fields[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": offsets}
        end += tensor.size
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
