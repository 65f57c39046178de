"""From a model's name to a checked folder and its fingerprint, without importing torch."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io import hashing
from adaptstilts.models import architectures, sentence_transformers, tokenizer_files, weight_files
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.config import CONFIG, read_config
from adaptstilts.models.fetching import fetch
from adaptstilts.models.joint_digest import joint_digest
from adaptstilts.models.prepared import prepare
from adaptstilts.models.sentence_transformers import OwnPooling
from adaptstilts.models.tensor_names import encoder_names, left_out
from adaptstilts.models.tokenizer_files import TOKENIZER
from adaptstilts.models.vocabulary import check_tokenizer
from adaptstilts.models.weight_files import WEIGHTS, WeightFiles

BUILTIN = "builtin:"
SHIPPED = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class Fingerprint:
    """What makes a base model the one that an adapter belongs to.

    Attributes:
        architecture: model type.
        shape: sizes of the encoder, as JSON.
        tokenizer: sha256 of the tokenizer's files.
        weights: sha256 of the weights as one safetensors file.
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
        folder: has its config, and its weights in safetensors.
        name: hub id, or the folder's name; recorded in exports, never part of a key.
        fingerprint: its identity.
        shape: sizes (hidden, layers, heads, intermediate, vocabulary, positions) and ``parameters``, all those of the
            encoder.
        architecture: its description.
        states: size, time and inode of its files when they were hashed, by path.
        source: the folder that the model was found in, which may have it in another form.
        tokenizer_folder: has its ``tokenizer.json``.
        left_out: parts of its weights that are not used, such as ``pooler`` or ``classifier``.
        pooling: the pooling that it was trained with, if its folder says so.
    """

    folder: Path
    name: str
    fingerprint: Fingerprint
    shape: dict[str, int]
    architecture: Architecture
    states: Mapping[Path, tuple[int, ...]] = field(default_factory=dict, compare=False)
    source: Path = field(default=Path(), compare=False)
    tokenizer_folder: Path = field(default=Path(), compare=False)
    left_out: tuple[str, ...] = ()
    pooling: OwnPooling | None = None

    @property
    def max_tokens(self) -> int:
        """Return the largest number of tokens per sequence, special tokens included."""
        return self.architecture.max_tokens(self.shape["positions"])

    @property
    def remarks(self) -> list[str]:
        """Return what is said about the model before it is used."""
        if not self.left_out:
            return []
        return [f"{self.name}: only the encoder is used; left out of its weights: {', '.join(self.left_out)}"]

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
    name: str,
    revision: str | None = None,
    offline: bool = False,
    memory: hashing.Digests | None = None,
    cache: Path | None = None,
) -> Model:
    """Find a model in the package (``builtin:NAME``), in a local folder, or on the hub or in the hub's cache.

    Args:
        name: as study files give it.
        revision: commit, branch or tag on the hub.
        offline: do not contact the hub.
        memory: digests of files that were hashed before.
        cache: folder for files that must be converted; None for a temporary one.

    Raises:
        ConfigError: no built-in encoder of that name, or neither a folder nor a well-formed hub id.
        ArtifactError: the folder is not an encoder of a supported architecture, or not safe.
        ResourceError: the model must be downloaded and cannot be, or the cache cannot be written.
    """
    memory = memory or hashing.Digests(None)
    is_builtin = name.startswith(BUILTIN)
    source = _shipped(name) if is_builtin else Path(name).expanduser()
    is_local = source.is_dir()
    if not is_local:
        source = fetch(name, revision, offline, memory)
    public_name = source.resolve().name if is_local and not is_builtin else name
    return _Folder(source, memory, cache).model(public_name)


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


class _Folder:
    """The folder of a model while it is checked.

    Args:
        source: the folder.
        memory: see :func:`locate`.
        cache: see there.
    """

    def __init__(self, source: Path, memory: hashing.Digests, cache: Path | None) -> None:
        self.source, self.memory, self.cache = source, memory, cache
        self.place = sentence_transformers.transformer_folder(source)
        self.config = read_config(self.place)
        self.architecture = architectures.get(self.config["model_type"])

    def model(self, name: str) -> Model:
        """Return the model after checking that config, weights and tokenizer fit each other.

        Args:
            name: what the model is called.
        """
        folder, weights = self._weights()
        shapes = weights.shapes()
        if reason := self.architecture.why_not_weights(self.config, shapes):
            raise ArtifactError(f"{self.place / CONFIG}: {reason}; expected the config of these weights")
        weights.check_complete()
        tokenizer = self._tokenizer()
        check_tokenizer(tokenizer, self.architecture, self.config)
        states = {path: _state(path) for path in (folder / CONFIG, tokenizer, *weights.paths)}
        encoder = encoder_names(shapes.keys(), self.architecture)
        parameters = sum(math.prod(shapes[key]) for key in encoder)
        return Model(
            folder=folder,
            name=name,
            fingerprint=self._fingerprint(weights, tokenizer),
            shape={**self.architecture.shape(self.config), "parameters": parameters},
            architecture=self.architecture,
            states=states,
            source=self.source,
            tokenizer_folder=tokenizer.parent,
            left_out=tuple(left_out(shapes.keys(), self.architecture)),
            pooling=sentence_transformers.read_pooling(self.source),
        )

    def _fingerprint(self, weights: WeightFiles, tokenizer: Path) -> Fingerprint:
        parts = weights.parts
        digest = self.memory.of_file(parts[0]) if len(parts) == 1 else self.memory.of_files(parts, joint_digest)
        settings = self.architecture.identity(self.config)
        return Fingerprint(
            architecture=self.architecture.name,
            shape=hashing.canonical(self.architecture.shape(self.config)).decode(),
            tokenizer=hashing.of([self.memory.of_file(tokenizer)]),
            weights=digest,
            settings=hashing.canonical(settings).decode() if settings else "",
        )

    def _weights(self) -> tuple[Path, WeightFiles]:
        """Return weights in safetensors, converted if necessary, and the folder that has them and the config."""
        files = weight_files.find(self.place)
        if files.is_safe:
            return self.place, files

        def write(folder: Path) -> None:
            from adaptstilts.models.conversion import convert

            shutil.copyfile(self.place / CONFIG, folder / CONFIG)
            convert(files, folder / WEIGHTS, self.config, self.architecture)

        folder = prepare([self.place / CONFIG, *files.paths], write, self.cache, self.memory)
        return folder, weight_files.find(folder)

    def _tokenizer(self) -> Path:
        """Return the ``tokenizer.json``, built if necessary."""
        files = tokenizer_files.find(self.place)
        if not files.is_built:
            return files.paths[0]

        def write(folder: Path) -> None:
            from adaptstilts.models.tokenizer_building import build

            build(files, folder / TOKENIZER)

        sources = [*files.paths, files.settings] if files.settings else files.paths
        return prepare(sources, write, self.cache, self.memory) / TOKENIZER


def _short(value: object) -> str:
    """Return the beginning of a digest, or any other value whole."""
    if value is None:
        return "nothing"
    text = str(value)
    return f"{text[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", text) else text
