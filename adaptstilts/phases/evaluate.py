"""An evaluate phase: a target adapter over any intermediate adapters, in every language. Nothing is trained."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from adaptstilts import kinds, languages
from adaptstilts.config import Train
from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.models.resident import Resident
from adaptstilts.phases.checkpoint import Checkpoints
from adaptstilts.phases.inference import predict
from adaptstilts.phases.rank import rank
from adaptstilts.phases.runtime import Runtime, half_precision
from adaptstilts.spec import EvaluatePhase
from adaptstilts.tasks import Task


def evaluate(phase: EvaluatePhase, runtime: Runtime, resident: Resident, staging: Path) -> None:
    """Run an evaluate phase and write ``scores.json``, ``stats.json`` and ``predictions/<language>.json``.

    Raises:
        DataError: a language's rows are unusable, or its labels look withheld.
        ArtifactError: an adapter does not belong to this base model or to this trunk.
    """
    store = runtime.workspace.store
    target = store.entry(phase.target)
    if target.spec["method"]["kind"] == "full":
        encoder = resident.encoder(phase.target, ())
    else:
        encoder = resident.encoder(target.spec.get("base"), (*phase.stack, phase.target))
    task = runtime.task(phase.task)
    head = resident.head(encoder, phase.target, task)
    length = phase.settings.max_length or Train.model_validate(target.spec.get("train", {})).max_length
    if task.kind == "ranking":  # all languages at once
        ranked = rank(phase, runtime, encoder, head, length)
        write(
            {
                code: scored(task, code, held.predictions, held.gold, held.ids, held.total, held.counts)
                for code, held in ranked.items()
            },
            staging,
        )
        return
    checkpoints = Checkpoints(store.work(phase.key))
    found = checkpoints.load()
    done: dict[str, Any] = found[1] if found else {}
    saved = time.monotonic()
    for code in phase.languages:
        try:
            if code not in done:
                done[code] = _language(phase, runtime, encoder, head, task, code, length)
        except Interrupted:
            checkpoints.save(len(done), {}, done)
            raise Interrupted(f"{phase.title}: stopped after {len(done)} languages") from None
        runtime.report(phase.title, len(done), len(phase.languages))
        if time.monotonic() - saved > runtime.checkpoint_seconds:
            checkpoints.save(len(done), {}, done)
            saved = time.monotonic()
    write(done, staging)


def _language(
    phase: EvaluatePhase, runtime: Runtime, encoder: Any, head: Any, task: Task, code: str, length: int
) -> dict[str, Any]:
    kind = kinds.get(task.kind)
    source = task.test if phase.settings.split == "test" else task.dev
    assert source is not None  # noqa: S101
    examples, features = runtime.rows(
        task, source.at(languages.resolve(code)), phase.data[code], length, phase.settings.examples
    )
    gold = kind.gold(examples.rows, task)
    labels = [tag for row in gold for tag in row] if task.kind == "tagging" else gold
    if task.kind != "span" and withheld(labels):
        raise DataError(f"{source}: {code}: every gold label is {labels[0]!r}; the labels look withheld")
    bf16 = half_precision(phase.settings.precision, runtime.device)
    outputs = predict(encoder, head, kind, features, runtime.tokenizer.pad, bf16, runtime.stop)
    predictions = kind.decode(outputs, features, examples.rows, task)
    counts = {"truncated": features.truncated, "dropped": dict(examples.dropped), "handled": dict(features.counts)}
    return scored(task, code, predictions, gold, examples.ids, examples.total, counts)


def scored(
    task: Task,
    code: str,
    predictions: list[Any],
    gold: list[Any],
    ids: list[int],
    total: int,
    counts: dict[str, Any],
) -> dict[str, Any]:
    """Predictions of one language with their scores and the statistics that intervals are made from."""
    metrics = kinds.get(task.kind).score(predictions, gold, task, code)
    return {
        "scores": {
            "values": {name: metric.value for name, metric in metrics.items()},
            "n": len(ids),
            "rows": total,
            **counts,
        },
        "stats": {name: {"measure": m.measure, "stats": [list(s) for s in m.stats]} for name, m in metrics.items()},
        "predictions": {"ids": ids, "predictions": predictions},
    }


def write(done: dict[str, Any], staging: Path) -> None:
    """The files of an evaluate or retrieve entry."""
    for name in ("scores", "stats"):
        held = {code: result[name] for code, result in done.items()}
        (staging / f"{name}.json").write_text(json.dumps(held, allow_nan=False), encoding="utf-8")
    folder = staging / "predictions"
    folder.mkdir()
    for code, result in done.items():
        text = json.dumps(result["predictions"], ensure_ascii=False, allow_nan=False)
        (folder / f"{code}.json").write_text(text, encoding="utf-8")
