"""Records: the results of a plan, read from its store, with paired intervals of their differences.

A task's score in a language is the mean of its headline metrics; over languages it is the plain mean including
English, as XTREME does. Differences come with intervals of :mod:`adaptstilts.metrics.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from adaptstilts import tasks
from adaptstilts.metrics.bootstrap import Difference, Draws, Resampled, paired_difference, same_examples
from adaptstilts.metrics.scores import LanguageStats
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.reports.costs import mean_costs
from adaptstilts.reports.means import mean_scores
from adaptstilts.store.entries import STATS
from adaptstilts.store.store import Store
from adaptstilts.study import Study

NO_INTERMEDIATE = "none"


@dataclass(frozen=True)
class Record:
    """The results of one task, method and pair of intermediates, averaged over seeds. None means not computed yet.

    Attributes:
        task: the target task.
        method: label of the method.
        trained_on: intermediate that the target was trained on; ``none`` for none.
        over: intermediate that it was evaluated over; another one than ``trained_on`` after a swap.
        seeds: the seeds that are averaged.
        phases: keys of the evaluate or retrieve phases, one per seed.
        complete: whether all these phases are done.
        english: score in English, if the task has it.
        others: mean over the other languages.
        gap: transfer gap: English minus the others.
        mean: mean over all languages, English included.
        spread: standard deviation of the mean over seeds; None for one seed.
        languages: language -> score.
        metrics: metric -> mean over languages.
        n: examples per language, smallest and largest.
        subset: whether fewer rows were read than the split has.
        truncated: share of examples that lost tokens to the maximum length.
        dropped: rows that were left out, over all languages and seeds.
        thresholds: language -> score threshold chosen on dev (mining), averaged over seeds.
        oracle_thresholds: language -> score threshold chosen on the scored rows themselves, averaged over seeds.
        layer: hidden state that sentences were searched by (retrieval).
        layers: hidden state -> mean score, for every hidden state that the study asked for.
        pool: what queries are ranked against (ranking): ``candidates``, how many of them were ``truncated``, and, where
            each language has its own, in how many ``languages`` ``of`` all.
        missing: languages of the task that the data does not have.
        split: rows that were evaluated: ``test`` or ``dev``.
        trainable: trained parameters of the encoder part; None if nothing was trained for the target.
        head: trained parameters of the head.
        bytes: size of what is stored for the target: its last adapter (or encoder) and its head.
        seconds: wall time of the target's own training phases.
        cpu_seconds: their CPU time; None if an earlier version trained them.
        intermediate_seconds: wall time of the intermediate phases below it.
        intermediate_cpu_seconds: their CPU time; None if an earlier version trained one of them.
        peak_bytes: peak of the tensors while it was trained: weights, optimizer state, gradients, activations.
        examples_per_second: training speed of the last phase.
        vs_reference: difference to the reference method on the same intermediate.
        vs_none: difference to the same method without an intermediate.
        vs_trained: after a swap: difference to the intermediate that the target was trained on.
        composition: how the target uses its intermediates.
        vs_others: in a study of several compositions: difference to each other result of the task and method.
        language: test language whose rows the target was trained on; empty for English rows alone.
        k: number of these rows; None for English rows alone.
        after: ``english`` if it was trained on English rows before these, else ``none``.
        draws: the draws of these rows that are averaged, one for each of ``seeds``.
        in_training: examples whose input is that of a training row, over all draws and seeds.
        model: the base model, as the study names it. Differences are always between results of one model.
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
    cpu_seconds: float | None = None
    intermediate_seconds: float | None = None
    intermediate_cpu_seconds: float | None = None
    peak_bytes: int | None = None
    examples_per_second: float | None = None
    vs_reference: Difference | None = None
    vs_none: Difference | None = None
    vs_trained: Difference | None = None
    composition: str = "stack"
    vs_others: dict[str, Difference] = field(default_factory=dict)
    language: str = ""
    k: int | None = None
    after: str = ""
    draws: tuple[int, ...] = ()
    in_training: int = 0
    model: str = ""

    def json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


class _Combination(NamedTuple):
    """What a record is about. The cells of one combination differ in their seeds only."""

    task: str
    method: str
    trained_on: str
    over: str

    @property
    def is_swapped(self) -> bool:
        return self.trained_on != self.over


_Groups = dict[_Combination, list[Cell]]


def records(plan: Plan, store: Store) -> list[Record]:
    """Return one record for every combination of a plan, in the order of the study.

    Targets trained on rows of a test language are in :func:`row_records`.
    """
    groups = _groups(plan.cells)
    comparisons = _Comparisons(groups, _reference(plan), store)
    several = len({cell.composition for cell in plan.cells} - {"none"}) > 1
    results = []
    for combination, cells in groups.items():
        record = replace(_record(cells, _split(plan, cells[0])), model=model_name(plan.study))
        if all(store.has(cell.phase) for cell in cells):
            record = _completed(record, cells, store)
            record = replace(record, **comparisons.of(combination))
        if several:
            record = replace(record, vs_others=comparisons.with_compositions(combination))
        results.append(record)
    return results


