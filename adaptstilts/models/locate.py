"""From a model's name to a checked folder and its fingerprint, without importing torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.models import architectures
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.config import CONFIG, read_config
from adaptstilts.models.headers import check_complete, tensor_shapes
from adaptstilts.models.vocabulary import check_tokenizer

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
BUILTIN = "builtin:"
SHIPPED = Path(__file__).parent / "builtin"
_DOWNLOADED = [
    CONFIG,
    WEIGHTS,
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "sentencepiece.bpe.model",
]


@dataclass(frozen=True)
class Fingerprint:
    """What makes a base model the one that an adapter belongs to.

    Attributes:
        architecture: model type.
        shape: sizes of the encoder, as JSON.
        tokenizer: sha256 of the tokenizer's files.
        weights: sha256 of the weights file.
        settings: fields of the config beyond sizes in which it differs from published models, as JSON; empty if none.
    """

    architecture: str
    shape: str
    tokenizer: str
    weights: str
    settings: str = ""

    def identity(self) -> dict[str, str]:
        """Return the fields as a plain dict, for specs and manifests; without ``settings`` where they are usual."""
        return {name: value for name, value in vars(self).items() if value or name != "settings"}


def check_same(expected: dict[str, str], actual: dict[str, str], what: str) -> None:
    """Refuse an artifact that belongs to another base model.

    Args:
        expected: identity of the base model's fingerprint.
        actual: the identity in the artifact.
        what: name of the artifact, for messages.

    Raises:
        ArtifactError: names every part of the fingerprint that differs.
    """
    differences = []
    for key in dict.fromkeys([*expected, *(name for name in actual if name == "settings")]):
        if expected.get(key) != actual.get(key):
            differences.append(f"{key} {_short(expected.get(key))} expected, {_short(actual.get(key))} found")
    if differences:
        raise ArtifactError(
            f"{what} belongs to another base model: {'; '.join(differences)}; use it with the model it was trained on"
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
        states: size, time and inode of its files when they were hashed, by path.
    """

    folder: Path
    name: str
    fingerprint: Fingerprint
    shape: dict[str, int]
    architecture: Architecture
    states: Mapping[Path, tuple[int, ...]] = field(default_factory=dict, compare=False)

    @property
    def max_tokens(self) -> int:
        """Return the largest number of tokens per sequence, special tokens included."""
        return self.architecture.max_tokens(self.shape["positions"])

    def checked_folder(self) -> Path:
        """Return the folder after checking that its files are still those that were hashed.

        Raises:
            ArtifactError: a file was replaced or written to.
        """
        for path, state in self.states.items():
            if _state(path) != state:
                raise ArtifactError(f"{path}: changed after the plan was made; run the command again")
        return self.folder


def locate(
    name: str, revision: str | None = None, offline: bool = False, memory: hashing.Digests | None = None
) -> Model:
    """Find a model in the package (``builtin:NAME``), in a local folder, or on the hub or in the hub's cache.

    Args:
        name: as study files give it.
        revision: commit, branch or tag on the hub.
        offline: do not contact the hub.
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
    states = {folder / name: _state(folder / name) for name in (CONFIG, TOKENIZER, WEIGHTS)}
    config = read_config(folder)
    architecture = architectures.get(config["model_type"])
    weights, tokenizer = folder / WEIGHTS, folder / TOKENIZER
    shapes = _checked_shapes(folder, config, architecture)
    shape = architecture.shape(config)
    settings = architecture.identity(config)
    fingerprint = Fingerprint(
        architecture=architecture.name,
        shape=hashing.canonical(shape).decode(),
        tokenizer=hashing.of([memory.of_file(tokenizer)]),
        weights=memory.of_file(weights),
        settings=hashing.canonical(settings).decode() if settings else "",
    )
    public_name = folder.resolve().name if is_local and not is_builtin else name
    sizes = {**shape, "parameters": _parameters(shapes, architecture)}
    return Model(folder, public_name, fingerprint, sizes, architecture, states)


def builtin_names() -> list[str]:
    """Return ``builtin:NAME`` of every encoder that ships with the package, the smallest first."""
    if not SHIPPED.is_dir():
        return []
    sizes = {path.parent.name: path.stat().st_size for path in SHIPPED.glob(f"*/{WEIGHTS}")}
    return [BUILTIN + name for name in sorted(sizes, key=lambda name: (sizes[name], name))]


def _shipped(name: str) -> Path:
    known = builtin_names()
    if name not in known:
        raise ConfigError(f"no built-in encoder {name!r}; there are {', '.join(known) or 'none'}")
    return SHIPPED / name.removeprefix(BUILTIN)


def _state(path: Path) -> tuple[int, ...]:
    """Return size, time and inode, which show whether a file was replaced or written to; empty if it cannot be read."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def _checked_shapes(folder: Path, config: Mapping[str, Any], architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's weights, whose config and tokenizer must fit them.

    Raises:
        ArtifactError: a file is missing, or does not fit the others.
    """
    weights, tokenizer = folder / WEIGHTS, folder / TOKENIZER
    if not weights.is_file():
        raise ArtifactError(f"{folder}: no {WEIGHTS}; weights are read from safetensors only, pickles are refused")
    shapes = tensor_shapes(weights)
    if reason := architecture.why_not_weights(config, shapes):
        raise ArtifactError(f"{folder / CONFIG}: {reason}; expected the config of these weights")
    check_complete(weights)
    if not tokenizer.is_file():
        raise ArtifactError(f"{folder}: no {TOKENIZER}; a fast tokenizer is needed")
    check_tokenizer(tokenizer, architecture, config)
    return shapes


def _parameters(shapes: Mapping[str, tuple[int, ...]], architecture: Architecture) -> int:
    """Return the number of parameters of the encoder proper, without pooler and language-model head."""
    return sum(math.prod(shape) for key, shape in shapes.items() if not architecture.is_unused(key))


def _fetch(name: str, revision: str | None, offline: bool) -> Path:
    """Download a model from the hub, or find it in the hub's cache."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"{name!r} is neither the folder of a model nor a hub id of the form owner/name")
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


def _short(value: object) -> str:
    """Return the beginning of a digest, or any other value whole."""
    if value is None:
        return "nothing"
    text = str(value)
    return f"{text[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", text) else text
