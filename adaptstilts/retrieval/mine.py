"""Translations mined from two text files: encoded and searched shard by shard, scored by margin, written as a table.

Everything that took long is kept in the store's cache under a key of what it depends on, so that a command that was
interrupted continues, and one with another margin or threshold searches nothing again. ``adaptstilts gc`` removes it.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.io import hashed_arrays, hashing
from adaptstilts.io.files import disk_faults, replacing, resolve_output
from adaptstilts.io.folders import failpoint
from adaptstilts.models import locate as models
from adaptstilts.retrieval.pooling import default_layer
from adaptstilts.retrieval.text_file import Lines, scan
from adaptstilts.retrieval.vector_cache import Recipe, identity, resolved, vectors
from adaptstilts.runtime.adapter_pool import Resident
from adaptstilts.runtime.context import Runtime
from adaptstilts.search import AUTO, bucc, check_available, sharded
from adaptstilts.search import faiss as indexes
from adaptstilts.search.margin import NEIGHBOURS, Pairs, best_pairs
from adaptstilts.search.products import normalize
from adaptstilts.search.workers import map_pieces
from adaptstilts.store.select import composition, select
from adaptstilts.store.store import Store
from adaptstilts.study import Margin, Pooling, Precision, Retrieval
from adaptstilts.workspace import Workspace

VERSION = 2
SHARD = 2**17  # sentences that are encoded, kept and searched at a time
SIDES = ("foreign", "english")
_BLOCK = 4096  # pairs whose texts are read at once
_BREAKS = re.compile("[\\t\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029]")  # at which others may end a field or a line
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """How two files are mined.

    Attributes:
        model: built-in name, folder or hub id.
        adapter: folder of an entry of any store, or the beginning of a key; None for the bare model.
        layer: hidden state; None for two thirds of the depth.
        pooling: of its tokens.
        precision: of the encoder.
        max_length: tokens of a sentence; None for 256, or what the model has.
        margin: see :mod:`adaptstilts.search.margin`.
        retrieval: see :func:`adaptstilts.search.margin.best_pairs`.
        k: neighbours that make a neighbourhood.
        threshold: pairs must score at least so much; None keeps all that score above zero.
        index: factory string of an approximate index; None for an exact search.
        shard: sentences that are encoded, kept and searched at a time.
        backend: of an exact search, see :func:`adaptstilts.search.mutual_neighbours`.
    """

    model: str
    adapter: str | None = None
    layer: int | None = None
    pooling: Pooling = "mean"
    precision: Precision = "auto"
    max_length: int | None = None
    margin: Margin = "ratio"
    retrieval: Retrieval = "max"
    k: int = NEIGHBOURS
    threshold: float | None = None
    index: str | None = None
    shard: int = SHARD
    backend: str = AUTO


@dataclass(frozen=True)
class Mined:
    """What was found.

    Attributes:
        pairs: written.
        candidates: one-to-one pairs that score above zero; whatever they score where the threshold is not above it.
        lines, empty, repeated, truncated: of both files: how many, without a sentence, with one of an earlier line,
            and sentences cut to the maximum length.
        layer: hidden state that was used.
        max_length: tokens of a sentence.
        precision: of the encoder.
        recall: of an approximate index.
        seconds: that it took.
    """

    pairs: int
    candidates: int
    lines: tuple[int, int]
    empty: tuple[int, int]
    repeated: tuple[int, int]
    truncated: tuple[int, int]
    layer: int
    max_length: int
    precision: Precision
    recall: float | None
    seconds: float


def mine(
    foreign: Path,
    english: Path,
    out: Path,
    settings: Settings,
    workspace: Workspace,
    ray: bool = False,
    device: str | None = None,
    report: Report = lambda line, done, total: None,
) -> Mined:
    """Mine translations from two files of one sentence a line.

    Args:
        foreign: UTF-8 text.
        english: UTF-8 text.
        out: gets one line a pair, the best first: score, line numbers, sentences; whole or not at all.
        settings: how.
        workspace: its store keeps what was made.
        ray: see :func:`adaptstilts.search.workers.map_pieces`.
        device: torch device; None for the GPU where there is one.
        report: told how far it is.

    Raises:
        ConfigError: an output that cannot be meant, no such layer, adapter or index.
        DataError: a file that cannot be read, is not UTF-8, or has no sentence.
        ArtifactError: a model or an adapter that fails verification.
        ResourceError: the store or the output cannot be written, or another process mines the same files.
    """
    start = time.monotonic()
    place = resolve_output(out, foreign, english)
    if settings.threshold is not None and not math.isfinite(settings.threshold):
        raise ConfigError(f"--threshold {settings.threshold}: expected a score, such as 1.06 for the ratio margin")
    job = _Job(settings, workspace, device)
    files = [_scanned(path) for path in (foreign, english)]
    key = hashing.of({"mine": VERSION, "files": [file.sha256 for file in files], **job.identity()})
    with _kept(workspace.store, key) as folder:
        left, right = (job.encoded(name, file, folder, ray, report) for name, file in zip(SIDES, files, strict=True))
        found = job.searched(left, right, folder, ray, report)
        least = settings.threshold
        choices = best_pairs(found.forward, found.backward, settings.margin, settings.retrieval)
        pairs = bucc.one_to_one(choices, 0.0 if least is None or least > 0 else -math.inf)
        written = pairs if least is None else pairs.at(pairs.scores >= least)
        _write(place, written, *files)
    return Mined(
        len(written),
        len(pairs),
        (files[0].total, files[1].total),
        (files[0].empty, files[1].empty),
        (files[0].repeated, files[1].repeated),
        (left.cut, right.cut),
        job.recipe.layers[0],
        job.recipe.max_length,
        job.recipe.precision,
        found.recall,
        time.monotonic() - start,
    )


@dataclass(frozen=True)
class _Side:
    """The files of one side's vectors, in the order of its sentences, and how many of these were cut."""

    files: list[Path]
    cut: int


