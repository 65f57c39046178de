"""What a study shows, in one sentence made from its records."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.reports.records import Record


def sentence(records: Sequence[Record]) -> str:
    """One sentence for the reader of the tables; empty when nothing is computed that it could speak of.

    It compares methods by their mean outside English over the trained targets without an intermediate task, counts the
    scores that an intermediate task moves (95 % intervals that do not hold 0), and says what swapping did.
    """
    done = [r for r in records if r.complete]
    parts = [part for part in (_methods(done), _intermediates(done), _retrieval(done), _swaps(done)) if part]
    return f"What it shows: {'; '.join(parts)}." if parts else ""


def _methods(records: Sequence[Record]) -> str:
    alone = [
        r for r in records if r.trainable is not None and r.trained_on == r.over == "none" and r.others is not None
    ]
    tasks = {r.task for r in alone}
    held = {r.method: [x for x in alone if x.method == r.method] for r in alone}
    held = {method: found for method, found in held.items() if {r.task for r in found} == tasks}
    if not held:
        return ""
    largest = max(held, key=lambda method: _mean([r.trainable or 0 for r in held[method]]))
    told = []
    for method, found in sorted(held.items(), key=lambda item: item[0] != largest):
        share = _mean([r.trainable or 0 for r in found]) / _mean([r.trainable or 0 for r in held[largest]])
        size = "" if method == largest else f" with {_percent(share)} of the trained parameters"
        told.append(f"{method} scores {_mean([r.others or 0.0 for r in found]):.1f}{size}")
    some = "its target" if len(tasks) == 1 else f"its {len(tasks)} targets"
    return f"trained on English alone, on average over {some} in the other languages, {_and(told)}"


def _intermediates(records: Sequence[Record]) -> str:
    return _moved([r for r in records if r.trainable is not None and r.over == r.trained_on], "target score")


def _retrieval(records: Sequence[Record]) -> str:
    return _moved([r for r in records if r.trainable is None and r.over == r.trained_on], "retrieval score")


def _moved(records: Sequence[Record], what: str) -> str:
    found = [r.vs_none for r in records if r.vs_none is not None]
    if not found:
        return ""
    better, worse = sum(d.low > 0 for d in found), sum(d.high < 0 for d in found)
    some = f"{len(found)} {what}{'s' if len(found) > 1 else ''}"
    return f"an intermediate task first makes {better} of {some} better and {worse} worse (95 % intervals)"


def _swaps(records: Sequence[Record]) -> str:
    found = [r.vs_trained for r in records if r.vs_trained is not None]
    if not found:
        return ""
    mean = _mean([d.value for d in found])
    return f"{len(found)} swaps of the intermediate adapter, without training, change scores by {mean:+.1f} on average"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
