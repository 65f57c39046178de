"""An evaluate phase: a target adapter over any intermediate adapters, in every language. Nothing is trained."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from adaptstilts import kinds
from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.rank import rank
from adaptstilts.plan.phases import EvaluatePhase, MergePhase, TrainPhase, WeightsPhase, phase_of
from adaptstilts.runtime.adapter_pool import Resident
from adaptstilts.runtime.checkpoints import Checkpoints
from adaptstilts.runtime.context import Runtime, half_precision
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.layer_cache import Frozen, identity
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.study import Train
from adaptstilts.tasks import Task, kind_specs


def evaluate(phase: EvaluatePhase, runtime: Runtime, staging: Path) -> None:
    """Run an evaluate phase and write ``scores.json``, ``stats.json`` and ``predictions/<language>.json``.

    Raises:
        DataError: a language's rows are unusable, or its labels look withheld.
        ArtifactError: an adapter does not belong to this base model or to this trunk.
    """
    store = runtime.workspace.store
    target = store.entry(phase.target)
    encoder = _encoder(phase, target, runtime.adapter_pool, phase.languages[0])
    task = runtime.task(phase.task)
    head = runtime.adapter_pool.head(encoder, phase.target, task)
    length = phase.settings.max_length or _trained(store, target).max_length
    if kind_specs.get(task.kind).shares_pool:  # all languages at once
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
                encoder = _encoder(phase, target, runtime.adapter_pool, code) if phase.below else encoder
                done[code] = _language(phase, runtime, encoder, head, task, code, length)
        except Interrupted:
            checkpoints.save(len(done), {}, done)
            raise Interrupted(f"{phase.title}: stopped after {len(done)} languages") from None
        runtime.report(phase.title, len(done), len(phase.languages))
        if time.monotonic() - saved > runtime.checkpoint_seconds:
            checkpoints.save(len(done), {}, done)
            saved = time.monotonic()
    write(done, staging)


def _encoder(phase: EvaluatePhase, target: Entry, resident: Resident, code: str) -> Encoder:
    """The encoder for one language: what the target trained over what is asked for."""
    trained = phase_of(target, WeightsPhase)
    if trained.method.trains_encoder:
        return resident.encoder(phase.target, ())
    below = (phase.below[code],) if phase.below else ()
    return resident.encoder(trained.base, (*below, *phase.stack, phase.target))


def _trained(store: Store, target: Entry) -> Train:
    """The settings that a target was trained with; of a weighted sum those of its last part."""
    phase = phase_of(target, WeightsPhase)
    while isinstance(phase, MergePhase):
        phase = phase_of(store.entry(phase.of[-1]), WeightsPhase)
    return phase.settings if isinstance(phase, TrainPhase) else Train()


def _language(
    phase: EvaluatePhase, runtime: Runtime, encoder: Any, head: Any, task: Task, code: str, length: int
) -> dict[str, Any]:
    kind = kinds.trainable(task.kind)
    source = task.test if phase.settings.split == "test" else task.dev
    assert source is not None  # noqa: S101
    examples, features = runtime.rows(task, task.fill(source, code), phase.data[code], length, phase.settings.examples)
    gold = kind.gold(examples.rows, task)
    labels = kind.labels(gold)
    if withheld(labels):
        raise DataError(f"{source}: {code}: every gold label is {labels[0]!r}; the labels look withheld")
    bf16 = half_precision(phase.settings.precision, runtime.device)
    frozen = _frozen(phase, runtime, encoder, bf16)
    with frozen.over(features) if frozen else nullcontext() as below:
        outputs = predict(encoder, head, kind, features, runtime.tokenizer.pad, bf16, runtime.stop, below)
    predictions = kind.decode(outputs, features, examples.rows, task)
    counts = {"truncated": features.truncated, "dropped": dict(examples.dropped), "handled": dict(features.counts)}
    return scored(task, code, predictions, gold, examples.ids, examples.total, counts)


def _frozen(phase: EvaluatePhase, runtime: Runtime, encoder: Encoder, bf16: bool) -> Frozen | None:
    """The layers that other phases share, if there are any: what they give is kept for those, to the bit."""
    store, model = runtime.workspace.store, runtime.model
    target = phase_of(store.entry(phase.target), WeightsPhase)
    block, base = encoder.first_active_block(), target.base
    if target.method.trains_encoder:
        block, base = target.method.lowest_block(encoder.depth), phase.target
    if block < 2:  # no layer: not worth the disk
        return None
    trunk = identity(store, model, base, block)
    return Frozen(runtime.trunk_cache, encoder, trunk, block, bf16, exact=True, remark=None)


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
    entries.SCORES.write(staging, {code: result["scores"] for code, result in done.items()})
    entries.STATS.write(staging, {code: result["stats"] for code, result in done.items()})
    for code, result in done.items():
        entries.predictions(code).write(staging, result["predictions"])
