"""From a model's name to a checked folder and its fingerprint, without importing torch."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.io.json import read_object
from adaptstilts.models import architectures
from adaptstilts.models.architectures import Architecture

WEIGHTS = "model.safetensors"
BUILTIN = "builtin:"
SHIPPED = Path(__file__).parent / "builtin"
_DOWNLOADED = [
    "config.json",
    "*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "sentencepiece.bpe.model",
]
_ATTENTION = ("eager", "sdpa")
_LARGEST_HEADER = 100_000_000  # bytes


@dataclass(frozen=True)
class Fingerprint:
    """What makes a base model the one that an adapter belongs to.

    Attributes:
        architecture: model type.
        shape: sizes of the encoder, as JSON.
        tokenizer: sha256 of the tokenizer's files.
        weights: sha256 of the weights file.
    """

    architecture: str
    shape: str
    tokenizer: str
    weights: str

    def identity(self) -> dict[str, str]:
        """Return the fields as a plain dict, for specs and manifests."""
        return dict(vars(self))


def check_same(expected: dict[str, str], actual: dict[str, str], what: str) -> None:
    """Refuse an artifact that was made for another base model.

    Args:
        expected: identity of the base model's fingerprint.
        actual: the identity that the artifact names.
        what: what messages call the artifact.

    Raises:
        ArtifactError: names every part of the fingerprint that differs.
    """
    differences = []
    for key, value in expected.items():
        if value != actual.get(key):
            differences.append(f"{key} {_short(value)} expected, {_short(actual.get(key))} found")
    if differences:
        raise ArtifactError(
            f"{what} belongs to another base model: {'; '.join(differences)}; use it with the model it was made for"
        )


@dataclass(frozen=True)
class Model:
    """A base model.

    Attributes:
        folder: has its config, tokenizer and weights.
        name: hub id, or the folder's name; recorded in exports, never part of a key.
        fingerprint: its identity.
        shape: sizes (hidden, layers, heads, intermediate, vocabulary, positions) and ``parameters``, all those of the
            encoder.
        architecture: its description.
    """

    folder: Path
    name: str
    fingerprint: Fingerprint
    shape: dict[str, int]
    architecture: Architecture

    @property
    def max_tokens(self) -> int:
        """Return the most tokens of a sequence, special tokens included."""
        return self.architecture.max_tokens(self.shape["positions"])


def locate(
    name: str, revision: str | None = None, offline: bool = False, memory: hashing.Digests | None = None
) -> Model:
    """Find a model in the package (``builtin:NAME``), in a local folder, or on the hub or in the hub's cache.

    Args:
        name: as study files give it.
        revision: commit, branch or tag on the hub.
        offline: whether the hub must not be asked.
        memory: digests of files that were hashed before.

    Raises:
        ConfigError: no built-in encoder of that name, or neither a folder nor a well-formed hub id.
        ArtifactError: the folder is not an encoder of a supported architecture with safetensors weights, or not safe.
        ResourceError: the model must be downloaded and cannot be.
    """
    memory = memory or hashing.Digests(None)
    is_builtin = name.startswith(BUILTIN)
    folder = _shipped(name) if is_builtin else Path(name).expanduser()
    is_local = folder.is_dir()
    if not is_local:
        folder = _fetch(name, revision, offline)
        for path in folder.iterdir():
            hashing.check_download(path, memory)
    config = read_config(folder)
    architecture = architectures.get(config["model_type"])
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(f"{folder}: no {WEIGHTS}; weights are read from safetensors only, pickles are refused")
    tokenizer = [memory.of_file(path) for path in _tokenizer_files(folder)]
    shape = architecture.shape(config)
    fingerprint = Fingerprint(
        architecture=architecture.name,
        shape=hashing.canonical(shape).decode(),
        tokenizer=hashing.of(tokenizer),
        weights=memory.of_file(weights),
    )
    public_name = folder.resolve().name if is_local and not is_builtin else name
    sizes = {**shape, "parameters": _parameters(weights, architecture)}
    return Model(folder, public_name, fingerprint, sizes, architecture)


def builtin_names() -> list[str]:
    """Return ``builtin:NAME`` of every encoder that ships with the package, the smallest first."""
    if not SHIPPED.is_dir():
        return []
    sizes = {path.parent.name: path.stat().st_size for path in SHIPPED.glob(f"*/{WEIGHTS}")}
    return [BUILTIN + name for name in sorted(sizes, key=lambda name: (sizes[name], name))]


def _shipped(name: str) -> Path:
    known = builtin_names()
    if name not in known:
        raise ConfigError(f"model: no built-in encoder {name!r}; there are {', '.join(known) or 'none'}")
    return SHIPPED / name.removeprefix(BUILTIN)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the ``config.json`` of a model, which must not ask for code, and be of a supported architecture.

    Raises:
        ArtifactError: names the file, the key and what is expected.
    """
    path = folder / "config.json"
    config = read_object(path, "model config")
    for key in ("auto_map", "_attn_implementation_internal", "quantization_config"):
        if config.get(key):
            raise ArtifactError(f"{path}: {key!r} is refused: a model's config may not name code to load")
    attention = config.get("_attn_implementation", config.get("attn_implementation"))
    if attention is not None and attention not in _ATTENTION:
        raise ArtifactError(f"{path}: attention implementation {attention!r} is refused; only eager and sdpa are")
    kind, known = config.get("model_type"), architectures.known()
    if not isinstance(kind, str) or kind not in known:
        raise ArtifactError(f"{path}: model type {kind!r} is not supported; supported: {', '.join(known)}")
    if reason := known[kind].why_not(config):
        raise ArtifactError(f"{path}: {reason}")
    return config


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of the tensors in a safetensors file, from its header alone.

    Raises:
        ArtifactError: the file has no header of safetensors.
    """
    try:
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > min(_LARGEST_HEADER, path.stat().st_size):
                raise ValueError("header length out of range")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError("expected a JSON object")
        return {key: _shape(value) for key, value in header.items() if key != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); pickles are not accepted") from None


def _shape(tensor: Any) -> tuple[int, ...]:
    """Return the shape of a tensor in a header; ValueError, KeyError or TypeError if it has none."""
    shape = tuple(tensor["shape"])
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("a shape is not made of whole numbers")
    return shape


def _parameters(weights: Path, architecture: Architecture) -> int:
    """Return the number of parameters of the encoder proper, without pooler and language-model head."""
    shapes = tensor_shapes(weights).items()
    return sum(math.prod(shape) for key, shape in shapes if not architecture.is_unused(key))


def _fetch(name: str, revision: str | None, offline: bool) -> Path:
    """Download a model from the hub, or find it in the hub's cache."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"model: {name!r} is neither a folder nor a hub id of the form owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=_DOWNLOADED, local_files_only=offline)
    except LocalEntryNotFoundError:
        why = "--offline forbids fetching it" if offline else "the hub cannot be reached"
        raise ResourceError(f"model {name}: not in the local cache, and {why}; give a local folder") from None
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResourceError(f"model {name}: cannot be fetched from the hub ({reason})") from None
    return Path(folder)


def _tokenizer_files(folder: Path) -> list[Path]:
    """Return the files that a tokenizer depends on."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ArtifactError(f"{folder}: no tokenizer.json; a fast tokenizer is needed")
    return [path]


def _short(value: str | None) -> str:
    """Return the beginning of a digest, or any other value whole."""
    if value is None:
        return "nothing"
    return f"{value[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", value) else value
