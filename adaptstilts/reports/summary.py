"""One sentence that says what a study shows, written from its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from adaptstilts.io.wording import counted, joined
from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.records import Record

NO_INTERMEDIATE = "none"
MORE_SEEDS = 5  # seeds that a study should have


def sentence(records: Sequence[Record], config: str = "CONFIG") -> str:
    """Return one sentence for the reader of the tables; empty if nothing that it reports is computed yet.

    It gives the methods' scores outside English, averaged over the trained targets without an intermediate task, and
    counts the scores that an intermediate task and a swap change: those that survive Holm's correction for the number
    of comparisons, which it names. It claims nothing about differences of one seed.

    Args:
        records: the results of the study.
        config: its file, for the command that adds seeds.
    """
    done = [record for record in records if record.complete]
    clauses = [_methods(done), _intermediates(done), _swaps(done), _one_seed(done, config)]
    text = "; ".join(clause for clause in clauses if clause)
    return f"What it shows: {text}." if text else ""


@dataclass(frozen=True)
class _MethodMeans:
    """What one method scores outside English and how many parameters it trains, averaged over targets."""

    method: str
    score: float
    trained: float


def _methods(records: Sequence[Record]) -> str:
    """Compare the methods that have trained every target."""
    alone = [record for record in records if _is_alone(record)]
    tasks = list(dict.fromkeys(record.task for record in alone))
    by_method: dict[str, list[Record]] = {}
    for record in alone:
        by_method.setdefault(record.method, []).append(record)
    means = [_method_means(group) for group in by_method.values() if _tasks(group) == set(tasks)]
    if not means:
        return ""
    most = max(mean.trained for mean in means)
    largest_first = sorted(means, key=lambda mean: mean.trained != most)
    first, *others = [f"{mean.method} scores {mean.score:.1f}{_size(mean.trained, most)}" for mean in largest_first]
    place = f"on {tasks[0]}" if len(tasks) == 1 else f"on average over {len(tasks)} targets"
    begin = f"without an intermediate task, {first} {place} in the languages other than English"
    return joined([begin, *others])


def _method_means(records: Sequence[Record]) -> _MethodMeans:
    scores = [record.others for record in records if record.others is not None]
    sizes = [record.trainable for record in records if record.trainable is not None]
    return _MethodMeans(records[0].method, _mean(scores), _mean(sizes))


def _tasks(records: Sequence[Record]) -> set[str]:
    return {record.task for record in records}


def _is_alone(record: Record) -> bool:
    """Tell whether a record is of a trained target without an intermediate, in more languages than English."""
    trained = record.trainable is not None and record.others is not None
    return trained and record.trained_on == record.over == NO_INTERMEDIATE


def _size(trained: float, most: float) -> str:
    """Say how many parameters a method trains, compared with the one that trains most."""
    if trained == most:
        return ""
    if trained == 0:
        return " without training the encoder"
    percent = 100 * trained / most
    share = f"{percent:.2g}" if percent < 10 else f"{percent:.0f}"
    return f" with {share} % as many trained parameters"


def _intermediates(records: Sequence[Record]) -> str:
    """Count the scores that an intermediate task improves and lowers."""
    plain = [record for record in records if record.over == record.trained_on]
    compared = [(record, record.vs_none) for record in plain if record.vs_none and record.vs_none.seeds > 1]
    targets = [difference for record, difference in compared if record.trainable is not None]
    retrieval = [difference for record, difference in compared if record.trainable is None]
    changes = [_changes(targets, "target score"), _changes(retrieval, "retrieval score")]
    text = ", and ".join(change for change in changes if change)
    return f"an intermediate task {text} ({_correction([*targets, *retrieval])})" if text else ""


def _changes(differences: Sequence[Difference], noun: str) -> str:
    claimed = [difference.value for difference in differences if difference.is_claimed]
    better = sum(value > 0 for value in claimed)
    worse = sum(value < 0 for value in claimed)
    if len(differences) > 1:
        return f"improves {better or 'none'} of {len(differences)} {noun}s and lowers {worse or 'none'}"
    if not differences:
        return ""
    if better:
        return f"improves the {noun}"
    return f"lowers the {noun}" if worse else f"is not shown to change the {noun}"


def _correction(differences: Sequence[Difference]) -> str:
    """Say that the 5 % level holds for all comparisons of a family together."""
    size = max(difference.family for difference in differences)
    return f"at 5 % over {counted(size, 'comparison')} together, Holm"


def _swaps(records: Sequence[Record]) -> str:
    changes = [record.vs_trained for record in records if record.vs_trained is not None and record.vs_trained.seeds > 1]
    if not changes:
        return ""
    claimed = [difference.value for difference in changes if difference.is_claimed]
    lowered = sum(value < 0 for value in claimed)
    raised = sum(value > 0 for value in claimed)
    return (
        f"swapping the intermediate adapter without retraining lowers {lowered or 'none'} of"
        f" {counted(len(changes), 'score')} and improves {raised or 'none'} ({_correction(changes)})"
    )


def _one_seed(records: Sequence[Record], config: str) -> str:
    """Say that nothing is claimed of differences that only one seed has, and how to get more seeds."""
    count = sum(len(_untested(record)) for record in records)
    if not count:
        return ""
    command = _seeds_command(records, config)
    return f"with one seed none of {counted(count, 'difference')} is claimed: `{command}` adds seeds"


def _untested(record: Record) -> list[Difference]:
    """Return the differences of one seed; not those of a score with itself."""
    differences = [record.vs_none, record.vs_reference, record.vs_trained]
    return [each for each in differences if each and each.seeds < 2 and (each.value or each.error)]


def _seeds_command(records: Sequence[Record], config: str) -> str:
    """Return the command that adds seeds to a study; what is computed stays.

    Args:
        records: records of the study.
        config: its file.
    """
    seeds = [*dict.fromkeys(chain.from_iterable(record.seeds for record in records))]
    number = max(seeds)
    while len(seeds) < MORE_SEEDS:
        number += 1
        seeds.append(number)
    return f"adaptstilts run {config} seeds=[{','.join(map(str, seeds))}]"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
