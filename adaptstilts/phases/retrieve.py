"""A retrieve phase: sentences encoded with the encoder as it is after an intermediate phase, and searched.

Nothing is trained. Vectors are made as XTREME does: mean-pooled hidden states of one middle layer, unit length. What
is searched for and scored is the kind's: the nearest sentence (Tatoeba), or pairs above a threshold (mining).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.errors import DataError
from adaptstilts.kinds.retrieval import Retrieval, Side
from adaptstilts.models.resident import Resident
from adaptstilts.phases.evaluate import scored, write
from adaptstilts.phases.runtime import Runtime, half_precision
from adaptstilts.retrieval.encode import distinct, mean_pooled
from adaptstilts.retrieval.search import unit
from adaptstilts.spec import RetrievePhase


def default_layer(depth: int) -> int:
    """Two thirds of the depth: 8 of 12 layers, as XTREME takes for models of that size."""
    return round(depth * 2 / 3)


def retrieve(phase: RetrievePhase, runtime: Runtime, resident: Resident, staging: Path) -> None:
    """Run a retrieve phase; writes the same files as an evaluate phase.

    Raises:
        DataError: rows that are unusable, alone or together.
    """
    kind = cast(Retrieval, kinds.get(tasks.get(phase.task).kind))
    encoder = resident.encoder(phase.base, phase.stack)
    layer = phase.settings.layer
    layer = default_layer(encoder.depth) if layer is None else layer
    rows = {code: _rows(phase, runtime, kind, code) for code in phase.languages}
    sentences = {(code, name): s for code, found in rows.items() for name, s in kind.sentences(found).items()}
    sides = _encode(phase, runtime, kind, encoder, layer, sentences)
    done: dict[str, Any] = {}
    for code, examples in rows.items():
        found = kind.search(examples, {name: side for (of, name), side in sides.items() if of == code})
        counts = {"layer": layer, **found.counts}
        done[code] = scored(tasks.get(phase.task), code, found.predictions, found.gold, found.ids, found.total, counts)
    write(done, staging)


def _rows(phase: RetrievePhase, runtime: Runtime, kind: Retrieval, code: str) -> dict[str, Examples]:
    """The checked rows of one language, by the names that the kind gives them."""
    task = tasks.get(phase.task)
    found, files = {}, {}
    for place, source in task.reads("test", languages.resolve(code)).items():
        split = runtime.split(task, source, phase.data[place])
        name = place.removeprefix(code).removeprefix(".")
        found[name] = read(split, task.of(kind.fields[name.partition(".")[2]]), kind.check)
        files[name] = split.files[0]
    problem = kind.problem(found)
    if problem is not None:
        raise DataError(f"{files[problem[0]]}: {problem[1]}")
    return found


def _encode(
    phase: RetrievePhase,
    runtime: Runtime,
    kind: Retrieval,
    encoder: Any,
    layer: int,
    sentences: dict[tuple[str, str], list[str]],
) -> dict[tuple[str, str], Side]:
    """The sentences of every side, each distinct text encoded once."""
    texts, places = distinct([text for side in sentences.values() for text in side])
    task, settings = tasks.get(phase.task), phase.settings
    features = kind.features([{"text": text} for text in texts], runtime.tokenizer, task, settings.max_length)
    bf16 = half_precision(settings.precision, runtime.device)
    vectors = unit(mean_pooled(encoder, features, layer, runtime, bf16, phase.title))
    cut = np.array([item.place for item in features.items], bool)
    ends = np.cumsum([len(side) for side in sentences.values()])
    parts = np.split(np.array(places, np.int64), ends[:-1])
    return {name: Side(vectors, part, cut[part]) for name, part in zip(sentences, parts, strict=True)}
