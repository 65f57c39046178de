"""Remarks below tables of differences: what the intervals include, and what they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adaptstilts.io.wording import counted
from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.records import Record


def notes(records: Sequence[Record], differences: Iterable[Difference | None]) -> list[str]:
    """Return the remarks on some differences; none if there are none.

    Args:
        records: records that have these differences.
        differences: those of one family of comparisons, or of several.
    """
    shown = [difference for difference in differences if difference is not None]
    if not shown:
        return []
    texts = [_one_seed(records)] if any(difference.seeds < 2 for difference in shown) else []
    if any(difference.seeds > 1 for difference in shown):
        texts += [_intervals(records[0]), *_tests(shown)]
    if not all(record.is_joined for record in records):
        texts.append(
            "these scores were stored without items: rows that languages share count several times, so intervals are"
            " too narrow"
        )
    return texts


def _one_seed(records: Sequence[Record]) -> str:
    names = "languages and rows" if records[0].languages_as == "sample" else "rows"
    return (
        f"one seed: training noise is not in these differences; ± is how much other {names} alone would change;"
        " nothing is claimed"
    )


def _intervals(first: Record) -> str:
    over = "seeds and test items, in these languages"
    if first.languages_as == "sample":
        over = "seeds, test items and languages, for languages like these"
    return f"differences with 95 % intervals over {over}"


def _tests(differences: Sequence[Difference]) -> list[str]:
    families = sorted({difference.family for difference in differences if difference.holm is not None})
    if not families:
        return []
    sizes = " and ".join(counted(size, "comparison") for size in families)
    return [
        f"p: corrected for {sizes} (Holm); sees: the true difference that such a comparison, alone, finds in 80 of 100"
        " studies"
    ]
