"""Tables of records: which columns and remarks they have, and that counts agree with their nouns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adaptstilts.metrics.bootstrap import Difference
from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import costs, scores, swaps, tables

SOME = Difference(1.25, -0.5, 3.0)


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
    assert "differences with 95 % intervals" in table.notes[1]


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
    assert table.rows == (("mnli", "45.0", "44.0 (+1.2 [-0.5, +3.0])", "-"),)
    assert isinstance(table.rows[0][1], Bold)
    assert not isinstance(table.rows[0][2], Bold)
    assert tables(records)[-1] == table


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