def row_records(plan: Plan, store: Store) -> list[Record]:
    """Return the records of targets trained on a few rows of a test language: averaged over draws and seeds.

    Differences are between records of the same language, number of rows and ``after``, paired over draws and seeds.
    """
    families: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in plan.row_cells:
        assert cell.shots is not None  # noqa: S101
        families.setdefault((cell.shots.language, cell.shots.k, cell.after), []).append(cell)
    results = []
    for (language, k, after), family in families.items():
        groups = _groups(family)
        comparisons = _Comparisons(groups, _reference(plan), store)
        for combination, cells in groups.items():
            draws = tuple(cell.shots.draw for cell in cells if cell.shots)
            record = replace(_record(cells, _split(plan, cells[0])), model=model_name(plan.study))
            record = replace(record, language=language, k=k, after=after, draws=draws)
            if all(store.has(cell.phase) for cell in cells):
                record = replace(_completed(record, cells, store), **comparisons.of(combination))
            results.append(record)
    return results


def model_name(study: Study) -> str:
    """Return what results call the base model of a study: its name, with the revision if the study has one."""
    return f"{study.model}@{study.revision}" if study.revision else study.model


def swapped(results: Sequence[Record]) -> list[Record]:
    """Return the records of every task and method that has a swapped one: the cells of the swap matrices."""
    keys = {(record.task, record.method) for record in results if record.over != record.trained_on}
    return [record for record in results if (record.task, record.method) in keys]


def _groups(cells: Sequence[Cell]) -> _Groups:
    groups: _Groups = {}
    for cell in cells:
        combination = _Combination(cell.task, cell.method, cell.trained_on, cell.over)
        groups.setdefault(combination, []).append(cell)
    return groups


def _run(cell: Cell) -> tuple[int, int]:
    """Return what cells of one combination differ in: the seed, and the draw of the training rows."""
    return cell.seed, cell.shots.draw if cell.shots else 0


def _reference(plan: Plan) -> str:
    """Return the method that others are compared with: full fine-tuning if the study has it, else its first."""
    arms = plan.study.methods
    return next((arm for arm in arms if arm.method.is_reference), arms[0]).label


def _split(plan: Plan, cell: Cell) -> str:
    settings = getattr(plan.phases[cell.phase], "settings", None)
    return str(getattr(settings, "split", "test"))


def _record(cells: Sequence[Cell], split: str) -> Record:
    """Return a record without results."""
    first = cells[0]
    return Record(
        task=first.task,
        method=first.method,
        trained_on=first.trained_on,
        over=first.over,
        seeds=tuple(cell.seed for cell in cells),
        phases=tuple(cell.phase for cell in cells),
        complete=False,
        missing=first.missing,
        composition=first.composition,
        split=split,
    )


def _completed(record: Record, cells: Sequence[Cell], store: Store) -> Record:
    """Return the record with its scores and costs."""
    entries = [store.peek(cell.phase) for cell in cells]
    scores = mean_scores(entries, tasks.get(record.task).headline)
    trained = [cell for cell in cells if cell.training]
    costs = mean_costs(trained, store) if trained else {}
    return replace(record, complete=True, **scores, **costs)


class _Comparisons:
    """Paired differences between combinations; reads every phase's statistics once.

    Args:
        groups: the cells of every combination.
        reference: label of the method that others are compared with.
        store: where the phases are.
    """

    def __init__(self, groups: _Groups, reference: str, store: Store) -> None:
        self.groups, self.reference, self.store = groups, reference, store
        self._stats: dict[str, LanguageStats] = {}
        self._draws: dict[str, Draws] = {}
        self._resampled: dict[str, Resampled] = {}

    def of(self, combination: _Combination) -> dict[str, Any]:
        """Return the differences of a combination that its record names."""
        others: dict[str, _Combination] = {}
        if combination.method != self.reference:
            others["vs_reference"] = combination._replace(method=self.reference)
        if combination.is_swapped:
            others["vs_trained"] = combination._replace(over=combination.trained_on)
        elif combination.over != NO_INTERMEDIATE:
            others["vs_none"] = combination._replace(trained_on=NO_INTERMEDIATE, over=NO_INTERMEDIATE)
        return {name: self._difference(combination, other) for name, other in others.items()}

    def with_compositions(self, combination: _Combination) -> dict[str, Difference]:
        """Return the difference to every other result of the same task and method, by what that was trained on."""
        if combination.is_swapped:
            return {}
        differences = {}
        for other in self.groups:
            same_method = (other.task, other.method) == (combination.task, combination.method)
            if same_method and not other.is_swapped and other != combination:
                difference = self._difference(combination, other)
                if difference is not None:
                    differences[other.trained_on] = difference
        return differences

    def _difference(self, ours: _Combination, theirs: _Combination) -> Difference | None:
        """Return the difference paired over examples and seeds; None unless both sides have the same examples."""
        partners = {_run(cell): cell for cell in self.groups.get(theirs, ())}
        pairs = [(cell, partners[_run(cell)]) for cell in self.groups[ours] if _run(cell) in partners]
        if not pairs or not all(self._comparable(a, b) for a, b in pairs):
            return None
        return paired_difference([self._scores(a) for a, _ in pairs], [self._scores(b) for _, b in pairs])

    def _comparable(self, ours: Cell, theirs: Cell) -> bool:
        if not (self.store.has(ours.phase) and self.store.has(theirs.phase)):
            return False
        return same_examples(self._read(ours), self._read(theirs))

    def _scores(self, cell: Cell) -> Resampled:
        """Return the score of a cell's phase under the draws of its task."""
        if cell.phase not in self._resampled:
            task = tasks.get(cell.task)
            draws = self._draws.setdefault(task.name, Draws(task.headline, task.parallel))
            self._resampled[cell.phase] = draws.scores(self._read(cell))
        return self._resampled[cell.phase]

    def _read(self, cell: Cell) -> LanguageStats:
        if cell.phase not in self._stats:
            self._stats[cell.phase] = STATS.read(self.store.peek(cell.phase))
        return self._stats[cell.phase]
