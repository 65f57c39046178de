"""An evaluate phase: a target adapter over any intermediate adapters, in every language. Nothing is trained."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from adaptstilts import kinds
from adaptstilts.data.agreement import Disagreements, disagreements
from adaptstilts.data.examples import Examples, withheld
from adaptstilts.data.shots import equal_rows
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.io.wording import counted
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.rank import rank
from adaptstilts.phases.scoring import LanguageResult, item_names, score_language, write_results
from adaptstilts.plan.measures import MeasurePhase
from adaptstilts.plan.phases import EvaluatePhase, MergePhase, TrainPhase, WeightsPhase, phase_of
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.runtime.checkpoints import Checkpoints
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.layer_cache import FrozenLayers, identity
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.study import Train
from adaptstilts.tasks import kind_specs


def evaluate(phase: EvaluatePhase, runtime: Runtime, staging: Path) -> None:
    """Run an evaluate phase and write ``scores.json``, ``stats.json`` and ``predictions/<language>.json``.

    Args:
        phase: names the target, what is under it, the head and the rows.
        runtime: the store, the data and the loaded adapters.
        staging: folder of the entry's files.

    Raises:
        DataError: a language's rows are unusable, or its labels look withheld.
        ArtifactError: an adapter does not belong to this base model or to this trunk.
        Interrupted: the runtime asked to stop; finished languages are kept.
    """
    with runtime.interruptible():
        evaluation = _Evaluation(phase, runtime)
    if kind_specs.get(evaluation.task.kind).shares_pool:
        results = evaluation.all_languages_at_once()
    else:
        results = evaluation.language_by_language()
        for column, counts in evaluation.disagreements().items():
            for code, count in counts.items():
                results[code]["scores"].setdefault("differs", {})[column] = count
    write_results(results, staging)


class _Evaluation:
    """The trained target of a phase, and what is needed to score it.

    Attributes:
        target: entry whose encoder or adapter acts.
        trained: entry whose head answers; it was trained on the task.
    """

    def __init__(self, phase: EvaluatePhase, runtime: Runtime) -> None:
        self.phase, self.runtime = phase, runtime
        store = runtime.workspace.store
        self.target = store.entry(phase.target)
        head = phase.head or phase.target
        self.trained = store.entry(head)
        self.task = runtime.task(phase.task)
        self.length = phase.settings.max_length or train_settings(store, self.trained).max_length
        self.bf16 = half_precision(phase.settings.precision, runtime.device)
        runtime.stage(f"{phase.title}: loading the model")
        self.encoder = self._encoder_for(phase.languages[0])
        self.head = runtime.adapter_pool.head(self.encoder, head, self.task)

    def all_languages_at_once(self) -> dict[str, LanguageResult]:
        """Score a task whose languages share one pool of candidates."""
        results: dict[str, LanguageResult] = {}
        for code, ranked in rank(self.phase, self.runtime, self.encoder, self.head, self.length).items():
            results[code] = score_language(
                self.task,
                code,
                ranked.predictions,
                ranked.gold,
                ranked.ids,
                ranked.total,
                ranked.counts,
                items=ranked.items,
            )
        return results

    def language_by_language(self) -> dict[str, LanguageResult]:
        """Score one language after the other, and keep those that are finished if the phase is interrupted."""
        phase, runtime = self.phase, self.runtime
        checkpoints = Checkpoints(runtime.workspace.store.work(phase.key))
        checkpoint = checkpoints.load()
        results: dict[str, LanguageResult] = checkpoint[1] if checkpoint else {}
        saved = time.monotonic()
        runtime.report(phase.title, len(results), len(phase.languages))
        for code in phase.languages:
            try:
                if code not in results:
                    results[code] = self._language(code)
            except Interrupted:
                checkpoints.save(len(results), {}, results)
                raise Interrupted(f"{phase.title}: stopped after {counted(len(results), 'language')}") from None
            runtime.report(phase.title, len(results), len(phase.languages))
            if time.monotonic() - saved > runtime.checkpoint_seconds:
                checkpoints.save(len(results), {}, results)
                saved = time.monotonic()
        return results

    def disagreements(self) -> Disagreements:
        """Count the rows that say something else in one language than in most of the others."""
        phase, task = self.phase, self.task
        if phase.settings.split != "test" or task.test is None:
            return {}
        splits = {}
        for code in phase.languages:
            splits[code] = self.runtime.split(task, task.fill(task.test, code), phase.data[code])
        return disagreements(task, splits)

    def _language(self, code: str) -> LanguageResult:
        """Predict and score the rows of one language."""
        if self.phase.below:
            self.encoder = self._encoder_for(code)
        kind, task, settings = kinds.trainable(self.task.kind), self.task, self.phase.settings
        source = task.test if settings.split == "test" else task.dev
        assert source is not None  # noqa: S101
        source = task.fill(source, code)
        examples, features = self.runtime.rows(task, source, self.phase.data[code], self.length, settings.examples)
        gold = kind.gold(examples.rows, task)
        labels = kind.labels(gold)
        if withheld(labels):
            raise DataError(f"{source}: {code}: every gold label is {labels[0]!r}; the labels look withheld")
        frozen, pad = self._frozen_layers(), self.runtime.tokenizer.pad
        with frozen.states_of(features) if frozen else nullcontext() as lower:
            outputs = predict(self.encoder, self.head, kind, features, pad, self.bf16, self.runtime.stop, lower)
        predictions = kind.decode(outputs, features, examples.rows, task)
        counts = {
            "truncated": features.truncated,
            "dropped": dict(examples.dropped),
            "handled": dict(features.counts),
            **self._counted_in_training(examples, code),
        }
        items = item_names(task, examples.rows)
        return score_language(task, code, predictions, gold, examples.ids, examples.total, counts, items=items)

    def _counted_in_training(self, examples: Examples, code: str) -> dict[str, int]:
        """Count the examples that the head was trained on, if it was trained on rows of this language."""
        phase = phase_of(self.trained, WeightsPhase)
        if not (isinstance(phase, TrainPhase) and phase.shots and phase.shots.language == code):
            return {}
        task = self.runtime.task(phase.rows)
        source, digest = task.shot_source(code), phase.data["train"]
        trained, _ = self.runtime.rows(task, source, digest, phase.settings.max_length, shots=phase.shots)
        return {"in_training": equal_rows(examples, trained, self.task)}

    def _encoder_for(self, code: str) -> Encoder:
        return target_encoder(self.phase, self.target, self.runtime.adapter_pool, code)

    def _frozen_layers(self) -> FrozenLayers | None:
        """Return the frozen layers whose exact states are kept for other phases; None if there are none."""
        store, model = self.runtime.workspace.store, self.runtime.model
        target = phase_of(self.target, WeightsPhase)
        block, base = self.encoder.first_active_block(), target.base
        if target.method.trains_encoder:
            block, base = target.method.lowest_block(self.encoder.depth), self.phase.target
        if block < 2:  # less than one layer is not worth the disk space
            return None
        trunk = identity(store, model, base, block)
        return FrozenLayers(self.runtime.state_cache, self.encoder, trunk, block, self.bf16, exact=True, remark=None)


def target_encoder(phase: EvaluatePhase | MeasurePhase, target: Entry, pool: AdapterPool, code: str) -> Encoder:
    """Return the encoder for one language: the target's adapter on the requested stack.

    Args:
        phase: names the adapters below the target's adapter.
        target: entry of the target phase.
        pool: loads adapters.
        code: code of the language; matters if there are language adapters.
    """
    target_phase = phase_of(target, WeightsPhase)
    if target_phase.method.trains_encoder:
        return pool.encoder(phase.target, ())
    language_adapter = (phase.below[code],) if phase.below else ()
    return pool.encoder(target_phase.base, (*language_adapter, *phase.stack, phase.target))


def train_settings(store: Store, target: Entry) -> Train:
    """Return the training settings of a target; for a weighted sum those of its last part."""
    phase = phase_of(target, WeightsPhase)
    while isinstance(phase, MergePhase):
        phase = phase_of(store.entry(phase.of[-1]), WeightsPhase)
    return phase.settings if isinstance(phase, TrainPhase) else Train()
