"""A retrieve phase: encode sentences with the encoder that an intermediate phase left, and search them.

Nothing is trained. By default vectors are computed as in XTREME: mean-pooled hidden states of one middle layer, unit
length. The kind decides what is searched and scored: the nearest sentence (Tatoeba), or pairs above a threshold
(mining). Other requested layers are scored from the same pass; they never change which layer is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.io.wording import counted
from adaptstilts.kinds.sentence_search import SentenceVectors
from adaptstilts.models.unknown_tokens import TokenCount
from adaptstilts.phases.scoring import LanguageResult, item_names, score_language, write_results
from adaptstilts.plan.phases import RetrievePhase
from adaptstilts.retrieval.encode import deduplicate
from adaptstilts.retrieval.pooling import default_layer, subtract_mean
from adaptstilts.retrieval.vector_cache import CachedVectors, EncodingRecipe, encode_cached
from adaptstilts.runtime.context import Runtime
from adaptstilts.search import check_available
from adaptstilts.search.products import normalize
from adaptstilts.store import entries
from adaptstilts.store.contents import EncodingCost

SideName = tuple[str, str]  # language, and the kind's name for the side


def retrieve(phase: RetrievePhase, runtime: Runtime, staging: Path) -> None:
    """Run a retrieve phase; write the files of an evaluate phase, ``cost.json``, and ``layers.json`` if asked for.

    ``layers.json`` is {layer: {language: {metric: value}}}; for mining it has the ``dev_f1`` at the threshold that
    was chosen with that layer.

    Args:
        phase: names the languages, the layer and how to search.
        runtime: the store, the data and the loaded adapters.
        staging: folder of the entry's files.

    Raises:
        DataError: rows are unusable, alone or together.
        ResourceError: the search backend is not available.
        Interrupted: the runtime asked to stop; encoded sentences are kept.
    """
    check_available(phase.settings.backend)
    with runtime.interruptible():
        runtime.stage(f"{phase.title}: reading the data")
        retrieval = _Retrieval(phase, runtime)
    cost = retrieval.encode()
    runtime.stage(f"{phase.title}: searching")
    results: dict[str, LanguageResult] = {}
    by_layer: dict[str, dict[str, dict[str, float]]] = {str(layer): {} for layer in retrieval.layers}
    for code in phase.languages:
        for layer in retrieval.layers:
            if runtime.stop():
                raise Interrupted(f"{phase.title}: stopped after searching {counted(len(results), 'language')}")
            result = retrieval.search(code, layer)
            by_layer[str(layer)][code] = _compared_values(result)
            if layer == retrieval.layer:
                results[code] = result
    write_results(results, staging)
    entries.ENCODING_COST.write(staging, cost)
    if phase.settings.layers:
        entries.LAYERS.write(staging, by_layer)


@dataclass(frozen=True)
class _EncodedSide:
    """The sentences of one side.

    Attributes:
        encoded: vectors of distinct texts.
        places: (sentences,) number of each sentence's text.
    """

    encoded: CachedVectors
    places: NDArray[np.int64]

    def vectors(self, layer: int, centering: bool) -> SentenceVectors:
        """Return the unit vectors of one layer.

        Args:
            layer: hidden state.
            centering: subtract the mean of the sentences first.
        """
        texts, places, counts = np.unique(self.places, return_inverse=True, return_counts=True)
        values = self.encoded.at(layer, texts)
        if centering:
            values = subtract_mean(values, counts)
        cut, known = self.encoded.cut[self.places], self.encoded.known[self.places]
        return SentenceVectors(normalize(values), places.reshape(-1).astype(np.int64), cut, known)

    def token_count(self) -> TokenCount:
        """Return how many tokens its sentences have."""
        tokens, unknown = self.encoded.tokens[self.places].sum(axis=0).tolist()
        return TokenCount(tokens, unknown)


class _Retrieval:
    """The rows of a phase and the vectors of their sentences.

    Attributes:
        layer: hidden state whose scores are reported.
        layers: hidden states that are computed, ascending.
    """

    def __init__(self, phase: RetrievePhase, runtime: Runtime) -> None:
        self.phase, self.runtime, self.task = phase, runtime, tasks.get(phase.task)
        self.kind = kinds.searchable(self.task.kind)
        self.rows = {code: self._rows(code) for code in phase.languages}
        depth = runtime.model.shape["layers"]
        layer = phase.settings.layer
        self.layer = default_layer(depth) if layer is None else layer
        self.layers = tuple(sorted({self.layer, *phase.settings.further_layers(depth)}))
        self.sides: dict[SideName, _EncodedSide] = {}

    def _rows(self, code: str) -> dict[str, Examples]:
        """Read and check the rows of one language, by the names that the kind uses."""
        rows, files = {}, {}
        for place, source in self.task.reads("test", languages.resolve(code)).items():
            split = self.runtime.split(self.task, source, self.phase.data[place])
            name = place.removeprefix(code).removeprefix(".")
            row_set = name.partition(".")[2]
            rows[name] = read(split, self.task.row_set(row_set), self.kind.check)
            files[name] = split.files[0]
        problem = self.kind.problem(rows)
        if problem is not None:
            raise DataError(f"{files[problem[0]]}: {problem[1]}")
        return rows

    def encode(self) -> EncodingCost:
        """Encode the sentences of every side, and return the cost.

        Each distinct text is encoded once with each prefix; with ``idf`` once for each side, because its texts
        determine the weights.
        """
        sentences: dict[SideName, list[str]] = {}
        for code, rows in self.rows.items():
            for name, texts in self.kind.sentences(rows).items():
                sentences[code, name] = texts
        is_per_side = self.phase.settings.pooling == "idf"
        groups = [[name] for name in sentences] if is_per_side else self._by_prefix(sentences)
        seconds, count = 0.0, 0
        for names in groups:
            title = f"{self.phase.title}, {' '.join(names[0])}" if len(groups) > 1 else self.phase.title
            encoded = self._encode_group({name: sentences[name] for name in names}, title)
            seconds, count = seconds + encoded.seconds, count + encoded.encoded
        rate = count / seconds if count else None
        return {"encoding_seconds": seconds, "encoded_sentences": count, "sentences_per_second": rate}

    def _by_prefix(self, sides: Iterable[SideName]) -> list[list[SideName]]:
        """Return the sides that have the same prefix together."""
        groups: dict[str, list[SideName]] = {}
        for name in sides:
            groups.setdefault(self._prefix(name), []).append(name)
        return list(groups.values())

    def _prefix(self, side: SideName) -> str:
        return self.phase.settings.prefix_of(side[1].rpartition(".")[2])

    def _encode_group(self, sides: Mapping[SideName, Sequence[str]], title: str) -> CachedVectors:
        """Encode some sides together.

        Args:
            sides: the sentences of each; all have the same prefix.
            title: text of the progress lines.
        """
        settings = self.phase.settings
        recipe = EncodingRecipe(
            self.layers,
            settings.pooling,
            settings.max_length,
            settings.precision,
            settings.batch_tokens,
            self.phase.base,
            self.phase.stack,
            self._prefix(next(iter(sides))),
        )
        texts, places = deduplicate(list(chain.from_iterable(sides.values())))
        encoded = encode_cached(texts, recipe, self.runtime, title)
        ends = np.cumsum([len(sentences) for sentences in sides.values()])
        parts = np.split(np.array(places, np.int64), ends[:-1])
        for name, part in zip(sides, parts, strict=True):
            side = self.sides[name] = _EncodedSide(encoded, part)
            self.runtime.warn_of_unknown(", ".join((self.task.name, *name)), side.token_count())
        return encoded

    def search(self, code: str, layer: int) -> LanguageResult:
        """Search and score the sentences of one language.

        Args:
            code: code of the language.
            layer: hidden state whose vectors are searched.
        """
        settings = self.phase.settings
        sides: dict[str, SentenceVectors] = {}
        for (language, name), side in self.sides.items():
            if language == code:
                sides[name] = side.vectors(layer, settings.centering)
        result = self.kind.search(self.rows[code], sides, settings)
        return score_language(
            self.task,
            code,
            result.predictions,
            result.gold,
            result.ids,
            result.total,
            {"layer": layer, **result.counts},
            result.more,
            item_names(self.task, self.rows[code][""].rows) if self.task.item else None,
        )


def _compared_values(result: LanguageResult) -> dict[str, float]:
    """Return the values that compare layers: their metrics and, for mining, F1 on dev."""
    scores = result["scores"]
    values = dict(scores["values"])
    if "dev_f1" in scores:
        values["dev_f1"] = scores["dev_f1"]
    return values
