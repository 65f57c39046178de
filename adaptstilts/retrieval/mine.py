"""Mine translations from two text files: encode and search shard by shard, score by margin, write a table.

Vectors and neighbours stay in the store's cache under a key of everything that they depend on, so that an interrupted
command continues, and one with another margin or threshold does not search again. ``adaptstilts gc`` removes them.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from adaptstilts.errors import ConfigError, DataError
from adaptstilts.io import hashing
from adaptstilts.io.files import replacing, resolve_output
from adaptstilts.io.folders import failpoint
from adaptstilts.io.wording import counted
from adaptstilts.plan.retrieval_settings import for_model, why_not_own
from adaptstilts.retrieval.mining_folder import locked_folder, remove_neighbours
from adaptstilts.retrieval.pooling import default_layer
from adaptstilts.retrieval.selection import Selection
from adaptstilts.retrieval.selection import select as select_sentences
from adaptstilts.retrieval.shards import (
    EncodedFile,
    ModelPlace,
    ReportProgress,
    encode_shards,
    ignore_progress,
    runtime_of,
    split_file,
)
from adaptstilts.retrieval.text_file import SentenceFile, scan
from adaptstilts.retrieval.vector_cache import EncodingRecipe, recipe_identity, with_precision
from adaptstilts.search import AUTO, bucc, check_available, faiss
from adaptstilts.search.margin import NEIGHBOURS, Pairs, best_pairs
from adaptstilts.search.sharded import ShardedNeighbours, search_shards
from adaptstilts.store.select import encoder_stack, select
from adaptstilts.study import Margin, Pooling, Precision, Retrieval, Retrieve
from adaptstilts.workspace import Workspace

VERSION = 3
Duplicates = Literal["text", "unicode", "tokens"]
SHARD = 2**17  # sentences that are encoded, stored and searched at a time
MAX_LENGTH = 256  # tokens, or less if the model takes less
_BLOCK_PAIRS = 4096  # pairs whose texts are read at once
_BREAKS = re.compile(
    "[\\t\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029]"
)  # characters at which other programs may end a field or line


@dataclass(frozen=True)
class MiningSettings:
    """How two files are mined.

    Attributes:
        model: built-in name, folder or hub id.
        adapter: folder of an entry in any store, or the beginning of a key; None for the model alone.
        layer: hidden state; None for two thirds of the depth.
        pooling: pooling of the tokens of a sentence.
        precision: precision of the encoder.
        max_length: tokens per sentence; None for 256, or less if the model takes less.
        duplicates: which lines count once: those of equal ``text``; also those that are equal in composed ``unicode``;
            also those with equal ``tokens``, once they are cut to ``max_length``.
        margin: see :mod:`adaptstilts.search.margin`.
        retrieval: see :func:`adaptstilts.search.margin.best_pairs`.
        k: neighbours of a sentence that its margin averages over.
        threshold: minimum score of a pair; None for all that score above zero.
        index: factory string of an approximate index; None for an exact search.
        shard: sentences that are encoded, stored and searched at a time.
        backend: name of the search backend of an exact search.
        prefix: text put before every sentence, such as ``"query: "`` for E5 models.
        foreign_prefix: the same for foreign sentences alone; None for ``prefix``.
        english_prefix: the same for English sentences alone; None for ``prefix``.
    """

    model: str = "builtin:small"
    adapter: str | None = None
    layer: int | None = None
    pooling: Pooling = "mean"
    precision: Precision = "auto"
    max_length: int | None = None
    duplicates: Duplicates = "unicode"
    margin: Margin = "ratio"
    retrieval: Retrieval = "max"
    k: int = NEIGHBOURS
    threshold: float | None = None
    index: str | None = None
    shard: int = SHARD
    backend: str = AUTO
    prefix: str = ""
    foreign_prefix: str | None = None
    english_prefix: str | None = None


@dataclass(frozen=True)
class MiningResult:
    """The result of mining, and facts about its input.

    Attributes:
        pairs: number of pairs that were written.
        candidates: one-to-one pairs that score above zero; with a threshold of zero or less, all of them.
        lines: number of lines in the foreign and in the English file.
        empty: lines without a visible character, of both files.
        repeated: lines whose sentence is on an earlier line, of both files.
        unknown: sentences left out because the model knows no word of them, of both files.
        same_tokens: other sentences with the tokens of an earlier one, of both files; they are left out if
            ``duplicates`` says so.
        truncated: sentences cut to the maximum length, of both files.
        layer: hidden state that was used.
        max_length: tokens of a sentence.
        precision: precision of the encoder.
        recall: recall of an approximate index.
        seconds: wall time.
    """

    pairs: int
    candidates: int
    lines: tuple[int, int]
    empty: tuple[int, int]
    repeated: tuple[int, int]
    unknown: tuple[int, int]
    same_tokens: tuple[int, int]
    truncated: tuple[int, int]
    layer: int
    max_length: int
    precision: Precision
    recall: float | None
    seconds: float


def mine(
    foreign: str | Path,
    english: str | Path,
    out: str | Path,
    settings: MiningSettings,
    workspace: Workspace,
    *,
    ray: bool = False,
    device: str | None = None,
    report: ReportProgress = ignore_progress,
) -> MiningResult:
    """Mine translations from two text files of one sentence per line.

    Args:
        foreign: UTF-8 text.
        english: UTF-8 text.
        out: gets one line per pair, the best first: score, line numbers and sentences, with tabs between them. It is
            written completely or not at all.
        settings: how to encode, search and score.
        workspace: its store keeps vectors and neighbours.
        ray: spread the work over a Ray cluster, see :func:`adaptstilts.search.workers.map_pieces`.
        device: torch device; None for the GPU if there is one.
        report: called with a line of progress, the finished pieces of work and all pieces.

    Raises:
        ConfigError: invalid settings, or an output that cannot be a file.
        DataError: a file that cannot be read, is not UTF-8, or has no sentence.
        ArtifactError: a model or an adapter that fails verification.
        ResourceError: the store or the output cannot be written.
    """
    start = time.monotonic()
    foreign, english = Path(foreign), Path(english)
    place = resolve_output(Path(out), foreign, english)
    _check_threshold(settings.threshold)
    job = _Job(settings, workspace, device, ray, report)
    left_file, right_file = job.scan(foreign), job.scan(english)
    key = hashing.of({"mine": VERSION, "files": [left_file.sha256, right_file.sha256], **job.identity()})
    with locked_folder(workspace.store, key, report) as folder:
        chosen = job.select("foreign", left_file, folder), job.select("english", right_file, folder)
        left, right = (selection.sentences for selection in chosen)
        left_vectors, right_vectors = job.encode("foreign", left, folder), job.encode("english", right, folder)
        neighbours = job.search(left_vectors, right_vectors, folder)
        candidates, pairs = _select(neighbours, settings)
        _write(place, pairs, left, right)
    return MiningResult(
        pairs=len(pairs),
        candidates=len(candidates),
        lines=(left.total, right.total),
        empty=(left.empty, right.empty),
        repeated=(left.repeated, right.repeated),
        unknown=(chosen[0].unknown, chosen[1].unknown),
        same_tokens=(chosen[0].same_tokens, chosen[1].same_tokens),
        truncated=(left_vectors.truncated, right_vectors.truncated),
        layer=job.recipe.layers[0],
        max_length=job.recipe.max_length,
        precision=job.recipe.precision,
        recall=neighbours.recall,
        seconds=time.monotonic() - start,
    )


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not math.isfinite(threshold):
        raise ConfigError(f"--threshold {threshold}: expected a score, such as 1.06 for the ratio margin")


def _select(neighbours: ShardedNeighbours, settings: MiningSettings) -> tuple[Pairs, Pairs]:
    """Return the one-to-one pairs, and those of them that reach the threshold."""
    threshold = settings.threshold
    scored = best_pairs(neighbours.forward, neighbours.backward, settings.margin, settings.retrieval)
    floor = 0.0 if threshold is None or threshold > 0 else -math.inf
    candidates = bucc.one_to_one(scored, floor)
    if threshold is None:
        return candidates, candidates
    return candidates, candidates.at(candidates.scores >= threshold)


class _Job:
    """Encodes and searches with settings that were checked against the model and the store.

    Raises:
        ConfigError: no such layer, adapter, index or backend, or a length that is too long for the model.
        ResourceError: the search backend does not work here.
    """

    def __init__(
        self, settings: MiningSettings, workspace: Workspace, device: str | None, ray: bool, report: ReportProgress
    ) -> None:
        self.settings, self.workspace, self.ray, self.report = settings, workspace, ray, report
        self.place = ModelPlace(settings.model, str(workspace.store.folder), workspace.offline, device)
        self.runtime = runtime_of(self.place)
        for remark in self.runtime.model.remarks:
            report(remark, 0, 0)
        base, stack = self._adapters()
        max_length = self._max_length()
        self._vectors = self._vector_settings()
        layer = self._layer(self._vectors.layer)
        if settings.index is not None:
            faiss.build_empty(settings.index, self.runtime.model.shape["hidden"])
        check_available(settings.backend)
        recipe = EncodingRecipe((layer,), self._vectors.pooling, max_length, settings.precision, None, base, stack)
        self.recipe = with_precision(recipe, self.runtime)

    def _adapters(self) -> tuple[str | None, tuple[str, ...]]:
        """Return the keys of the encoder (None for the base model) and of the adapters on it."""
        if self.settings.adapter is None:
            return None, ()
        return encoder_stack(select(self.settings.adapter, self.workspace.store))

    def _vector_settings(self) -> Retrieve:
        """Return layer, pooling and prefixes on this model; refuse a pooling that it does not have."""
        settings = self.settings
        asked = Retrieve(
            layer=settings.layer,
            pooling=settings.pooling,
            prefix=settings.prefix,
            foreign_prefix=settings.foreign_prefix,
            english_prefix=settings.english_prefix,
        )
        if reason := why_not_own(asked, self.runtime.model):
            raise ConfigError(f"--pooling own: {reason}")
        return for_model(asked, self.runtime.model)

    def _layer(self, layer: int | None) -> int:
        depth = self.runtime.model.shape["layers"]
        if layer is None:
            return default_layer(depth)
        if not 0 <= layer <= depth:
            raise ConfigError(f"--layer {layer}: the model has hidden states 0 to {depth}")
        return layer

    def _max_length(self) -> int:
        limit = self.runtime.model.max_tokens
        length = self.settings.max_length
        if length is None:
            return min(MAX_LENGTH, limit)
        if length > limit:
            raise ConfigError(f"--max-length {length}: the model takes at most {limit} tokens")
        return length

    def identity(self) -> dict[str, Any]:
        """Return everything that vectors depend on, for a key; the names of neighbours' folders hold the rest."""
        settings = self.settings
        prefixes = [self._vectors.prefix_of("foreign"), self._vectors.prefix_of("english")]
        return {
            **recipe_identity(self.recipe, self.runtime),
            "shard": settings.shard,
            "duplicates": settings.duplicates,
            **({"prefixes": prefixes} if any(prefixes) else {}),
        }

    def scan(self, path: Path) -> SentenceFile:
        """Find the sentences of a file.

        Raises:
            DataError: it cannot be read or has no sentence.
        """
        file = scan(path, one_form=self.settings.duplicates != "text")
        if not len(file):
            raise DataError(f"{path}: {counted(file.total, 'line')} and no sentence; expected one sentence per line")
        return file

    def select(self, side: str, file: SentenceFile, folder: Path) -> Selection:
        """Choose the sentences of a file that are mined, and warn if many of its tokens are unknown.

        Args:
            side: begins the names of its shards.
            file: its sentences.
            folder: keeps the choice.

        Raises:
            DataError: the model knows no word of any sentence.
        """

        def report(done: int, total: int) -> None:
            self.report(f"{file.path.name}: tokens of {done:,} of {counted(total, 'sentence')}", done, total)

        selection = select_sentences(
            file,
            self.runtime.tokenizer,
            self.recipe.max_length,
            self.settings.duplicates == "tokens",
            folder / f"{side}.npz",
            report,
            self._vectors.prefix_of(side),
        )
        if not len(selection.sentences):
            raise DataError(
                f"{file.path}: the model knows no word of any of its {counted(len(file), 'sentence')}; check the"
                " encoding of the text, or choose a model whose vocabulary covers its language"
            )
        if warning := selection.tokens.warning(str(file.path)):
            self.report(warning, 0, 0)
        return selection

    def encode(self, side: str, file: SentenceFile, folder: Path) -> EncodedFile:
        """Encode the shards of one file that are missing or damaged; neighbours are then searched again.

        Args:
            side: begins the names of its shards.
            file: the sentences.
            folder: gets the shards.
        """
        recipe = replace(self.recipe, prefix=self._vectors.prefix_of(side))
        jobs = split_file(file, self.settings.shard, folder / side, recipe, self.place)
        return encode_shards(jobs, partial(remove_neighbours, folder), self.ray, self.report)

    def search(self, foreign: EncodedFile, english: EncodedFile, folder: Path) -> ShardedNeighbours:
        """Find the neighbours of both sides; those that were found before are read."""
        settings = self.settings
        name = f"k{settings.k}" if settings.index is None else hashing.of([settings.index, settings.k])

        def report(done: int, total: int) -> None:
            self.report(f"search: {done} of {counted(total, 'piece')}", done, total)

        return search_shards(
            foreign.shards,
            english.shards,
            settings.k,
            folder / name,
            settings.index,
            self.ray,
            report,
            settings.backend,
        )


def _write(out: Path, pairs: Pairs, foreign: SentenceFile, english: SentenceFile) -> None:
    """Write a line per pair: score, line numbers and sentences; tabs and line ends in a sentence become spaces."""
    order = np.lexsort((pairs.english, pairs.foreign, -pairs.scores))
    with replacing(out) as file:
        for start in range(0, len(order), _BLOCK_PAIRS):
            block = pairs.at(order[start : start + _BLOCK_PAIRS])
            numbers = foreign.numbers[block.foreign], english.numbers[block.english]
            texts = foreign.texts(block.foreign), english.texts(block.english)
            for score, i, j, left, right in zip(block.scores, *numbers, *texts, strict=True):
                sentences = _BREAKS.sub(" ", left), _BREAKS.sub(" ", right)
                file.write("\t".join((f"{score:.6f}", str(i), str(j), *sentences)) + "\n")
        failpoint("mine:before-rename")
