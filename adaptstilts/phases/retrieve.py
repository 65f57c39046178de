"""A retrieve phase: sentences encoded with the encoder as it is after an intermediate phase, and searched.

Nothing is trained. By default vectors are made as XTREME does: mean-pooled hidden states of one middle layer, unit
length. What is searched for and scored is the kind's: the nearest sentence (Tatoeba), or pairs above a threshold
(mining). Other layers that are asked for are scored from the same pass; they never change which one is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.kinds.base import Searchable
from adaptstilts.kinds.sentence_search import RowSets, SearchResult, SentenceVectors
from adaptstilts.phases.evaluate import scored, write
from adaptstilts.plan.phases import RetrievePhase
from adaptstilts.retrieval.encode import deduplicate
from adaptstilts.retrieval.pooling import default_layer, subtract_mean
from adaptstilts.retrieval.vector_cache import CachedVectors, EncodingRecipe, encode_cached
from adaptstilts.runtime.context import Runtime
from adaptstilts.search import check_available
from adaptstilts.search.products import normalize
from adaptstilts.store import entries
from adaptstilts.store.entries import EncodingCost

Name = tuple[str, str]  # of a side: language, and what the kind calls it


def retrieve(phase: RetrievePhase, runtime: Runtime, staging: Path) -> None:
    """Run a retrieve phase; writes the same files as an evaluate phase, ``cost.json``, and ``layers.json`` if asked.

    ``layers.json`` is {layer: {language: {metric: value}}}; for mining it has the ``dev_f1`` that a threshold from
    that layer got.

    Raises:
        DataError: rows that are unusable, alone or together.
        ResourceError: the backend that was asked for is not there.
        Interrupted: asked to stop; what was encoded is kept.
    """
    check_available(phase.settings.backend)
    kind = kinds.searchable(tasks.get(phase.task).kind)
    rows = {code: _rows(phase, runtime, kind, code) for code in phase.languages}
    sentences = {(code, name): s for code, found in rows.items() for name, s in kind.sentences(found).items()}
    layer, layers = _layers(phase, runtime.model.shape["layers"])
    held, cost = _encode(phase, layers, sentences, runtime)
    done: dict[str, Any] = {}
    swept: dict[str, dict[str, dict[str, float]]] = {str(each): {} for each in layers}
    for code in phase.languages:
        for each in layers:
            if runtime.stop():
                raise Interrupted(f"{phase.title}: stopped after searching {len(done)} languages")
            found = _search(phase, kind, rows[code], code, held, each)
            result = _scored(phase, code, found, each)
            swept[str(each)][code] = _told(result)
            if each == layer:
                done[code] = result
    write(done, staging)
    entries.ENCODING_COST.write(staging, cost)
    if phase.settings.layers:
        entries.LAYERS.write(staging, swept)


def _layers(phase: RetrievePhase, depth: int) -> tuple[int, tuple[int, ...]]:
    """The layer that is reported, and all that are computed."""
    layer = phase.settings.layer
    layer = default_layer(depth) if layer is None else layer
    return layer, tuple(sorted({layer, *phase.settings.asked(depth)}))


def _rows(phase: RetrievePhase, runtime: Runtime, kind: Searchable, code: str) -> dict[str, Examples]:
    """The checked rows of one language, by the names that the kind gives them."""
    task = tasks.get(phase.task)
    found, files = {}, {}
    for place, source in task.reads("test", languages.resolve(code)).items():
        split = runtime.split(task, source, phase.data[place])
        name = place.removeprefix(code).removeprefix(".")
        row_set = name.partition(".")[2]
        found[name] = read(split, task.row_set(row_set), kind.check)
        files[name] = split.files[0]
    problem = kind.problem(found)
    if problem is not None:
        raise DataError(f"{files[problem[0]]}: {problem[1]}")
    return found


@dataclass(frozen=True)
class _Held:
    """The sentences of one side: where their vectors are, equal texts at equal places."""

    encoded: CachedVectors
    places: NDArray[np.int64]

    def side(self, layer: int, centering: bool) -> SentenceVectors:
        """Vectors of one layer, of unit length."""
        own, at, counts = np.unique(self.places, return_inverse=True, return_counts=True)
        found = self.encoded.at(layer, own)
        if centering:
            found = subtract_mean(found, counts)
        return SentenceVectors(normalize(found), at.reshape(-1).astype(np.int64), self.encoded.cut[self.places])


def _encode(
    phase: RetrievePhase,
    layers: tuple[int, ...],
    sentences: Mapping[Name, Sequence[str]],
    runtime: Runtime,
) -> tuple[dict[Name, _Held], EncodingCost]:
    """The sentences of every side, and what it took.

    Each distinct text is encoded once; with ``idf`` once for each side, whose texts the weights are made of.
    """
    settings = phase.settings
    recipe = EncodingRecipe(
        layers,
        settings.pooling,
        settings.max_length,
        settings.precision,
        settings.batch_tokens,
        phase.base,
        phase.stack,
    )
    found: dict[Name, _Held] = {}
    seconds, count = 0.0, 0
    groups = [[name] for name in sentences] if settings.pooling == "idf" else [list(sentences)]
    for names in groups:
        texts, places = deduplicate([text for name in names for text in sentences[name]])
        title = phase.title if len(groups) == 1 else f"{phase.title}, {' '.join(names[0])}"
        encoded = encode_cached(texts, recipe, runtime, title)
        ends = np.cumsum([len(sentences[name]) for name in names])
        parts = np.split(np.array(places, np.int64), ends[:-1])
        found |= {name: _Held(encoded, part) for name, part in zip(names, parts, strict=True)}
        seconds, count = seconds + encoded.seconds, count + encoded.encoded
    rate = count / seconds if count else None
    return found, {"encoding_seconds": seconds, "encoded_sentences": count, "sentences_per_second": rate}


def _search(
    phase: RetrievePhase, kind: Searchable, rows: RowSets, code: str, held: Mapping[Name, _Held], layer: int
) -> SearchResult:
    sides = {name: own.side(layer, phase.settings.centering) for (of, name), own in held.items() if of == code}
    return kind.search(rows, sides, phase.settings)


def _scored(phase: RetrievePhase, code: str, found: SearchResult, layer: int) -> dict[str, Any]:
    counts = {"layer": layer, **found.counts}
    task = tasks.get(phase.task)
    result = scored(task, code, found.predictions, found.gold, found.ids, found.total, counts)
    for name, metric in found.more.items():
        result["scores"]["values"][name] = metric.value
        result["stats"][name] = {"measure": metric.measure, "stats": [list(s) for s in metric.stats]}
    return result


def _told(result: dict[str, Any]) -> dict[str, float]:
    """What a layer is compared by: its metrics, and the score on dev where there is one."""
    scores = result["scores"]
    return {**scores["values"], **({"dev_f1": scores["dev_f1"]} if "dev_f1" in scores else {})}
