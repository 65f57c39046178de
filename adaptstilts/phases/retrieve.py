"""A retrieve phase: Tatoeba with the encoder as it is after an intermediate phase. Nothing is trained.

As XTREME does it: mean-pooled hidden states of one middle layer, unit length, English queries against the foreign
sentences as the index, the nearest one counts; accuracy per language.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.models.resident import Resident
from adaptstilts.phases.evaluate import scored, write
from adaptstilts.phases.runtime import Runtime, half_precision
from adaptstilts.retrieval.encode import distinct, mean_pooled
from adaptstilts.retrieval.search import nearest, unit
from adaptstilts.spec import RetrievePhase


def default_layer(depth: int) -> int:
    """Two thirds of the depth: 8 of 12 layers, as XTREME takes for models of that size."""
    return round(depth * 2 / 3)


def retrieve(phase: RetrievePhase, runtime: Runtime, resident: Resident, staging: Path) -> None:
    """Run a retrieve phase; writes the same files as an evaluate phase."""
    task = tasks.get(phase.task)
    kind = kinds.get(task.kind)
    encoder = resident.encoder(phase.base, phase.stack)
    layer = phase.settings.layer
    layer = default_layer(encoder.depth) if layer is None else layer
    pairs = {code: _pairs(phase, runtime, code) for code in phase.languages}
    sides = [row[side] for found in pairs.values() for side in ("english", "foreign") for row in found.rows]
    texts, places = distinct(sides)
    features = kind.features([{"text": text} for text in texts], runtime.tokenizer, task, phase.settings.max_length)
    bf16 = half_precision(phase.settings.precision, runtime.device)
    vectors = unit(mean_pooled(encoder, features, layer, runtime, bf16, phase.title))
    done: dict[str, Any] = {}
    at = 0
    for code, found in pairs.items():
        n = len(found.rows)
        english, foreign = places[at : at + n], places[at + n : at + 2 * n]
        at += 2 * n
        rows, _ = nearest(vectors[english], vectors[foreign])
        cut = sum(features.items[a].place or features.items[b].place for a, b in zip(english, foreign, strict=True))
        gold = kind.gold(found.rows, task)
        counts = {"layer": layer, "direction": "english to foreign", "truncated": cut, "dropped": dict(found.dropped)}
        done[code] = scored(kind, rows.tolist(), gold, found.ids, found.total, counts)
    write(done, staging)


def _pairs(phase: RetrievePhase, runtime: Runtime, code: str) -> Examples:
    task = tasks.get(phase.task)
    assert task.test is not None  # noqa: S101
    split = runtime.split(task, task.test.at(languages.resolve(code)), phase.data[code])
    return read(split, task, kinds.get(task.kind).check)
