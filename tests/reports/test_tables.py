"""Tables of records: which columns and remarks they have, and that counts agree with their nouns."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import costs, render, scores, swaps, tables

SOME = Difference(1.25, -0.5, 3.0, 3, 0.7, 5.0, 0.0421, 6)
ALONE = Difference(1.25, -0.5, 3.0, 1, 0.9, 5.0)


def record(method: str = "full", trained_on: str = "none", over: str | None = None, **values: Any) -> Record:
    plain = {"task": "xnli", "complete": True, "n": (8, 8), "mean": 45.0, "metrics": {"accuracy": 45.0}}
    languages = {"en": 50.0, "de": 40.0}
    scored = {"languages": languages, "english": 50.0, "others": 40.0, "gap": 10.0}
    combination = {"method": method, "trained_on": trained_on, "over": over or trained_on, "seeds": (1,)}
    return Record(**{**plain, **scored, **combination, "phases": ("key",), **values})


def column(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in table.rows]


def test_one_method_without_an_intermediate_is_compared_with_nothing() -> None:
    table = scores.table("xnli", [record()])
    assert table.header == ("intermediate", "method", "English", "others", "gap", "all")
    assert table.rows == (("none", "full", "50.0", "40.0", "10.0", "45.0"),)
    assert table.notes[1:] == ("2 languages, 8 examples each",)


def test_the_column_of_differences_names_the_reference() -> None:
    records = [record(), record(trained_on="mnli", vs_none=SOME), record("lora", vs_reference=SOME)]
    table = scores.table("xnli", records)
    assert column(table, "vs full") == ["-", "-", "+1.2 [-0.5, +3.0]"]
    assert column(table, "vs none") == ["-", "+1.2 [-0.5, +3.0]", "-"]
    assert table.header[-6:] == ("vs full", "p", "sees", "vs none", "p", "sees")
    assert [row[-5:-3] for row in table.rows] == [("-", "-"), ("-", "-"), ("0.042", "2.5")]
    assert "differences with 95 % intervals over seeds and test items, in these languages" in table.notes[1]
    assert "p: corrected for 6 comparisons (Holm); sees: the true difference that such a" in table.notes[2]


def test_one_seed_has_no_interval_and_says_so() -> None:
    table = scores.table("xnli", [record(), record(trained_on="mnli", vs_none=ALONE)])
    assert column(table, "vs none") == ["-", "+1.2 (rows ±1.8)"]
    assert "p" not in table.header
    assert table.notes[1].startswith("one seed: training noise is not in these differences")
    assert table.notes[1].endswith("nothing is claimed")
    assert not any("95 %" in note for note in table.notes)


def test_other_languages_are_named() -> None:
    found = [record(), record(trained_on="mnli", vs_none=SOME, languages_as="sample")]
    table = scores.table("xnli", [replace(each, languages_as="sample") for each in found])
    assert "intervals over seeds, test items and languages, for languages like these" in table.notes[1]


def test_items_that_old_entries_do_not_name_are_mentioned() -> None:
    table = scores.table("mlqa", [record(task="mlqa", vs_none=SOME, is_joined=False)])
    assert any("intervals are too narrow" in note for note in table.notes)


def test_small_p_values() -> None:
    tiny = replace(SOME, holm=1e-9)
    assert column(scores.table("xnli", [record(), record(trained_on="mnli", vs_none=tiny)]), "p") == ["-", "<0.001"]


def test_csv_and_json_have_no_interval_of_one_seed() -> None:
    found = [record(trained_on="mnli", vs_none=ALONE), record("lora", vs_none=SOME)]
    rows = list(csv.DictReader(io.StringIO(render(found, "csv"))))
    assert (rows[0]["vs_none_low"], rows[0]["vs_none_p"], rows[0]["vs_none_seeds"]) == ("", "", "1")
    assert (rows[1]["vs_none_low"], rows[1]["vs_none_holm"], rows[1]["vs_none_seeds"]) == ("-0.5", "0.0421", "3")
    loaded = json.loads(render(found, "json"))["records"]
    assert (loaded[0]["vs_none"]["low"], loaded[0]["vs_none"]["detectable"]) == (None, None)
    assert loaded[1]["vs_none"]["detectable"] == pytest.approx(SOME.detectable)


def test_without_english_there_is_no_gap() -> None:
    scored = {"english": None, "gap": None, "others": 40.0, "mean": 40.0, "languages": {"de": 40.0}}
    retrieval = record(task="tatoeba", metrics={"accuracy": 40.0, "xsim": 60.0}, n=(1, 1), **scored)
    table = scores.table("tatoeba", [retrieval])
    assert table.header == ("intermediate", "method", "all", "xsim")
    assert table.notes == ("points; all: mean over all languages", "1 language, 1 example each")


def test_several_headline_metrics_have_columns_of_their_own() -> None:
    answers = record(task="xquad", metrics={"f1": 50.0, "exact_match": 40.0})
    assert scores.table("xquad", [answers]).header[-2:] == ("f1", "exact match")


def test_what_is_not_computed_keeps_its_columns() -> None:
    empty = Record("xnli", "full", "none", "none", (1,), ("key",), complete=False)
    table = scores.table("xnli", [empty])
    assert table.header == ("intermediate", "method", "English", "others", "gap", "all", "vs full", "vs none")
    assert table.rows == (("none", "full", *"------"),)
    assert table.notes[-1] == "1 of 1 rows are not computed yet"


def test_seeds_have_a_spread() -> None:
    assert column(scores.table("xnli", [record(seeds=(1, 2), spread=1.26)]), "all") == ["45.0 ± 1.3"]


def test_remarks_agree_in_number() -> None:
    pool = {"candidates": 1, "truncated": 0, "languages": 1, "of": 1}
    one = record(n=(1, 2), dropped=1, pool=pool, truncated=0.5, missing=("fr",), split="dev", subset=True)
    assert scores.table("xnli", [one]).notes[1:] == (
        "2 languages, 1 to 2 examples each (a subset)",
        "ranked against 1 candidate in 1 of 1 language",
        "the dev rows, not the test rows",
        "not in the data, not in the mean: fr",
        "50.0 % of the examples lost tokens to the maximum length",
        "1 row left out, mostly for lack of a gold label",
    )


def test_a_swap_matrix() -> None:
    records = [
        record(trained_on="none"),
        record(trained_on="mnli"),
        record(trained_on="mnli", over="none", mean=44.0, vs_trained=SOME),
        record(trained_on="mnli", over="squad", mean=None),
    ]
    table = swaps.table("xnli", "full", records)
    assert table.header == ("trained on", "mnli", "none", "squad")
    assert table.rows == (("mnli", "45.0", "44.0 (+1.2 [-0.5, +3.0], p 0.042)", "-"),)
    assert isinstance(table.rows[0][1], Bold)
    assert not isinstance(table.rows[0][2], Bold)
    assert tables(records)[-1] == table
    (row,) = swaps.table("xnli", "full", [replace(each, vs_trained=each.vs_trained and ALONE) for each in records]).rows
    assert row[2] == "44.0 (+1.2, rows ±1.8)"


def test_a_column_of_numbers_is_known_as_one() -> None:
    rows = (("a", "-1.5", Bold("2.0"), "3k"), ("-", "-", "+1.0 [0.0, 2.0]", "x4"))
    assert Table("", ("a", "b", "c", "d"), rows).numeric() == (False, True, True, False)
    assert Table("", ("a", "b"), ()).numeric() == (False, False)


def test_costs_of_an_earlier_version_are_marked() -> None:
    """They have no CPU seconds, and their memory depended on what had run before."""
    old = record(trainable=5, head=1, bytes=9, seconds=2.0, peak_bytes=3 * 2**20)
    new = replace(old, method="lora", cpu_seconds=1.5)
    mixed, current = costs.table([old, new]), costs.table([new])
    assert column(mixed, "CPU s") == ["-", "1.5"]
    assert mixed.notes == (*current.notes, costs.EARLIER)
    assert costs.EARLIER not in current.notes
