"""Entries: the names of their files, what those files contain, and which other entries an entry depends on.

This is the only module that knows the file names. Every JSON file is a :class:`JsonFile`, which reads it from an entry
(comparing its sha256) and writes it to a staging folder. The types below say what is in it; a field is ``NotRequired``
if entries of earlier versions or other phase kinds lack it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from adaptstilts.errors import ArtifactError
from adaptstilts.io import folders
from adaptstilts.io.json import to_text, write_json
from adaptstilts.metrics.scores import LanguageStats
from adaptstilts.store.contents import (
    CorpusResult,
    EncodingCost,
    ImportResult,
    Measured,
    MeasuredCost,
    MergeResult,
    Predictions,
    Predictors,
    PretrainResult,
    Scores,
    ScoresByLayer,
    TrainResult,
)

T = TypeVar("T")

# Folders of an entry.
ADAPTER = "adapter"  # the weights and config of one adapter
FUSION = "fusion"  # the weights of a fusion over the adapters of other entries
ENCODER = "encoder"  # a whole encoder, in the layout of transformers
HEAD = "head"
HEADS = "heads"  # one folder for each task, if there are several
PREDICTIONS = "predictions"
TOKENIZER = "tokenizer"
WEIGHT_FOLDERS = (ADAPTER, FUSION, ENCODER)

# Tokenized text of a corpus entry.
TRAIN_TEXT = "train.safetensors"
HELD_OUT_TEXT = "held-out.safetensors"

LOG = "log.jsonl"

# Fields of a spec that contain keys of other entries -> whether the weights of this entry only work together with
# those of the others, which otherwise are only read while this entry is computed. No other field of any phase kind,
# those of plug-ins included, may contain keys.
_PARENT_FIELDS = {
    "corpus": False,
    "base": True,
    "stack": True,
    "init": False,
    "start": False,
    "fuse": True,
    "of": False,
    "target": False,
    "below": False,
    "head": False,
}


@dataclass(frozen=True)
class Entry:
    """One committed entry: its folder and manifest (key, spec, files, env, started, seconds)."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def key(self) -> str:
        """The sha256 of the spec."""
        return str(self.manifest["key"])

    @property
    def spec(self) -> dict[str, Any]:
        """The spec whose digest is the key."""
        spec: dict[str, Any] = self.manifest["spec"]
        return spec

    @property
    def bytes(self) -> int:
        """Total size of the files."""
        return sum(size for size, _ in self.manifest["files"].values())

    def json(self, name: str) -> Any:
        """Read a JSON file of the entry and compare it with its sha256.

        Raises:
            ArtifactError: the file is not in the manifest, or was changed since it was committed.
            ResourceError: the file cannot be read now.
        """
        path = self.folder / name
        content = b""
        with folders.reading(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            content = path.read_bytes() if name in self.manifest["files"] else b""
        if hashlib.sha256(content).hexdigest() != self.manifest["files"].get(name, (0, ""))[1]:
            raise ArtifactError(f"{path}: not the content that the manifest lists; see `adaptstilts verify`")
        return json.loads(content)

    def has_folder(self, name: str) -> bool:
        """Return whether the entry has files in a folder such as :data:`ADAPTER`."""
        return any(path.startswith(f"{name}/") for path in self.manifest["files"])


def parents(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of all entries that were read to compute the entry of a spec, each once."""
    return _keys(spec, _PARENT_FIELDS)


def components(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the parents without which the weights of an entry cannot be used."""
    return _keys(spec, [name for name, is_component in _PARENT_FIELDS.items() if is_component])


def _keys(spec: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for name in names:
        value = spec.get(name) or ()
        if isinstance(value, str):
            value = (value,)
        elif isinstance(value, Mapping):
            value = value.values()
        keys |= dict.fromkeys(value)
    return tuple(keys)


@dataclass(frozen=True)
class JsonFile(Generic[T]):
    """A JSON file of an entry, whose content has the type ``T``.

    Attributes:
        name: path below the folder of the entry.
        indent: spaces per level; None for one line.
        ascii_only: escape every character outside ASCII.
        allow_nan: accept numbers that are not finite.
    """

    name: str
    indent: int | None = None
    ascii_only: bool = False
    allow_nan: bool = False

    def exists(self, entry: Entry) -> bool:
        """Return whether an entry has this file."""
        return self.name in entry.manifest["files"]

    def read(self, entry: Entry) -> T:
        """Return the content of this file of an entry.

        Raises:
            ArtifactError: the entry lacks the file, or it was changed since it was committed.
        """
        return cast(T, entry.json(self.name))

    def write(self, folder: Path, value: T) -> None:
        """Write this file below the staging folder of an entry."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value, self.indent, ascii_only=self.ascii_only, allow_nan=self.allow_nan)


RESULT: JsonFile[dict[str, Any]] = JsonFile("result.json")  # of any kind of phase; read only
TRAIN_RESULT: JsonFile[TrainResult] = JsonFile("result.json", indent=1)
MERGE_RESULT: JsonFile[MergeResult] = JsonFile("result.json", ascii_only=True)
IMPORT_RESULT: JsonFile[ImportResult] = JsonFile("result.json", indent=1)
CORPUS_RESULT: JsonFile[CorpusResult] = JsonFile("result.json", indent=1)
PRETRAIN_RESULT: JsonFile[PretrainResult] = JsonFile("result.json", indent=1, allow_nan=True)
COST: JsonFile[MeasuredCost] = JsonFile("cost.json", indent=1)
MERGE_COST: JsonFile[MeasuredCost] = JsonFile("cost.json")
ENCODING_COST: JsonFile[EncodingCost] = JsonFile("cost.json", indent=1)
SCORES: JsonFile[Scores] = JsonFile("scores.json", ascii_only=True)
STATS: JsonFile[LanguageStats] = JsonFile("stats.json", ascii_only=True)
MEASURED: JsonFile[Measured] = JsonFile("measured.json", indent=1)
LAYERS: JsonFile[ScoresByLayer] = JsonFile("layers.json", ascii_only=True)
PREDICTORS: JsonFile[Predictors] = JsonFile("predictors.json", ascii_only=True)


def predictions(language: str) -> JsonFile[Predictions]:
    """Return the file of the predictions in one language."""
    return JsonFile(f"{PREDICTIONS}/{language}.json")


def log_line(line: Mapping[str, Any]) -> str:
    """Return one line of the log of a training phase, as it is written."""
    return to_text(line, ascii_only=True) + "\n"
