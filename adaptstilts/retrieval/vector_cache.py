"""Sentence vectors on disk: computed once, memory-mapped, and keyed by everything that they depend on.

``store/cache/vectors/<key>/`` has them in shards, sealed and renamed like an entry: complete or absent. Until they are
complete the shards are in ``<key>.part``, each named by its own sha256, so that finished ones survive a
kill. A folder that fails verification is computed again. The folders used last are kept, up to :data:`MAX_BYTES`;
``adaptstilts gc`` removes all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adaptstilts.errors import ArtifactError, DataError, Interrupted, ResourceError
from adaptstilts.io import folders, hashed_arrays, hashing
from adaptstilts.kinds.sentence_search import sentence_features
from adaptstilts.models.batching import Feature, Features
from adaptstilts.retrieval import pooling
from adaptstilts.retrieval.encode import encode
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.search.base import Vectors
from adaptstilts.store.store import Store
from adaptstilts.study import Pooling, Precision

VERSION = 2
SHARD = 2048  # sentences
MAX_BYTES = 2**33
POLL_SECONDS = 1.0
REPORT_SECONDS = 10.0  # encoding that takes longer is reported in its own line


@dataclass(frozen=True)
class EncodingRecipe:
    """How texts become vectors.

    Attributes:
        layers: hidden states, ascending; 0 the embeddings.
        pooling: see :mod:`adaptstilts.retrieval.pooling`.
        max_length: tokens of a sentence, special tokens included.
        precision: precision of the encoder.
        batch_tokens: padded tokens per batch; None for the best value on the device.
        base: key of a full fine-tuning phase whose encoder replaces the base model's.
        stack: keys of the active adapters, the lowest first.
        prefix: text put before every sentence.
    """

    layers: tuple[int, ...]
    pooling: Pooling = "mean"
    max_length: int = 256
    precision: Precision = "auto"
    batch_tokens: int | None = None
    base: str | None = None
    stack: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class CachedVectors:
    """Vectors of distinct texts at one or more layers, read from disk when they are used.

    Attributes:
        layers: hidden states, ascending.
        cut: (n,) whether a text lost tokens to the maximum length.
        known: (n,) whether the tokenizer knows any word of a text.
        tokens: (n, 2) tokens of each text, and how many of them are unknown.
        rows: (n,) row of each text in the shards, one after the other.
        shards: (layers, texts, hidden) float32 each; all but the last are of one size.
        encoded: number of texts that were not in the cache and were encoded just now.
        seconds: that this took.
    """

    layers: tuple[int, ...]
    cut: NDArray[np.bool_]
    known: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    rows: NDArray[np.int64]
    shards: Sequence[NDArray[np.float32]]
    encoded: int = 0
    seconds: float = 0.0

    def at(self, layer: int, which: NDArray[np.int64] | None = None) -> Vectors:
        """Return vectors of one layer, as they were pooled: (m, hidden).

        Args:
            layer: one of ``layers``.
            which: (m,) positions of texts; None for all.
        """
        rows = self.rows if which is None else self.rows[which]
        number, size = self.layers.index(layer), self.shards[0].shape[1]
        vectors = np.empty((len(rows), self.shards[0].shape[2]), np.float32)
        for shard in np.unique(rows // size):
            here = np.flatnonzero(rows // size == shard)
            vectors[here] = self.shards[shard][number, rows[here] - shard * size]
        return vectors


def encode_cached(texts: Sequence[str], recipe: EncodingRecipe, runtime: Runtime, title: str = "") -> CachedVectors:
    """Return the vectors of distinct texts, from the cache or by encoding them.

    Args:
        texts: distinct; with the pooling ``idf`` they are the collection.
        recipe: how to encode them.
        runtime: gives store, tokenizer and encoder, and receives progress.
        title: begins the progress lines.

    Raises:
        DataError: there are no texts, or the encoder returns values that are not finite.
        ArtifactError: an adapter is damaged or belongs to another base model.
        ResourceError: the disk has no room for the vectors.
        Interrupted: the runtime asked to stop; complete shards are kept.
    """
    if not texts:
        raise DataError(f"{title or 'encode'}: no texts to encode; expected at least one")
    key = _key(texts, recipe, runtime)
    folder = runtime.workspace.store.vectors / key
    while True:
        with runtime.workspace.store.lease(f"vectors.{key}") as is_ours:
            cached = _open(folder, recipe, runtime)
            if cached is None and is_ours:
                cached = _build(texts, recipe, runtime, title, folder)
        if cached is not None:
            return cached
        if runtime.stop():
            raise Interrupted(f"{title}: stopped while another process encodes the same sentences")
        time.sleep(POLL_SECONDS)


def _key(texts: Sequence[str], recipe: EncodingRecipe, runtime: Runtime) -> str:
    """Return the digest of everything that vectors depend on; batch sizes change only the last bits."""
    hashed = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        hashed.update(f"{len(content)}:".encode() + content)
    return hashing.of({**recipe_identity(recipe, runtime), "texts": hashed.hexdigest()})


def recipe_identity(recipe: EncodingRecipe, runtime: Runtime) -> dict[str, Any]:
    """Return everything but the texts that vectors depend on, for a key."""
    return {
        "vectors": VERSION,
        "model": runtime.model.fingerprint.identity(),
        "base": recipe.base,
        "stack": list(recipe.stack),
        "layers": list(recipe.layers),
        "pooling": recipe.pooling,
        "precision": with_precision(recipe, runtime).precision,
        "max_length": recipe.max_length,
        "on": [torch.__version__, runtime.device.type],
        **({"prefix": recipe.prefix} if recipe.prefix else {}),
    }


def with_precision(recipe: EncodingRecipe, runtime: Runtime) -> EncodingRecipe:
    """Replace the precision ``auto`` by its meaning on this device."""
    half = half_precision(recipe.precision, runtime.device)
    return replace(recipe, precision="bf16" if half else "fp32")


def _open(folder: Path, recipe: EncodingRecipe, runtime: Runtime, hashes: bool = True) -> CachedVectors | None:
    """Open a finished folder.

    Args:
        folder: removed if it fails verification.
        recipe: recipe of its vectors.
        runtime: receives a remark if the folder is removed.
        hashes: whether to hash the files again.

    Returns:
        Its vectors; None if there is no valid folder.
    """
    if not folder.is_dir():
        return None
    try:
        folders.check_files(folder, folders.read_manifest(folder), hashes)
        shards: list[Any] = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("[0-9]*.npy"))]
        rows, cut, known, tokens = (np.load(folder / f"{name}.npy") for name in ("rows", "cut", "known", "tokens"))
        os.utime(folder)
    except (ArtifactError, ResourceError, OSError, ValueError) as error:
        runtime.report(f"sentence vectors are computed again: {error}", 0, 0)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return CachedVectors(recipe.layers, cut, known, tokens, rows, shards)


def _build(texts: Sequence[str], recipe: EncodingRecipe, runtime: Runtime, title: str, folder: Path) -> CachedVectors:
    """Encode texts; if another process removes the files meanwhile, encode them again in a private folder.

    Args:
        texts: the texts.
        recipe: how to encode them.
        runtime: what phases work with.
        title: for messages.
        folder: folder of the vectors.
    """
    part = folder.with_name(f"{folder.name}.part")
    try:
        return _Build(texts, recipe, runtime, title, folder, part).run()
    except FileNotFoundError:
        cached = _open(folder, recipe, runtime)
    if cached is not None:
        return cached
    with folders.temporary(folder.parent, f".{folder.name}.") as private:
        return _Build(texts, recipe, runtime, title, folder, private / "vectors.part").run()


class _Build:
    """Encodes the texts of one folder, shard by shard."""

    def __init__(
        self, texts: Sequence[str], recipe: EncodingRecipe, runtime: Runtime, title: str, folder: Path, part: Path
    ) -> None:
        self.recipe, self.runtime, self.title, self.folder, self.part = recipe, runtime, title, folder, part
        self.features: Features = sentence_features(texts, runtime.tokenizer, recipe.max_length, recipe.prefix)
        self.texts = texts
        lengths = self.features.lengths
        # longest first, so that a batch has sentences of similar length, and memory runs out at the start or never
        self.order = sorted(range(len(texts)), key=lambda row: (-lengths[row], row))
        self.done = self.before = 0  # sentences encoded by this run, and by an earlier one
        self.start = time.monotonic()

    def run(self) -> CachedVectors:
        """Encode what is missing and publish the folder."""
        shards = [self.order[i : i + SHARD] for i in range(0, len(self.order), SHARD)]
        complete = self._complete_shards()
        self._check_space(len(complete))
        self.before = sum(len(shards[number]) for number in complete)
        missing = {number: self._features_of(rows) for number, rows in enumerate(shards) if number not in complete}
        if missing:
            self._encode(missing)
        self._publish()
        seconds = time.monotonic() - self.start
        if seconds > REPORT_SECONDS and self.done:
            self.runtime.report(f"{self.title}: {self._progress()}", 0, 0)
        cached = _open(self.folder, self.recipe, self.runtime, hashes=False)
        if cached is None:
            raise ResourceError(f"{self.folder}: missing or damaged just after it was written; check the disk")
        return replace(cached, encoded=self.done, seconds=seconds)

    def _features_of(self, rows: Sequence[int]) -> list[Feature]:
        return [self.features.items[row] for row in rows]

    def _encode(self, shards: dict[int, list[Feature]]) -> None:
        """Encode shards and write each when it is complete."""
        recipe, runtime, loading = self.recipe, self.runtime, time.monotonic()
        encoder = runtime.adapter_pool.encoder(recipe.base, recipe.stack)
        self.start += time.monotonic() - loading  # loading is not part of the encoding speed
        pool = pooling.select(recipe.pooling, self.features.items, runtime.tokenizer, encoder.device)
        bf16 = half_precision(recipe.precision, runtime.device)
        for number, features in shards.items():
            try:
                vectors = encode(
                    encoder,
                    features,
                    recipe.layers,
                    pool,
                    runtime.tokenizer.pad,
                    bf16,
                    recipe.batch_tokens,
                    runtime.stop,
                    self._report,
                )
            except Interrupted:
                message = f"{self.title}: stopped after {self._progress()}; complete shards are kept"
                raise Interrupted(message) from None
            if not np.isfinite(vectors).all():
                raise DataError(f"{self.title}: the encoder returns sentence vectors that are not finite")
            hashed_arrays.save(self.part / f"{number:08d}.npy", "vectors", _=vectors)

    def _publish(self) -> None:
        """Add the order of the texts to the shards, seal the folder and move it to its place."""
        rows = np.empty(len(self.order), np.int64)
        rows[self.order] = np.arange(len(self.order))
        np.save(self.part / "rows.npy", rows)
        np.save(self.part / "cut.npy", np.array([item.place for item in self.features.items], bool))
        sentences = self._sentences()
        unknown = self.runtime.tokenizer.unknown
        np.save(self.part / "known.npy", self.runtime.known_words.are_known(sentences))
        tokens = [(len(sentence), sentence.count(unknown)) for sentence in sentences]
        np.save(self.part / "tokens.npy", np.array(tokens, np.int64))
        folders.seal(self.part, {"key": self.folder.name})
        folders.publish(self.part, self.folder)
        _evict(self.folder, self.runtime.workspace.store)

    def _sentences(self) -> list[list[int]]:
        """Return the tokens of every text without special ones and without a prefix, which says nothing about it."""
        features, tokenizer = self.features, self.runtime.tokenizer
        if self.recipe.prefix:
            features = sentence_features(self.texts, tokenizer, self.recipe.max_length)
        return [tokenizer.without_ends(item.sequences[0]) for item in features.items]

    def _complete_shards(self) -> set[int]:
        """Return the numbers of the shards that an earlier run completed; remove everything else in the folder."""
        self.part.mkdir(parents=True, exist_ok=True)
        layers, hidden = len(self.recipe.layers), int(self.runtime.model.shape["hidden"])
        complete = {}
        for number, start in enumerate(range(0, len(self.order), SHARD)):
            path = hashed_arrays.find(self.part / f"{number:08d}.npy")
            expected = layers, min(SHARD, len(self.order) - start), hidden
            if path is not None and np.load(path, mmap_mode="r").shape == expected:
                complete[number] = path
        for path in set(self.part.iterdir()) - set(complete.values()):
            path.unlink(missing_ok=True)
        return set(complete)

    def _check_space(self, complete: int) -> None:
        """Raise if the disk has no room for the missing shards, before anything is encoded."""
        rows = max(len(self.order) - complete * SHARD, 0)
        needed = 4 * rows * len(self.recipe.layers) * int(self.runtime.model.shape["hidden"])
        free = shutil.disk_usage(self.part).free
        if needed > free:
            raise ResourceError(
                f"{self.part}: sentence vectors need about {needed // 2**20} MiB and {free // 2**20} MiB are free;"
                f" score fewer layers, or remove what `adaptstilts gc` lists"
            )

    def _report(self, sentences: int) -> None:
        self.done += sentences
        self.runtime.report(f"{self.title}: {self._progress()}", self.before + self.done, len(self.order))

    def _progress(self) -> str:
        rate = self.done / max(time.monotonic() - self.start, 1e-9)
        finished, total = self.before + self.done, len(self.order)
        return f"{finished:,} of {total:,} sentences, {rate:,.0f} a second"


def _evict(newest: Path, store: Store) -> None:
    """Remove the least recently used folders until the rest fits, except those in use.

    Args:
        newest: folder to keep.
        store: knows which folders other processes use.
    """
    left = MAX_BYTES - _size(newest)
    others = [path for path in newest.parent.iterdir() if path.suffix != ".part" and path != newest]
    for folder in sorted(others, key=_last_use, reverse=True):
        left -= _size(folder)
        if left < 0 and not store.holder(f"vectors.{folder.name}"):
            shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0  # another process has just renamed or removed it


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
