"""Find the files of a model's weights: one, or shards with an index that says which of them has which tensor."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object
from adaptstilts.models.headers import check_complete, tensor_shapes

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
BINARY = "pytorch_model.bin"
BINARY_INDEX = f"{BINARY}.index.json"
_LARGEST = 50_000_000  # bytes of an index; that of XLM-R XXL has less than a hundred thousand
_FORMATS = ((WEIGHTS, INDEX), (BINARY, BINARY_INDEX))


@dataclass(frozen=True)
class WeightFiles:
    """Where a model's weights are.

    Attributes:
        parts: the files with tensors, in the order of their names.
        index: says which tensor is in which part; None for a single file.
        tensors: names of the tensors by the name of their part, as the index says.
        is_safe: whether they are safetensors; other files must be converted.
    """

    parts: tuple[Path, ...]
    index: Path | None = None
    tensors: dict[str, set[str]] = field(default_factory=dict)
    is_safe: bool = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return all files that are read."""
        return (self.index, *self.parts) if self.index else self.parts

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Read the shapes of all tensors from the headers of safetensors, and compare them with the index.

        Raises:
            ArtifactError: a part has no header of safetensors, or not exactly the tensors that the index says.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for part in self.parts:
            of_part = tensor_shapes(part)
            self.check_names(part, set(of_part))
            shapes.update(of_part)
        return shapes

    def check_complete(self) -> None:
        """Compare the sizes of safetensors files with their headers; see :func:`headers.check_complete`."""
        for part in self.parts:
            check_complete(part)

    def check_names(self, part: Path, names: set[str]) -> None:
        """Compare the tensors of a part with the index.

        Args:
            part: one of ``parts``.
            names: names of the tensors that it has.

        Raises:
            ArtifactError: names the first tensor that is missing or unexpected.
        """
        if self.index is None:
            return
        expected = self.tensors[part.name]
        for name in sorted(expected - names):
            raise ArtifactError(f"{part}: {name[:100]} is missing; {self.index.name} lists it in this file")
        for name in sorted(names - expected):
            raise ArtifactError(f"{part}: has {name[:100]}, which {self.index.name} does not list in this file")


def find(folder: Path) -> WeightFiles:
    """Find the weights of a model; safetensors are preferred to pickles, and a single file to shards.

    Raises:
        ArtifactError: there are none, the index is malformed, or a shard is missing or unexpected.
    """
    for single, index in _FORMATS:
        is_safe = single == WEIGHTS
        if (folder / single).is_file():
            return WeightFiles((folder / single,), is_safe=is_safe)
        if (folder / index).is_file():
            return _sharded(folder / index, is_safe)
    raise ArtifactError(
        f"{folder}: no {WEIGHTS}; expected that file, or shards with {INDEX}, or {BINARY} (weights of other frameworks"
        " are not read)"
    )


def find_safe(folder: Path) -> WeightFiles:
    """Find weights in safetensors; see :func:`find`.

    Raises:
        ArtifactError: there are none.
    """
    files = find(folder)
    if not files.is_safe:
        raise ArtifactError(f"{folder}: no {WEIGHTS}; expected converted weights")
    return files


def _sharded(index: Path, is_safe: bool) -> WeightFiles:
    """Return the shards that an index names.

    Args:
        index: path of the index.
        is_safe: whether the shards are safetensors.
    """
    suffix = ".safetensors" if is_safe else ".bin"
    tensors: dict[str, set[str]] = {}
    for tensor, name in _weight_map(index).items():
        if not isinstance(name, str) or not re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9._-]*{re.escape(suffix)}", name):
            raise ArtifactError(f"{index}: {tensor[:100]} is in {str(name)[:60]!r}, expected a {suffix} file beside it")
        tensors.setdefault(name, set()).add(tensor)
    parts = [index.parent / name for name in sorted(tensors)]
    for part in parts:
        if not part.is_file():
            raise ArtifactError(
                f"{part}: this shard is missing, although {index.name} names it; copy or download it again"
            )
    stem = (WEIGHTS if is_safe else BINARY).removesuffix(suffix)
    for other in sorted(index.parent.glob(f"{stem}-*-of-*{suffix}")):
        if other.name not in tensors:
            raise ArtifactError(
                f"{other}: {index.name} does not name this shard; remove it, or use the index that names it"
            )
    return WeightFiles(tuple(parts), index, tensors, is_safe)


def _weight_map(index: Path) -> dict[str, object]:
    """Return the name of the shard of every tensor, unchecked."""
    weight_map = read_object(index, "index of weights", max_bytes=_LARGEST).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ArtifactError(f"{index}: not an index of weights; expected weight_map with the shard of every tensor")
    return weight_map
