"""One sentence that says what a study shows, written from its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts.io.wording import counted, joined
from adaptstilts.metrics.bootstrap import Difference
from adaptstilts.reports.records import Record

NO_INTERMEDIATE = "none"


def sentence(records: Sequence[Record]) -> str:
    """Return one sentence for the reader of the tables; empty if nothing that it reports is computed yet.

    It compares methods by their mean outside English over the trained targets without an intermediate task, counts the
    scores that an intermediate task changes (those whose 95 % interval excludes 0), and says what swapping did.
    """
    done = [record for record in records if record.complete]
    clauses = [_methods(done), _intermediates(done), _swaps(done)]
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
    targets = [record.vs_none for record in plain if record.trainable is not None and record.vs_none]
    retrieval = [record.vs_none for record in plain if record.trainable is None and record.vs_none]
    changes = [_changes(targets, "target score"), _changes(retrieval, "retrieval score")]
    text = ", and ".join(change for change in changes if change)
    return f"an intermediate task {text} (95 % intervals)" if text else ""


def _changes(differences: Sequence[Difference], noun: str) -> str:
    better = sum(difference.low > 0 for difference in differences)
    worse = sum(difference.high < 0 for difference in differences)
    if len(differences) > 1:
        return f"improves {better or 'none'} of {len(differences)} {noun}s and lowers {worse or 'none'}"
    if not differences:
        return ""
    if better:
        return f"improves the {noun}"
    return f"lowers the {noun}" if worse else f"does not clearly change the {noun}"


def _swaps(records: Sequence[Record]) -> str:
    changes = [record.vs_trained.value for record in records if record.vs_trained is not None]
    if not changes:
        return ""
    average = " on average" if len(changes) > 1 else ""
    swaps = counted(len(changes), "score")
    return (
        f"swapping the intermediate adapter without retraining changes {swaps} by {_mean(changes):+.1f} points{average}"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
