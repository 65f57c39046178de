"""From a model name to a checked folder and its fingerprint, without importing torch."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.io.json import read_object

WEIGHTS = "model.safetensors"
BUILTIN = "builtin:"
SHIPPED = Path(__file__).parent / "builtin"
_FILES = [
    "config.json",
    "*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
]
_FILES += ["sentencepiece.bpe.model"]
_SHAPE = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
}


@dataclass(frozen=True)
class Fingerprint:
    """What makes a base model the one an adapter belongs to.

    Attributes:
        architecture: model type.
        shape: sizes of the encoder, as JSON.
        tokenizer: sha256 of the tokenizer's files.
        weights: sha256 of the weight file.
    """

    architecture: str
    shape: str
    tokenizer: str
    weights: str

    def identity(self) -> dict[str, str]:
        """As a plain dict, for specs and manifests."""
        return dict(vars(self))


def check_same(expected: dict[str, str], found: dict[str, str], what: str) -> None:
    """Refuse an artifact that was made for another base model.

    Raises:
        ArtifactError: names every part of the fingerprint that differs.
    """
    wrong = [key for key in expected if expected[key] != found.get(key)]
    if wrong:
        told = "; ".join(f"{key} {_short(expected[key])} expected, {_short(found.get(key))} found" for key in wrong)
        raise ArtifactError(f"{what} belongs to another base model: {told}; use it with the model it was made for")


@dataclass(frozen=True)
class Model:
    """A base model at hand.

    Attributes:
        folder: holds config, tokenizer and weights.
        name: hub id, or the folder's own name; recorded in exports, never part of a key.
        fingerprint: its identity.
        shape: hidden, layers, heads, intermediate, vocabulary, positions, and ``parameters`` of the encoder.
    """

    folder: Path
    name: str
    fingerprint: Fingerprint
    shape: dict[str, int]


def locate(
    name: str, revision: str | None = None, offline: bool = False, memory: hashing.Digests | None = None
) -> Model:
    """Find a model: ``builtin:NAME`` in the package, a local folder, else on the hub (or in its cache).

    Raises:
        ConfigError: no built-in encoder of that name, or neither a folder nor a well-formed hub id.
        ArtifactError: the folder is not a safe XLM-R encoder with safetensors weights.
        ResourceError: it must be fetched and cannot be.
    """
    builtin = name.startswith(BUILTIN)
    folder = _shipped(name) if builtin else Path(name).expanduser()
    local = folder.is_dir()
    if not local:
        folder = _fetch(name, revision, offline)
    memory = memory or hashing.Digests(None)
    if not local:
        for path in folder.iterdir():
            hashing.check_download(path, memory)
    config = read_config(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(f"{folder}: no {WEIGHTS}; weights are read from safetensors only, pickles are refused")
    tokenizer = [memory.of_file(path) for path in _tokenizer_files(folder)]
    shape = {key: int(config[field]) for key, field in _SHAPE.items()}
    fingerprint = Fingerprint(
        architecture=config["model_type"],
        shape=hashing.canonical(shape).decode(),
        tokenizer=hashing.of(tokenizer),
        weights=memory.of_file(weights),
    )
    parameters = _parameters(weights)
    return Model(
        folder,
        folder.resolve().name if local and not builtin else name,
        fingerprint,
        {**shape, "parameters": parameters},
    )


def builtin_names() -> list[str]:
    """``builtin:NAME`` of every encoder that ships with the package, the smallest first."""
    found = [path for path in SHIPPED.glob(f"*/{WEIGHTS}")] if SHIPPED.is_dir() else []
    return [BUILTIN + path.parent.name for path in sorted(found, key=lambda p: (p.stat().st_size, p.parent.name))]


def _shipped(name: str) -> Path:
    known = builtin_names()
    if name not in known:
        raise ConfigError(f"model: no built-in encoder {name!r}; there are {', '.join(known) or 'none'}")
    return SHIPPED / name.removeprefix(BUILTIN)


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a folder, refused when it asks for code or for an architecture not supported.

    Raises:
        ArtifactError: names the file, the key and the policy.
    """
    path = folder / "config.json"
    config = read_object(path, "model config")
    for key in ("auto_map", "_attn_implementation_internal", "quantization_config"):
        if config.get(key):
            raise ArtifactError(f"{path}: {key!r} is refused: a model's config may not name code to load")
    attention = config.get("_attn_implementation", config.get("attn_implementation"))
    if attention not in (None, "eager", "sdpa"):
        raise ArtifactError(f"{path}: attention implementation {attention!r} is refused; only eager and sdpa are")
    if config.get("model_type") != "xlm-roberta":
        raise ArtifactError(f"{path}: model type {config.get('model_type')!r} is not supported; xlm-roberta is")
    missing = [field for field in _SHAPE.values() if not isinstance(config.get(field), int)]
    if missing:
        raise ArtifactError(f"{path}: expected whole numbers for {', '.join(missing)}")
    return config


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a safetensors file, from its header alone.

    Raises:
        ArtifactError: the header is not one of safetensors.
    """
    try:
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > min(100_000_000, path.stat().st_size):
                raise ValueError("header length out of range")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError("expected a JSON object")
        shapes = {key: tuple(value["shape"]) for key, value in header.items() if key != "__metadata__"}
        if not all(type(n) is int and n >= 0 for shape in shapes.values() for n in shape):
            raise ValueError("a shape is not made of whole numbers")
        return shapes
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error}); pickles are not accepted") from None


def _parameters(weights: Path) -> int:
    """Parameters of the encoder proper: pooler and language-model head are not used."""
    total = 0
    for key, shape in tensor_shapes(weights).items():
        if "lm_head." not in key and "pooler." not in key and not key.endswith("position_ids"):
            size = 1
            for n in shape:
                size *= n
            total += size
    return total


def _fetch(name: str, revision: str | None, offline: bool) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"model: {name!r} is neither a folder nor a hub id of the form owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, revision=revision, allow_patterns=_FILES, local_files_only=offline)
    except LocalEntryNotFoundError:
        why = "--offline forbids fetching it" if offline else "the hub cannot be reached"
        raise ResourceError(f"model {name}: not in the local cache, and {why}; give a local folder") from None
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResourceError(f"model {name}: cannot be fetched from the hub ({reason})") from None
    return Path(found)


def _tokenizer_files(folder: Path) -> list[Path]:
    if not (folder / "tokenizer.json").is_file():
        raise ArtifactError(f"{folder}: no tokenizer.json; a fast tokenizer is needed")
    return [folder / name for name in ("tokenizer.json",)]


def _short(value: str | None) -> str:
    """A digest by its beginning, anything else whole."""
    if value is None:
        return "nothing"
    return f"{value[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", value) else value
