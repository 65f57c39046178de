"""Headers of safetensors files: what tensors a file has, and whether it has all of them, without reading a value.

The format is documented at https://huggingface.co/docs/safetensors: eight bytes with the length of the header, the
header as JSON, and the values of all tensors without a gap.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError

_LARGEST = 10_000_000  # bytes; an encoder of 24 layers has 50 thousand
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_FAULTS = (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of the tensors in a safetensors file, from its header alone.

    Raises:
        ArtifactError: the file has no header of safetensors.
    """
    try:
        return {key: _shape(value) for key, value in describe(path)[0].items()}
    except _FAULTS as error:
        raise _refusal(path, error) from None


def check_complete(path: Path) -> None:
    """Compare the size of a safetensors file, and of every tensor, with its header.

    Raises:
        ArtifactError: the file is shorter or longer than its header says, or a tensor has another size than its shape.
    """
    try:
        tensors, start = describe(path)
        end = max((_end(key, value) for key, value in tensors.items()), default=0)
    except _FAULTS as error:
        raise _refusal(path, error) from None
    actual = path.stat().st_size - start
    if end != actual:
        raise ArtifactError(
            f"{path}: has {actual} bytes of weights, its header says {end}; copy the file again, it is not complete"
        )


def describe(path: Path) -> tuple[dict[str, Any], int]:
    """Return what the header of a safetensors file says about its tensors, and where the first value is.

    Raises:
        OSError, ValueError: the file has no header of safetensors.
    """
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > min(_LARGEST, path.stat().st_size):
            raise ValueError("header length out of range")
        header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise ValueError("expected a JSON object")
    return {key: value for key, value in header.items() if key != "__metadata__"}, 8 + size


def _shape(tensor: Any) -> tuple[int, ...]:
    """Return the shape of a tensor in a header; ValueError, KeyError or TypeError if it has none."""
    shape = tuple(tensor["shape"])
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("a shape is not made of whole numbers")
    return shape


def _end(key: str, tensor: Any) -> int:
    """Return where the values of a tensor end; ValueError if they are not as many as its shape has."""
    begin, end = tensor["data_offsets"]
    size = _BYTES.get(tensor["dtype"])
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
        raise ValueError(f"{key[:60]} has no place in the file")
    if size is not None and math.prod(_shape(tensor)) * size != end - begin:
        raise ValueError(f"{key[:60]} has another size than its shape")
    return end


def _refusal(path: Path, error: BaseException) -> ArtifactError:
    return ArtifactError(f"{path}: not a safetensors file ({error}); pickles are not accepted")
