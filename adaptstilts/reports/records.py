"""Records: the results of a plan, read from its store, with paired intervals of their differences.

A task's score in a language is the mean of its headline metrics; over languages it is the plain mean including
English, as XTREME does. Differences come with intervals of :mod:`adaptstilts.metrics.intervals`, and with p-values
that are corrected for the number of comparisons that answer one question: with no intermediate, with the reference
method, after swaps, and between compositions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, combinations
from typing import Any

from adaptstilts import tasks
from adaptstilts.data.row_counts import RowCount
from adaptstilts.metrics.intervals import Difference, LanguagesAs, corrected
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.reports.comparisons import Combination, Comparisons
from adaptstilts.reports.costs import mean_costs
from adaptstilts.reports.inference import Inference, inference_of
from adaptstilts.reports.means import mean_scores
from adaptstilts.reports.split_rows import split_rows
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
        rows: the rows of every split that was trained on or scored, beside the published numbers.
        truncated: share of examples that lost tokens to the maximum length.
        dropped: rows that were left out, over all languages and seeds.
        unknown_sentences: sentences of which the tokenizer knows no word (retrieval), over all languages and seeds.
        differs: column -> language -> rows in which it is not what most languages have for the same item.
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
        inference: what running it takes, with adapters as trained and merged; empty unless that was measured.
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
        languages_as: whether intervals speak of these languages (``fixed``) or of languages like these (``sample``).
        is_joined: False if languages share items that the entries do not name, as those of 0.1.0 do not: intervals
            are then too narrow.
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
    rows: list[RowCount] = field(default_factory=list)
    truncated: float = 0.0
    dropped: int = 0
    unknown_sentences: int = 0
    differs: dict[str, dict[str, int]] = field(default_factory=dict)
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
    inference: list[Inference] = field(default_factory=list)
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
    languages_as: LanguagesAs = "fixed"
    is_joined: bool = True

    def json(self) -> dict[str, Any]:
        """Return the record as plain JSON values; the rows behind all records stand beside them."""
        values = asdict(replace(self, rows=[]))
        del values["rows"]
        for name in ("vs_reference", "vs_none", "vs_trained"):
            difference: Difference | None = getattr(self, name)
            values[name] = difference and difference.json()
        values["vs_others"] = {name: difference.json() for name, difference in self.vs_others.items()}
        return values


_Groups = dict[Combination, list[Cell]]
_Partners = dict[str, Combination]  # field of a record -> what its difference subtracts


def records(plan: Plan, store: Store, languages_as: LanguagesAs = "fixed") -> list[Record]:
    """Return one record for every combination of a plan, in the order of the study.

    Targets trained on rows of a test language are in :func:`row_records`.

    Args:
        plan: plan of the study.
        store: store with its entries.
        languages_as: whether intervals speak of these languages (``fixed``) or of languages like these (``sample``).
    """
    groups = _groups(plan.cells)
    comparisons = Comparisons(groups, store, languages_as)
    differences = _all_differences(plan, groups, comparisons)
    others = _composition_differences(plan, groups, comparisons)
    compared = {*others, *chain.from_iterable(differences.values())}
    results = []
    for combination, cells in groups.items():
        record = _record(cells, _split(plan, cells[0]), languages_as)
        record = replace(record, model=model_name(plan.study))
        if all(store.has(cell.phase) for cell in cells):
            record = replace(_completed(record, cells, store), inference=inference_of(plan, cells, store))
            record = _compared(record, differences, combination)
            if combination in compared:
                record = replace(record, is_joined=all(map(comparisons.is_joined, cells)))
        results.append(replace(record, vs_others=others.get(combination, {})))
    return results


def row_records(plan: Plan, store: Store, languages_as: LanguagesAs = "fixed") -> list[Record]:
    """Return the records of targets trained on a few rows of a test language: averaged over draws and seeds.

    Differences are between records of the same language, number of rows and ``after``, paired over draws and seeds.

    Args:
        plan: plan of the study.
        store: store with its entries.
        languages_as: as in :func:`records`.
    """
    families: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in plan.row_cells:
        assert cell.shots is not None  # noqa: S101
        families.setdefault((cell.shots.language, cell.shots.k, cell.after), []).append(cell)
    results = []
    for (language, k, after), family in families.items():
        groups = _groups(family)
        differences = _all_differences(plan, groups, Comparisons(groups, store, languages_as))
        for combination, cells in groups.items():
            draws = tuple(cell.shots.draw for cell in cells if cell.shots)
            record = _record(cells, _split(plan, cells[0]), languages_as)
            record = replace(record, model=model_name(plan.study))
            record = replace(record, language=language, k=k, after=after, draws=draws)
            if all(store.has(cell.phase) for cell in cells):
                record = _compared(_completed(record, cells, store), differences, combination)
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
        combination = Combination(cell.task, cell.method, cell.trained_on, cell.over)
        groups.setdefault(combination, []).append(cell)
    return groups


def _reference(plan: Plan) -> str:
    """Return the method that others are compared with: full fine-tuning if the study has it, else its first."""
    arms = plan.study.methods
    return next((arm for arm in arms if arm.method.is_reference), arms[0]).label


def _split(plan: Plan, cell: Cell) -> str:
    settings = getattr(plan.phases[cell.phase], "settings", None)
    return str(getattr(settings, "split", "test"))


def _record(cells: Sequence[Cell], split: str, languages_as: LanguagesAs) -> Record:
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
        languages_as=languages_as,
    )


def _completed(record: Record, cells: Sequence[Cell], store: Store) -> Record:
    """Return the record with its scores and costs."""
    entries = [store.peek(cell.phase) for cell in cells]
    scores = mean_scores(entries, tasks.get(record.task).headline)
    trained = [cell for cell in cells if cell.training]
    costs = mean_costs(trained, store) if trained else {}
    return replace(record, complete=True, rows=split_rows(cells[0], record.split, store), **scores, **costs)


def _compared(
    record: Record, differences: Mapping[str, Mapping[Combination, Difference]], combination: Combination
) -> Record:
    """Return the record of a combination with its differences."""
    values: dict[str, Any] = {}
    for name, family in differences.items():
        values[name] = family.get(combination)
    return replace(record, **values)


def _all_differences(plan: Plan, groups: _Groups, comparisons: Comparisons) -> dict[str, dict[Combination, Difference]]:
    """Return field of a record -> combination -> its difference; every field is a family of comparisons."""
    reference = _reference(plan)
    families: dict[str, dict[Combination, Difference]] = {}
    for combination in groups:
        for name, other in _partners(combination, reference).items():
            difference = comparisons.between(combination, other)
            if difference is not None:
                families.setdefault(name, {})[combination] = difference
    return {name: corrected(family) for name, family in families.items()}


def _partners(combination: Combination, reference: str) -> _Partners:
    """Return what a combination is compared with, by the field of the record.

    Args:
        combination: the combination.
        reference: label of the method that others are compared with.
    """
    others: _Partners = {}
    if combination.method != reference:
        others["vs_reference"] = combination._replace(method=reference)
    if combination.is_swapped:
        others["vs_trained"] = combination._replace(over=combination.trained_on)
    elif combination.over != NO_INTERMEDIATE:
        others["vs_none"] = combination._replace(trained_on=NO_INTERMEDIATE, over=NO_INTERMEDIATE)
    return others


def _composition_differences(
    plan: Plan, groups: _Groups, comparisons: Comparisons
) -> dict[Combination, dict[str, Difference]]:
    """Return the difference to every other result of the same task and method, by what that was trained on.

    Only a study of several compositions has them; the two directions of a comparison count as one.
    """
    if len({cell.composition for cell in plan.cells} - {"none"}) < 2:
        return {}
    names = [combination for combination in groups if not combination.is_swapped]
    pairs: dict[tuple[Combination, Combination], Difference] = {}
    for ours, theirs in combinations(names, 2):
        if (ours.task, ours.method) == (theirs.task, theirs.method):
            difference = comparisons.between(ours, theirs)
            if difference is not None:
                pairs[ours, theirs] = difference
    results: dict[Combination, dict[str, Difference]] = {}
    for (ours, theirs), difference in corrected(pairs).items():
        results.setdefault(ours, {})[theirs.trained_on] = difference
        results.setdefault(theirs, {})[ours.trained_on] = difference.negated()
    return results
