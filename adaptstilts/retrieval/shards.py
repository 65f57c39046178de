"""Encode a text file shard by shard, in this process or by workers, and keep the vectors of each shard in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from adaptstilts.errors import ResourceError
from adaptstilts.io import hashed_arrays
from adaptstilts.io.folders import failpoint
from adaptstilts.io.wording import counted
from adaptstilts.retrieval.text_file import SentenceFile
from adaptstilts.retrieval.vector_cache import EncodingRecipe, encode_cached
from adaptstilts.runtime.context import Runtime
from adaptstilts.search.products import normalize
from adaptstilts.search.workers import map_pieces
from adaptstilts.workspace import Workspace

ReportProgress = Callable[[str, int, int], None]


def ignore_progress(line: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class ModelPlace:
    """Where a process finds a model and runs it, as values that can be sent to another process.

    Attributes:
        model: built-in name, folder or hub id.
        store: folder of the store.
        offline: whether no network connection may be opened.
        device: torch device; None for the GPU if there is one.
    """

    model: str
    store: str
    offline: bool
    device: str | None


@lru_cache(maxsize=1)
def runtime_of(place: ModelPlace) -> Runtime:
    """Return the runtime of a model, which is located once per process."""
    workspace = Workspace(place.store, None, place.offline)
    return Runtime(workspace, workspace.locate(place.model), device=place.device)


@dataclass(frozen=True)
class ShardJob:
    """One shard to encode, as values that can be sent to another process.

    Attributes:
        sentences: sentences of the shard.
        vectors: file of the vectors, without the hash in its final name.
        title: begins the progress lines.
        recipe: how to encode, with one layer.
        place: the model.
    """

    sentences: SentenceFile
    vectors: Path
    title: str
    recipe: EncodingRecipe
    place: ModelPlace

    @property
    def truncated(self) -> Path:
        """File of the number of truncated sentences, without the hash."""
        return self.vectors.with_suffix(".cut")

    def saved(self) -> tuple[Path, Path] | None:
        """Return the verified files of vectors and of the number of truncated sentences; None if one is missing."""
        vectors, truncated = hashed_arrays.find(self.vectors), hashed_arrays.find(self.truncated)
        return (vectors, truncated) if vectors and truncated else None


def split_file(file: SentenceFile, size: int, out: Path, recipe: EncodingRecipe, place: ModelPlace) -> list[ShardJob]:
    """Split a text file into shards.

    Args:
        file: the sentences.
        size: sentences of a shard.
        out: path that the names of all shards begin with.
        recipe: how to encode, with one layer.
        place: the model.
    """
    starts = range(0, len(file), size)
    jobs = []
    for number, start in enumerate(starts):
        part = slice(start, start + size)
        sentences = replace(file, numbers=file.numbers[part], offsets=file.offsets[part])
        vectors = out.with_name(f"{out.name}-{number:06d}.npy")
        title = f"{file.path.name}, {number + 1} of {len(starts)}"
        jobs.append(ShardJob(sentences, vectors, title, recipe, place))
    return jobs


@dataclass(frozen=True)
class EncodedFile:
    """Files of the vectors of a text file, in the order of its sentences, and how many sentences were truncated."""

    shards: list[Path]
    truncated: int


def encode_shards(
    jobs: Sequence[ShardJob], prepare: Callable[[], None], ray: bool, report: ReportProgress
) -> EncodedFile:
    """Encode the shards of one file that are missing or damaged.

    Args:
        jobs: all shards, at least one.
        prepare: called before the first shard is encoded, if any is missing.
        ray: see :func:`adaptstilts.search.workers.map_pieces`.
        report: called with a line of progress, the number of finished shards, and their total.

    Raises:
        ResourceError: a shard is missing or damaged just after it was written.
    """
    saved = [job.saved() for job in jobs]
    missing = [number for number, files in enumerate(saved) if files is None]
    if missing:
        prepare()
    work = encode_shard if ray else partial(encode_shard, report=report)
    for done, _ in enumerate(map_pieces(work, [jobs[number] for number in missing], ray), 1):
        name = jobs[0].sentences.path.name
        report(f"{name}: {done} of {counted(len(missing), 'shard')} encoded", done, len(missing))
    for number in missing:
        saved[number] = jobs[number].saved()
    complete = [files for files in saved if files is not None]
    if len(complete) < len(jobs):
        folder = jobs[0].vectors.parent
        raise ResourceError(f"{folder}: missing or damaged files just after they were written; check the disk")
    truncated = sum(int(np.load(count)) for _, count in complete)
    return EncodedFile([vectors for vectors, _ in complete], truncated)


def encode_shard(job: ShardJob, report: ReportProgress = ignore_progress) -> None:
    """Encode one shard and write its vectors, of unit length, and how many sentences were truncated.

    Args:
        job: the shard.
        report: called with a line of progress, the number of encoded sentences, and their total.
    """
    runtime = runtime_of(job.place)
    runtime.report = report
    vectors = encode_cached(list(job.sentences.texts(slice(None))), job.recipe, runtime, job.title)
    hashed_arrays.save(job.truncated, _=np.array(vectors.cut.sum()))
    hashed_arrays.save(job.vectors, _=normalize(vectors.at(job.recipe.layers[0])))
    failpoint("mine:after-shard")
