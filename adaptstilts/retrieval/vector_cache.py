"""Sentence vectors on disk: made once, memory-mapped, named by what they were made from.

``store/cache/vectors/<key>/`` holds them in shards, sealed and renamed like an entry: whole or absent. While they are
made the shards lie in ``<key>.part``, each named by its own sha256, so that after a kill the whole ones are kept. What
does not verify is made anew. The folders used last stay within :data:`KEPT` bytes; ``adaptstilts gc`` removes all.
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
from adaptstilts.runtime.adapter_pool import Resident
from adaptstilts.runtime.context import Runtime, half_precision
from adaptstilts.search.base import Vectors
from adaptstilts.store.store import Store
from adaptstilts.study import Pooling, Precision

VERSION = 1
SHARD = 2048  # sentences
KEPT = 2**33
POLL = 1.0
TOLD_SECONDS = 10.0  # encoding that took longer is told in a line of its own


@dataclass(frozen=True)
class Recipe:
    """How texts become vectors.

    Attributes:
        layers: hidden states, ascending; 0 the embeddings.
        pooling: see :mod:`adaptstilts.retrieval.pooling`.
        max_length: tokens of a sentence, special tokens included.
        precision: of the encoder.
        batch_tokens: padded tokens of a batch; None for what is best on the device.
        base: key of a full fine-tuning phase whose encoder is used instead of the base model's.
        stack: keys of the adapters that act, the lowest first.
    """

    layers: tuple[int, ...]
    pooling: Pooling = "mean"
    max_length: int = 256
    precision: Precision = "auto"
    batch_tokens: int | None = None
    base: str | None = None
    stack: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """Vectors of distinct texts at one or more layers; they stay on disk until they are asked for.

    Attributes:
        layers: hidden states, ascending.
        cut: (n,) whether a text lost tokens to the maximum length.
        rows: (n,) where a text's vectors are in the shards, one after the other.
        shards: (layers, texts, hidden) float32 each; all but the last are of one size.
        encoded: texts that were encoded just now; those that were there are not.
        seconds: that it took.
    """

    layers: tuple[int, ...]
    cut: NDArray[np.bool_]
    rows: NDArray[np.int64]
    shards: Sequence[NDArray[np.float32]]
    encoded: int = 0
    seconds: float = 0.0

    def at(self, layer: int, which: NDArray[np.int64] | None = None) -> Vectors:
        """Vectors of some texts, or of all, at one layer, as they were pooled: (m, hidden)."""
        rows = self.rows if which is None else self.rows[which]
        number, size = self.layers.index(layer), self.shards[0].shape[1]
        found = np.empty((len(rows), self.shards[0].shape[2]), np.float32)
        for shard in np.unique(rows // size):
            here = np.flatnonzero(rows // size == shard)
            found[here] = self.shards[shard][number, rows[here] - shard * size]
        return found


def vectors(texts: Sequence[str], recipe: Recipe, runtime: Runtime, resident: Resident, title: str = "") -> Encoded:
    """The vectors of distinct texts, from the cache or by encoding them.

    Args:
        texts: distinct; with the pooling ``idf`` they are the collection.
        recipe: how.
        runtime: store, tokenizer, device, and how to report.
        resident: gives the encoder when it is needed.
        title: what progress lines say.

    Raises:
        DataError: there are no texts, or an encoder of them gives values that are not finite.
        ArtifactError: an adapter is damaged or belongs to another base model.
        ResourceError: the disk has no room for them.
        Interrupted: asked to stop; whole shards are kept.
    """
    if not texts:
        raise DataError(f"{title or 'encode'}: no texts to encode; expected at least one")
    key = _key(texts, recipe, runtime)
    folder = runtime.workspace.store.vectors / key
    while True:
        with runtime.workspace.store.lease(f"vectors.{key}") as mine:
            found = _opened(folder, recipe, runtime)
            if found is None and mine:
                found = _Making(texts, recipe, runtime, resident, title, folder).run()
        if found is not None:
            return found
        if runtime.stop():
            raise Interrupted(f"{title}: stopped while another process encodes the same sentences")
        time.sleep(POLL)


def _key(texts: Sequence[str], recipe: Recipe, runtime: Runtime) -> str:
    """Digest of everything that the vectors depend on; other batches change no more than the last bits."""
    hashed = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        hashed.update(f"{len(content)}:".encode() + content)
    return hashing.of({**identity(recipe, runtime), "texts": hashed.hexdigest()})


def identity(recipe: Recipe, runtime: Runtime) -> dict[str, Any]:
    """Everything beside the texts that vectors depend on, for a key."""
    return {
        "vectors": VERSION,
        "model": runtime.model.fingerprint.identity(),
        "base": recipe.base,
        "stack": list(recipe.stack),
        "layers": list(recipe.layers),
        "pooling": recipe.pooling,
        "precision": resolved(recipe, runtime).precision,
        "max_length": recipe.max_length,
        "on": [torch.__version__, runtime.device.type],
    }


def resolved(recipe: Recipe, runtime: Runtime) -> Recipe:
    """The recipe with the precision that ``auto`` is on this device."""
    return replace(recipe, precision="bf16" if half_precision(recipe.precision, runtime.device) else "fp32")


def _opened(folder: Path, recipe: Recipe, runtime: Runtime, hashes: bool = True) -> Encoded | None:
    """What is in a finished folder; None where there is none, or a damaged one, which is removed."""
    if not folder.is_dir():
        return None
    try:
        folders.check_files(folder, folders.read_manifest(folder), hashes)
        shards: list[Any] = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("[0-9]*.npy"))]
        rows, cut = np.load(folder / "rows.npy"), np.load(folder / "cut.npy")
        os.utime(folder)
    except (ArtifactError, OSError, ValueError) as error:
        runtime.report(f"sentence vectors are made anew: {error}", 0, 0)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return Encoded(recipe.layers, cut, rows, shards)


class _Making:
    """Makes the vectors of one folder, shard by shard."""

    def __init__(
        self,
        texts: Sequence[str],
        recipe: Recipe,
        runtime: Runtime,
        resident: Resident,
        title: str,
        folder: Path,
    ) -> None:
        self.recipe, self.runtime, self.resident = recipe, runtime, resident
        self.title, self.folder = title, folder
        self.part = folder.with_name(f"{folder.name}.part")
        self.features: Features = sentence_features(texts, runtime.tokenizer, recipe.max_length)
        lengths = self.features.lengths
        # longest first, so that a batch has sentences of one length and memory runs out at once or never
        self.order = sorted(range(len(texts)), key=lambda row: (-lengths[row], row))
        self.done = self.before = 0
        self.start = time.monotonic()

    def run(self) -> Encoded:
        """Make what is missing and publish the folder."""
        held = self._held()
        self._check_space(len(held))
        shards = [self.order[i : i + SHARD] for i in range(0, len(self.order), SHARD)]
        self.before = sum(len(shards[number]) for number in held)
        missing = [number for number in range(len(shards)) if number not in held]
        if missing:
            self._encode({number: [self.features.items[row] for row in shards[number]] for number in missing})
        rows = np.empty(len(self.order), np.int64)
        rows[self.order] = np.arange(len(self.order))
        np.save(self.part / "rows.npy", rows)
        np.save(self.part / "cut.npy", np.array([item.place for item in self.features.items], bool))
        folders.seal(self.part, {"key": self.folder.name})
        folders.publish(self.part, self.folder)
        _forget(self.folder, self.runtime.workspace.store)
        seconds = time.monotonic() - self.start
        if seconds > TOLD_SECONDS and self.done:
            self.runtime.report(f"{self.title}: {self._told()}", 0, 0)
        found = _opened(self.folder, self.recipe, self.runtime, hashes=False)
        if found is None:
            raise ResourceError(f"{self.folder}: does not hold what was just written; check the disk")
        return replace(found, encoded=self.done, seconds=seconds)

    def _encode(self, shards: dict[int, list[Feature]]) -> None:
        recipe, runtime, loading = self.recipe, self.runtime, time.monotonic()
        encoder = self.resident.encoder(recipe.base, recipe.stack)
        self.start += time.monotonic() - loading  # which says nothing of how fast sentences are encoded
        pool = pooling.make(recipe.pooling, self.features.items, runtime.tokenizer, encoder.device)
        bf16 = half_precision(recipe.precision, runtime.device)
        for number, features in shards.items():
            try:
                made = encode(
                    encoder,
                    features,
                    recipe.layers,
                    pool,
                    runtime.tokenizer.pad,
                    bf16,
                    recipe.batch_tokens,
                    runtime.stop,
                    self._count,
                )
            except Interrupted:
                raise Interrupted(f"{self.title}: stopped after {self._told()}; whole shards are kept") from None
            if not np.isfinite(made).all():
                raise DataError(f"{self.title}: the encoder gives sentence vectors that are not finite")
            hashed_arrays.save(self.part / f"{number:08d}.npy", "vectors", _=made)

    def _held(self) -> set[int]:
        """The numbers of the shards that an earlier run left whole; everything else in the folder is removed."""
        self.part.mkdir(parents=True, exist_ok=True)
        shape = (len(self.recipe.layers), SHARD, int(self.runtime.model.shape["hidden"]))
        whole, rest = divmod(len(self.order), SHARD)
        held = {}
        for number in range(whole + bool(rest)):
            path = hashed_arrays.find(self.part / f"{number:08d}.npy")
            expected = shape if number < whole else (shape[0], rest, shape[2])
            if path is not None and np.load(path, mmap_mode="r").shape == expected:
                held[number] = path
        for path in set(self.part.iterdir()) - set(held.values()):
            path.unlink()
        return set(held)

    def _check_space(self, held: int) -> None:
        """Refuse before anything is encoded when the disk cannot hold it."""
        rows = max(len(self.order) - held * SHARD, 0)
        needed = 4 * rows * len(self.recipe.layers) * int(self.runtime.model.shape["hidden"])
        free = shutil.disk_usage(self.part).free
        if needed > free:
            raise ResourceError(
                f"{self.part}: sentence vectors need about {needed // 2**20} MiB and {free // 2**20} MiB are free; ask"
                f" for fewer layers (retrieve.layers), or remove what `adaptstilts gc` lists"
            )

    def _count(self, sentences: int) -> None:
        self.done += sentences
        self.runtime.report(f"{self.title}: {self._told()}", self.before + self.done, len(self.order))

    def _told(self) -> str:
        rate = self.done / max(time.monotonic() - self.start, 1e-9)
        return f"{self.before + self.done:,} of {len(self.order):,} sentences, {rate:,.0f} a second"


def _forget(newest: Path, kept: Store) -> None:
    """Remove the folders that were not used for longest, until the rest fits; not what others are at work on."""
    left = KEPT - _size(newest)
    others = [path for path in newest.parent.iterdir() if path.suffix != ".part" and path != newest]
    for folder in sorted(others, key=_used, reverse=True):
        left -= _size(folder)
        if left < 0 and not kept.holder(f"vectors.{folder.name}"):
            shutil.rmtree(folder, ignore_errors=True)


def _used(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0  # renamed or removed just now


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