@dataclass(frozen=True)
class Encoding:
    """One shard to encode, as values that another process can be given."""

    lines: Lines
    out: str
    title: str
    recipe: Recipe
    model: str
    store: str
    offline: bool
    device: str | None


def encode(job: Encoding, report: Report = lambda line, done, total: None) -> None:
    """Encode one shard and write its vectors, of unit length, and how many sentences were cut."""
    runtime, resident = _prepared(job.model, job.store, job.offline, job.device)
    runtime.report = report
    made = vectors(list(job.lines.texts(slice(None))), job.recipe, runtime, resident, job.title)
    hashed_arrays.save(_cut(Path(job.out)), _=np.array(made.cut.sum()))
    hashed_arrays.save(Path(job.out), _=normalize(made.at(job.recipe.layers[0])))
    failpoint("mine:after-shard")


@lru_cache(maxsize=1)
def _prepared(model: str, store: str, offline: bool, device: str | None) -> tuple[Runtime, Resident]:
    """Once in a process."""
    workspace = Workspace(store, None, offline)
    base = models.locate(model, offline=offline, memory=workspace.memory)
    runtime = Runtime(workspace, base, device=device)
    return runtime, Resident(workspace.store, base, runtime.device)


class _Job:
    """What the options mean with this model and this store."""

    def __init__(self, settings: Settings, workspace: Workspace, device: str | None) -> None:
        self.settings, self.workspace, self.device = settings, workspace, device
        place = (settings.model, str(workspace.store.folder), workspace.offline, device)
        self.place = place
        self.runtime, _ = _prepared(*place)
        shape = self.runtime.model.shape
        layer = default_layer(shape["layers"]) if settings.layer is None else settings.layer
        if not 0 <= layer <= shape["layers"]:
            raise ConfigError(f"--layer {layer}: the model has hidden states 0 to {shape['layers']}")
        base, stack = (None, ()) if settings.adapter is None else composition(select(settings.adapter, workspace.store))
        most = shape["positions"] - 2
        length = min(256, most) if settings.max_length is None else settings.max_length
        if length > most:
            raise ConfigError(f"--max-length {length}: the model takes at most {most} tokens")
        if settings.index is not None:
            indexes.build_empty(settings.index, shape["hidden"])
        check_available(settings.backend)
        recipe = Recipe((layer,), settings.pooling, length, settings.precision, None, base, stack)
        self.recipe = resolved(recipe, self.runtime)

    def identity(self) -> dict[str, Any]:
        """What vectors depend on, for a key; not the search, whose files have names of their own."""
        return {**identity(self.recipe, self.runtime), "shard": self.settings.shard}

    def encoded(self, name: str, file: Lines, folder: Path, ray: bool, report: Report) -> _Side:
        """The vectors of one side; what is not there, or damaged, is made, and what was searched before is void then.

        Raises:
            ResourceError: what was just written is not there, or not what it was.
        """
        size = self.settings.shard
        paths = [folder / f"{name}-{number:06d}.npy" for number in range(-(-len(file) // size))]
        held = {path: (hashed_arrays.find(path), hashed_arrays.find(_cut(path))) for path in paths}
        model, store, offline, device = self.place
        jobs = []
        for number, path in enumerate(paths):
            at = slice(number * size, (number + 1) * size)
            own = replace(file, numbers=file.numbers[at], offsets=file.offsets[at])
            title = f"{file.path.name}, {number + 1} of {len(paths)}"
            if None in held[path]:
                jobs.append(Encoding(own, str(path), title, self.recipe, model, store, offline, device))
        if jobs:
            with disk_faults(folder):
                for searched in (path for path in folder.iterdir() if path.is_dir()):
                    shutil.rmtree(searched)
        for done, _ in enumerate(map_pieces(encode if ray else partial(encode, report=report), jobs, ray), 1):
            report(f"{file.path.name}: {done} of {len(jobs)} shards encoded", done, len(jobs))
        made = {
            path: (hashed_arrays.find(path), hashed_arrays.find(_cut(path)))
            for path in map(Path, (job.out for job in jobs))
        }
        found = [(vectors, cut) for vectors, cut in {**held, **made}.values() if vectors and cut]
        if len(found) < len(paths):
            raise ResourceError(f"{folder}: does not hold what was just written; check the disk")
        return _Side([vectors for vectors, _ in found], sum(int(np.load(cut)) for _, cut in found))

    def searched(self, left: _Side, right: _Side, folder: Path, ray: bool, report: Report) -> sharded.ShardedNeighbours:
        """The neighbours of both sides; what was searched before is not searched again."""
        asked = self.settings
        near = folder / (f"k{asked.k}" if asked.index is None else hashing.of([asked.index, asked.k]))

        def told(done: int, total: int) -> None:
            report(f"search: {done} of {total} pieces", done, total)

        return sharded.search_shards(left.files, right.files, asked.k, near, asked.index, ray, told, asked.backend)


def _scanned(path: Path) -> Lines:
    found = scan(path)
    if not len(found):
        raise DataError(f"{path}: {found.total} lines and no sentence; expected one sentence a line")
    return found


@contextlib.contextmanager
def _kept(store: Store, key: str) -> Iterator[Path]:
    """The folder of what is made for a key, which is neither forgotten nor collected while it is held."""
    done = store.vectors / key
    folder = done.with_name(f"{key}.part")
    with store.lease(f"vectors.{key}") as own:
        if not own:
            raise ResourceError(f"{store.folder}: {store.holder(f'vectors.{key}')} mines the same files; wait for it")
        with disk_faults(folder):
            if done.is_dir() and not folder.exists():
                done.rename(folder)
            folder.mkdir(parents=True, exist_ok=True)
            hashed_arrays.sweep(folder)
        yield folder
        with disk_faults(folder):
            os.utime(folder)
            folder.rename(done)


def _cut(path: Path) -> Path:
    return path.with_suffix(".cut")


def _write(out: Path, pairs: Pairs, foreign: Lines, english: Lines) -> None:
    """Score, line numbers and sentences, with tabs; a tab or line end within a sentence becomes a space."""
    order = np.lexsort((pairs.english, pairs.foreign, -pairs.scores))
    with replacing(out) as file:
        for start in range(0, len(order), _BLOCK):
            block = pairs.at(order[start : start + _BLOCK])
            left, right = foreign.texts(block.foreign), english.texts(block.english)
            lines = zip(block.scores, foreign.numbers[block.foreign], english.numbers[block.english], strict=True)
            for (score, i, j), *texts in zip(lines, left, right, strict=True):
                plain = (_BREAKS.sub(" ", text) for text in texts)
                file.write("\t".join([f"{score:.6f}", str(i), str(j), *plain]) + "\n")
        failpoint("mine:before-rename")
