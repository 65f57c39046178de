"""Numbers of rows beside the published ones."""

from __future__ import annotations

import pytest

from adaptstilts import tasks
from adaptstilts.data.row_counts import RowCount, published_rows, sentences


@pytest.mark.parametrize(
    ("usable", "left_out", "published", "differs"),
    [(8, 0, 8, False), (8, 2, 8, False), (8, 2, 10, False), (8, 1, 10, True), (8, 0, 0, False), (0, 0, 8, True)],
)
def test_rows_without_a_gold_label_may_count_or_not(usable: int, left_out: int, published: int, differs: bool) -> None:
    assert RowCount("t", "train", "", usable, left_out, published).differs is differs


def test_languages_with_equal_numbers_are_named_together() -> None:
    counts = [RowCount("t", "test", code, rows, 0, 1500) for code, rows in (("de", 9), ("en", 1500), ("fr", 9))]
    counts += [RowCount("t", "test", "sw", 1, 1, 1500), *counts, RowCount("t", "train", "", 1, 0, 2000)]
    assert [*sentences(counts)] == [
        "t: 9 test rows of de and fr in the data, 1,500 published in each",
        "t: 2 test rows of sw in the data, 1,500 published",
        "t: 1 training row in the data, 2,000 published",
    ]


def test_what_is_published_is_declared() -> None:
    assert [published_rows(tasks.get("xnli"), split) for split in ("train", "dev", "test")] == [0, 0, 5010]
    assert published_rows(tasks.get("mnli"), "train") == 392_702
