"""Scores of a plan, read from its store: one record per cell, with paired intervals.

A task's score in a language is the mean of its headline metrics; over languages it is the plain mean including
English, as XTREME does. Differences between two cells come with a 95 % interval of a paired bootstrap over examples
(Efron and Tibshirani 1993, chapter 13): the same resampled examples go into both sides, and where the rows of a task
are parallel the same items are drawn in every language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from adaptstilts import tasks
from adaptstilts.metrics.bootstrap import Difference, Draws, LanguageStats, Resampled, paired_difference, same_examples
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.phases import EvaluatePhase, phase_of
from adaptstilts.store.entries import (
    COST,
    HEAD,
    LAYERS,
    SCORES,
    STATS,
    TRAIN_RESULT,
    WEIGHT_FOLDERS,
    Entry,
    parents,
)
from adaptstilts.store.store import Store


@dataclass(frozen=True)
class Record:
    """One combination of task, method and intermediates, averaged over seeds. Values are None until computed.

    Attributes:
        english: score in English, where the task has it.
        others: mean over the other languages.
        gap: transfer gap: English minus the others.
        mean: mean over all languages, English included.
        languages: score of every language.
        metrics: every metric, averaged over languages.
        n: examples per language, smallest and largest.
        subset: whether fewer rows were read than the split has.
        truncated: share of examples that lost tokens to the maximum length.
        thresholds: score threshold of every language, where dev gives one, averaged over seeds.
        oracle_thresholds: the same, where it was chosen on the rows that are scored.
        layer: hidden state that sentences were searched by (retrieval); ``layers``: means by every one asked for.
        pool: what queries are ranked against (kind ranking): ``candidates``, how many of them were ``truncated``, and
            where languages have their own, from how many ``languages`` ``of`` all.
        missing: languages of the task that the data does not have.
        split: the rows that were evaluated: ``test`` or ``dev``.
        trainable: trained parameters of the encoder part; ``head``: those of the head.
        bytes: stored for this target: its last adapter (or encoder) and its head.
        seconds: of the target's own training phases; ``intermediate_seconds``: of the intermediate one.
        peak_bytes: memory above what was held before training.
        vs_reference: difference to the reference method on the same intermediate task.
        vs_none: difference to the same method without an intermediate task.
        vs_trained: after a swap: difference to the intermediate the target was trained on.
        composition: how the target uses its intermediates.
        vs_others: in a study of several compositions: difference to each other result of the task and the method.
    """

    task: str
    method: str
    trained_on: str
    over: str
    seeds: tuple[int, ...]
    phases: tuple[str, ...]
    complete: bool
    english: float | None = None
    others: float | None = None
    gap: float | None = None
    mean: float | None = None
    spread: float | None = None
    languages: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    n: tuple[int, int] | None = None
    subset: bool = False
    truncated: float = 0.0
    dropped: int = 0
    thresholds: dict[str, float] = field(default_factory=dict)
    oracle_thresholds: dict[str, float] = field(default_factory=dict)
    layer: int | None = None
    layers: dict[int, float] = field(default_factory=dict)
    pool: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    split: str = "test"
    trainable: int | None = None
    head: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    intermediate_seconds: float | None = None
    peak_bytes: int | None = None
    examples_per_second: float | None = None
    vs_reference: Difference | None = None
    vs_none: Difference | None = None
    vs_trained: Difference | None = None
    composition: str = "stack"
    vs_others: dict[str, Difference] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def records(plan: Plan, store: Store) -> list[Record]:
    """One record for every combination of a plan, in the order of the study."""
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.task, cell.method, cell.trained_on, cell.over), []).append(cell)
    reader = _Reader(store)
    reference = _reference(plan)
    compared = len({cell.composition for cell in plan.cells} - {"none"}) > 1
    found = []
    for (task, method, trained_on, over), cells in groups.items():
        against = {
            "vs_reference": (task, reference, trained_on, over) if method != reference else None,
            "vs_none": (task, method, "none", "none") if trained_on == over != "none" else None,
            "vs_trained": (task, method, trained_on, trained_on) if trained_on != over else None,
        }
        differences = {
            name: reader.difference(cells, groups[key]) for name, key in against.items() if key and key in groups
        }
        split = str(getattr(getattr(plan.phases[cells[0].phase], "settings", None), "split", "test"))
        others = [
            (key[2], held)
            for key, held in groups.items()
            if compared and key[:2] == (task, method) and key[2] == key[3] != trained_on == over
        ]
        pairs = {name: difference for name, held in others if (difference := reader.difference(cells, held))}
        found.append(replace(reader.record(cells, differences), split=split, vs_others=pairs))
    return found


def _reference(plan: Plan) -> str:
    """The method that others are compared with: full fine-tuning where the study has it, else its first."""
    arms = plan.study.methods
    return next((arm for arm in arms if arm.method.is_reference), arms[0]).label


class _Reader:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._stats: dict[str, LanguageStats] = {}
        self._draws: dict[str, Draws] = {}
        self._resampled: dict[str, Resampled] = {}

    def record(self, cells: Sequence[Cell], differences: Mapping[str, Difference | None]) -> Record:
        """The record of one combination, its cells being its seeds."""
        first = cells[0]
        complete = all(self.store.has(cell.phase) for cell in cells)
        record: dict[str, Any] = {
            "task": first.task,
            "method": first.method,
            "trained_on": first.trained_on,
            "over": first.over,
            "seeds": tuple(cell.seed for cell in cells),
            "phases": tuple(cell.phase for cell in cells),
            "complete": complete,
            "missing": first.missing,
            "composition": first.composition,
        }
        if complete:
            record |= self._scores(cells) | self._costs(cells) | dict(differences)
        return Record(**record)

    def difference(self, cells: Sequence[Cell], others: Sequence[Cell]) -> Difference | None:
        """Paired over examples and seeds; None unless both sides are there and hold the same examples."""
        pairs = [(a, b) for a in cells for b in others if a.seed == b.seed]
        if not pairs or not all(self.store.has(c.phase) for pair in pairs for c in pair):
            return None
        if not all(same_examples(self.stats(a.phase), self.stats(b.phase)) for a, b in pairs):
            return None
        return paired_difference([self.resampled(a) for a, _ in pairs], [self.resampled(b) for _, b in pairs])

    def resampled(self, cell: Cell) -> Resampled:
        """The score of a cell's phase under the draws of its task."""
        if cell.phase not in self._resampled:
            task = tasks.get(cell.task)
            draws = self._draws.setdefault(task.name, Draws(task.headline, task.parallel))
            self._resampled[cell.phase] = draws.scores(self.stats(cell.phase))
        return self._resampled[cell.phase]

    def stats(self, key: str) -> LanguageStats:
        if key not in self._stats:
            self._stats[key] = STATS.read(self.store.peek(key))
        return self._stats[key]

    def _scores(self, cells: Sequence[Cell]) -> dict[str, Any]:
        names = tasks.get(cells[0].task).headline
        entries = [self.store.peek(cell.phase) for cell in cells]
        held = [SCORES.read(entry) for entry in entries]
        codes = list(held[0])
        values = {code: float(np.mean([[h[code]["values"][name] for name in names] for h in held])) for code in codes}
        means = [np.mean([h[code]["values"][name] for code in codes for name in names]) for h in held]
        others = [value for code, value in values.items() if code != "en"]
        english = values.get("en")
        outside = float(np.mean(others)) if others else None
        counts = [h[code]["n"] for h in held for code in codes]
        return {
            "languages": values,
            "metrics": {
                name: float(np.mean([h[code]["values"][name] for h in held for code in codes]))
                for name in held[0][codes[0]]["values"]
                if all(name in h[code]["values"] for h in held for code in codes)  # an older entry may have fewer
            },
            "english": english,
            "others": outside,
            "gap": None if english is None or outside is None else english - outside,
            "mean": float(np.mean(means)),
            "spread": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "n": (min(counts), max(counts)),
            "subset": any(h[code]["n"] < h[code]["rows"] for h in held for code in codes),
            "truncated": sum(h[code].get("truncated", 0) for h in held for code in codes)
            / sum(h[code].get("sentences", h[code]["n"]) for h in held for code in codes),
            "thresholds": _means(held, codes, "threshold"),
            "oracle_thresholds": _means(held, codes, "oracle_threshold"),
            "layer": held[0][codes[0]].get("layer"),
            "layers": _by_layer(entries, names),
            "pool": held[0][codes[0]].get("pool", {}),
            "dropped": sum(sum(h[code].get("dropped", {}).values()) for h in held for code in codes),
        }

    def _costs(self, cells: Sequence[Cell]) -> dict[str, Any]:
        costs = [self._cost(cell) for cell in cells if cell.training]
        if not costs:
            return {}
        averaged = ("seconds", "intermediate_seconds", "examples_per_second")
        return {
            name: (float(np.mean(values)) if name in averaged else max(values))
            for name in costs[0]
            if (values := [cost[name] for cost in costs])
        }

    def _cost(self, cell: Cell) -> dict[str, Any]:
        entries = [self.store.peek(key) for key in cell.training]
        costs = [COST.read(entry) for entry in entries]
        last, result = entries[-1], TRAIN_RESULT.read(entries[-1])
        evaluated = phase_of(self.store.peek(cell.phase), EvaluatePhase)
        target = self.store.peek(evaluated.target)  # after a merge not the last one trained
        under = self._under(target, {*cell.training})
        files = last.manifest["files"]
        kept = tuple(f"{folder}/" for folder in (*WEIGHT_FOLDERS, HEAD))
        return {
            "trainable": result["trainable"],
            "head": result["head"],
            "bytes": sum(size for name, (size, _) in files.items() if name.startswith(kept)),
            "seconds": sum(cost["seconds"] for cost in costs),
            "intermediate_seconds": sum(COST.read(entry)["seconds"] for entry in under),
            "peak_bytes": max(cost["peak_bytes"] for cost in costs),
            "examples_per_second": costs[-1]["examples_per_second"],
        }

    def _under(self, entry: Entry, seen: set[str]) -> list[Entry]:
        """The entries that one stands on, each once; ``seen`` are left out, and grows."""
        found = []
        for key in parents(entry.spec):
            if key not in seen:
                seen.add(key)
                parent = self.store.peek(key)
                found += [parent, *self._under(parent, seen)]
        return found


def _means(held: Sequence[Mapping[str, Any]], codes: Sequence[str], name: str) -> dict[str, float]:
    """What every language has under a name, averaged over seeds; nothing where it does not have it."""
    return {code: float(np.mean([h[code][name] for h in held])) for code in codes if name in held[0][code]}


def _by_layer(entries: Sequence[Entry], names: Sequence[str]) -> dict[int, float]:
    """Mean over seeds, languages and headline metrics by hidden state, where several were asked for."""
    if not all(map(LAYERS.exists, entries)):
        return {}
    held = [LAYERS.read(entry) for entry in entries]
    return {
        int(layer): float(np.mean([values[name] for h in held for values in h[layer].values() for name in names]))
        for layer in held[0]
    }


def swapped(found: Iterable[Record]) -> list[Record]:
    """Records of tasks and methods that were swapped: the cells of the swap matrices."""
    found = list(found)
    keys = {(r.task, r.method) for r in found if r.over != r.trained_on}
    return [r for r in found if (r.task, r.method) in keys]
