"""From rows to examples: what is read, mapped, dropped and counted, and what is refused with file and row."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import REMEDY, Example, Examples, read, text_problem, withheld
from adaptstilts.data.scan import scan
from adaptstilts.data.sources import Sources, Split
from adaptstilts.errors import DataError
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks import Source, Task, column_checks, row_checks
from adaptstilts.tasks.base import LeftOut

LABELS = ("yes", "no", "maybe")
TASK = Task(
    name="toy",
    kind="classification",
    languages=("en",),
    columns={"text_a": "first", "label": "gold"},
    labels=LABELS,
    no_gold=(-1, "-"),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the reading library caches goes away with the test."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def made(folder: Path, rows: list[dict[str, Any]], where: tuple[str, str] | None = None) -> Split:
    """A split of these rows."""
    path = folder / "owner/name/conf/test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return Sources(folder).get(Source("owner/name", "conf", "test", where=where))


def check(example: Example, task: Task) -> str | None:
    return text_problem(example, "text_a")


def labels(*given: Any) -> list[dict[str, Any]]:
    return [{"first": f"text {i}", "gold": label} for i, label in enumerate(given)]


def taken(split: Split, task: Task = TASK, **more: Any) -> Examples:
    return read(split, task, check, **more)


@pytest.mark.parametrize("given", [["maybe", "yes"], [2, 0]])
def test_labels_are_indices(tmp_path: Path, given: list[Any]) -> None:
    found = taken(made(tmp_path, labels(*given)))
    assert found == Examples([{"text_a": "text 0", "label": 2}, {"text_a": "text 1", "label": 0}], [0, 1], 2, {})


def test_label_names_of_the_file_go_before_the_order_of_the_task(tmp_path: Path) -> None:
    """A file whose class names stand in another order is read by name."""
    import datasets

    features = datasets.Features(
        {"first": datasets.Value("string"), "gold": datasets.ClassLabel(names=["no", "maybe", "yes"])}
    )
    path = tmp_path / "owner/name/conf/test-0.parquet"
    path.parent.mkdir(parents=True)
    datasets.Dataset.from_list(labels(0, 1, 2), features=features).to_parquet(str(path))
    split = Sources(tmp_path).get(Source("owner/name", "conf", "test"))
    assert [row["label"] for row in taken(split).rows] == [1, 2, 0]
    with pytest.raises(DataError, match=r"label has the labels no, maybe, yes; toy declares yes, no"):
        taken(split, replace(TASK, labels=("yes", "no")))


def test_rows_without_a_gold_label_are_dropped_and_counted(tmp_path: Path) -> None:
    found = taken(made(tmp_path, labels("yes", "-", "no", "-", "maybe")))
    assert (found.ids, found.total, found.dropped) == ([0, 2, 4], 3, {"no gold label ('-')": 2})
    assert [row["label"] for row in found.rows] == [0, 1, 2]


def test_what_was_found_instead_of_a_gold_label_is_told(tmp_path: Path) -> None:
    """Placeholders of the hub's copies: a string among strings, -1 among numbers, one of the file's own names."""
    import datasets

    task = replace(TASK, labels=("0", "1"), no_gold=(-1, "NS", None))
    found = taken(made(tmp_path / "strings", labels("1", "NS", "0", "NS", None)), task)
    assert [row["label"] for row in found.rows] == [1, 0]
    assert found.dropped == {"no gold label ('NS')": 2, "no gold label (None)": 1}
    assert taken(made(tmp_path / "numbers", labels(1, -1, 0)), task).dropped == {"no gold label (-1)": 1}
    names = datasets.ClassLabel(names=["NS", "0", "1"])
    path = tmp_path / "named/owner/name/conf/test-0.parquet"
    path.parent.mkdir(parents=True)
    features = datasets.Features({"first": datasets.Value("string"), "gold": names})
    datasets.Dataset.from_list(labels(0, 2, -1), features=features).to_parquet(str(path))
    found = taken(Sources(tmp_path / "named").get(Source("owner/name", "conf", "test")), task)
    assert [row["label"] for row in found.rows] == [1]
    assert found.dropped == {"no gold label ('NS')": 1, "no gold label (-1)": 1}


def test_a_placeholder_that_the_task_does_not_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: gold: expected one of yes, no, maybe, found 'NS'"):
        taken(made(tmp_path, labels("yes", "NS")))


@pytest.mark.parametrize("bad", ["Yes", "yes ", "", "perhaps", None])
def test_a_label_that_the_task_does_not_have(tmp_path: Path, bad: Any) -> None:
    split = made(tmp_path, labels("yes", bad, "no"))
    with pytest.raises(DataError) as caught:
        taken(split)
    assert (
        str(caught.value) == f"{split.files[0]}: row 1: gold: expected one of yes, no, maybe, found {bad!r}; {REMEDY}"
    )


@pytest.mark.parametrize("bad", [True, [0], ["yes", "no"], 1.0])
def test_a_label_of_the_wrong_kind(tmp_path: Path, bad: Any) -> None:
    """True is no number 1, and one label is no list; both used to end as an internal error or a wrong class."""
    split = made(tmp_path, labels(bad))
    with pytest.raises(DataError) as caught:
        taken(split)
    assert (
        str(caught.value) == f"{split.files[0]}: row 0: gold: expected one of yes, no, maybe, found {bad!r}; {REMEDY}"
    )


@pytest.mark.parametrize("bad", [True, [1]])
def test_a_choice_of_the_wrong_kind(tmp_path: Path, bad: Any) -> None:
    task = Task("pick", "choice", ("en",), {"context": "context", "choices": "choices", "label": "label"})
    split = made(tmp_path, [{"context": "a", "choices": ["b", "c"], "label": bad}])
    with pytest.raises(DataError, match=r"row 0: label: expected one label, found"):
        read(split, task, kinds.get("choice").check)


@pytest.mark.parametrize("name", ["squad", "squad_v2"])
@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({"text": None, "answer_start": None}, "answers.text: expected a list, an empty one where there is nothing"),
        ({"text": ["a"], "answer_start": None}, "answers.answer_start: expected a list, an empty one"),
        ({"text": "a", "answer_start": 0}, "answers.text: expected a list, an empty one where there is nothing"),
        ({"text": ["a"], "answer_start": 0}, "answers.answer_start: expected a list"),
        ({"text": [None], "answer_start": [0]}, "answers: expected texts"),
        ({"text": ["a"], "answer_start": [None]}, "answers: expected whole numbers as starts"),
        ({"text": ["a"], "answer_start": [True]}, "answers: expected whole numbers as starts"),
        ({"text": ["a"]}, "answers: expected text and answer_start"),
        (None, "answers: expected text and answer_start"),
        (["a"], "answers: expected text and answer_start"),
    ],
)
def test_answers_that_are_no_lists(tmp_path: Path, name: str, answers: Any, problem: str) -> None:
    """Null lists are what Spark and polars write where there is nothing."""
    split = made(tmp_path, [{"id": "1", "question": "q", "context": "a", "answers": answers}])
    with pytest.raises(DataError) as caught:
        read(split, tasks.get(name), kinds.get("span").check)
    assert str(caught.value).startswith(f"{split.files[0]}: row 0 (id 1): {problem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [3, -2])
def test_a_label_number_out_of_range(tmp_path: Path, bad: int) -> None:
    with pytest.raises(DataError, match=f"row 1: gold: expected one of yes, no, maybe, found {bad}"):
        taken(made(tmp_path, labels(0, bad)))


def test_a_label_that_is_not_a_whole_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found 1\.5"):
        taken(made(tmp_path, labels(0.0, 1.5)))


def test_offenders_are_told_three_at_a_time_and_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        taken(made(tmp_path, labels(*["yes", "bad"] * 5)))
    assert str(caught.value).count("row ") == 3
    assert "row 1: " in str(caught.value)
    assert str(caught.value).endswith(f"(5 such rows); {REMEDY}")


def test_a_missing_column(tmp_path: Path) -> None:
    split = made(tmp_path, [{"first": "x", "label": 1}])
    with pytest.raises(DataError) as caught:
        taken(split)
    assert str(caught.value) == f"{split.files[0]}: no column 'gold'; found first, label"


def test_a_column_of_another_type(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 0: first: expected text, found 3"):
        taken(made(tmp_path, [{"first": 3, "gold": 0}]))


def test_a_missing_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: first: expected text, found None"):
        taken(made(tmp_path, [{"first": "x", "gold": 0}, {"first": None, "gold": 0}]))


@pytest.mark.parametrize("name", ["first", "words"])
def test_a_text_that_is_too_long(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_checks, "LONGEST_TEXT", 20)
    monkeypatch.setattr(column_checks, "LONGEST_TEXT", 20)
    row = {"first": "x", "words": ["x"], "gold": 0}
    split = made(tmp_path, [row, {**row, name: row[name] * 21 if name == "first" else ["x" * 21]}])
    task = replace(TASK, columns={"text_a": name, "label": "gold"})
    with pytest.raises(DataError, match=rf"row 1: {name}: expected at most 20 characters, found 21"):
        read(split, task, lambda example, task: None)
    if name == "first":
        with pytest.raises(DataError, match=rf"row 1: {name}: expected at most 20 characters, found 21"):
            scan(split, task, check)


COPA = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}
SOCIAL = {"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "c", "label": "1"}
HELLASWAG = {"ctx_a": "a", "ctx_b": "b", "endings": ["x", "y"], "label": "1"}
COMMONSENSE = {"id": "7", "question": "q", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "answerKey": "A"}


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        ("copa", {**COPA, "premise": None}, "row 0: premise: expected text, found None"),
        ("copa", {**COPA, "choice2": None}, "row 0: choice2: expected text, found None"),
        ("copa", {**COPA, "question": "why"}, "row 0: question: expected cause or effect, found 'why'"),
        ("copa", {**COPA, "label": True}, "row 0: label: expected one label, found True"),
        ("social_i_qa", {**SOCIAL, "context": None}, "row 0: context: expected text, found None"),
        ("social_i_qa", {**SOCIAL, "label": True}, "row 0: label: expected a whole number, found True"),
        ("social_i_qa", {**SOCIAL, "label": "1.0"}, "row 0: label: expected a whole number, found '1.0'"),
        ("hellaswag", {**HELLASWAG, "ctx_b": None}, "row 0: ctx_b: expected text, found None"),
        ("hellaswag", {**HELLASWAG, "endings": "xy"}, "row 0: endings: expected a list of texts, found 'xy'"),
        ("hellaswag", {**HELLASWAG, "endings": ["x", None]}, "row 0: endings: expected a list of texts"),
        ("hellaswag", {**HELLASWAG, "label": 1.5}, "row 0: label: expected a whole number, found 1.5"),
        ("commonsense_qa", {**COMMONSENSE, "answerKey": "F"}, "row 0 (id 7): answerKey: expected A or B, found 'F'"),
        ("commonsense_qa", {**COMMONSENSE, "choices": None}, "row 0 (id 7): choices.text: expected fields, found None"),
        (
            "commonsense_qa",
            {**COMMONSENSE, "choices": {"label": ["A", "B"], "text": ["x"]}},
            "row 0 (id 7): choices: expected a label for each text, found 1 and 2",
        ),
    ],
)
def test_nulls_and_other_types_do_not_become_words_and_numbers(
    tmp_path: Path, name: str, row: Any, problem: str
) -> None:
    split = made(tmp_path, [row])
    with pytest.raises(DataError) as caught:
        read(split, tasks.get(name), kinds.get("choice").check)
    assert str(caught.value).startswith(f"{split.files[0]}: {problem}")
    assert str(caught.value).endswith(REMEDY)


def test_what_is_said_of_a_row_is_short(tmp_path: Path) -> None:
    split = made(tmp_path, [{"tokens": ["word"] * 500, "pos_tags": [0]}])
    with pytest.raises(DataError) as caught:
        read(split, tasks.get("udpos"), kinds.get("tagging").check)
    assert len(str(caught.value)) < len(str(split.files[0])) + 400


@pytest.mark.parametrize(
    ("adapt", "words"),
    [
        (lambda row: {"first": row["absent"], "gold": 0}, "row 0: absent: no such column; found first, gold"),
        (lambda row: {"first": "x"}, "row 0: gold: no such column; found first"),
        (lambda row: {"first": "x", "gold": int(row["first"])}, "row 0: not a row of toy: ValueError"),
        (lambda row: {"first": row["first"].absent, "gold": 0}, "row 0: not a row of toy: AttributeError"),
        (lambda row: 1 // 0, "ZeroDivisionError"),
        (lambda row: re.compile("("), r"row 0: not a row of toy: error missing \)"),
    ],
)
def test_a_row_that_cannot_be_adapted(tmp_path: Path, adapt: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        taken(made(tmp_path, labels("yes")), replace(TASK, adapt=adapt))


def test_a_row_may_give_several_examples_or_none(tmp_path: Path) -> None:
    def adapt(row: Any) -> Any:
        parts = [{"first": word, "gold": row["gold"]} for word in row["first"].split()]
        return [parts[0], LeftOut("odd"), *parts[1:]] if row["gold"] != "maybe" else LeftOut("too vague")

    found = taken(made(tmp_path, labels("yes", "maybe", "-", "no")), replace(TASK, adapt=adapt))
    assert [(i, row["text_a"], row["label"]) for i, row in zip(found.ids, found.rows, strict=True)] == [
        (0, "text", 0), (2, "0", 0), (7, "text", 1), (9, "3", 1)
    ]  # fmt: skip
    assert found.dropped == {"odd": 3, "too vague": 1, "no gold label ('-')": 2}
    with pytest.raises(DataError, match=r"row 2: label: expected one of yes, no, found '-'; row 2: label: .*'-'; "):
        taken(
            made(tmp_path / "two", labels("yes", "no", "-")), replace(TASK, adapt=adapt, labels=LABELS[:2], no_gold=())
        )


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no usable rows for toy"):
        taken(made(tmp_path, labels("-", "-")))


def test_where_keeps_its_rows_only(tmp_path: Path) -> None:
    rows = [{**row, "language": "en" if i % 3 else "de"} for i, row in enumerate(labels(*["yes"] * 7))]
    found = taken(made(tmp_path, rows, where=("language", "de")))
    assert [row["text_a"] for row in found.rows] == ["text 0", "text 3", "text 6"]
    assert found.total == 3


def test_damage_inside_a_file_is_a_data_error(tmp_path: Path) -> None:
    """The footer is whole, a page is not."""
    split = made(tmp_path, labels(*["yes"] * 500))
    data = bytearray(split.files[0].read_bytes())
    data[4:200] = b"\xff" * 196
    split.files[0].write_bytes(bytes(data))
    with pytest.raises(DataError) as caught:
        taken(split)
    assert str(split.files[0]) in str(caught.value)


def test_lines_and_marks_inside_text_stay(tmp_path: Path) -> None:
    texts = ["a\u2028b", "a\x85b", "a\rb", "a\r\nb\n", "\ufeffa", "a\x00b", "e\u0301", "１２", "\u200fא", " "]
    found = taken(made(tmp_path, [{"first": text, "gold": 0} for text in texts]))
    assert [row["text_a"] for row in found.rows] == texts


# Subsets


def test_a_subset_is_drawn_once_and_stays_in_order(tmp_path: Path) -> None:
    split = made(tmp_path, labels(*["yes", "no"] * 50))
    some = taken(split, limit=20)
    assert (len(some.rows), some.total) == (20, 100)
    assert some.ids == sorted(set(some.ids))
    assert some == taken(split, limit=20)
    assert some.ids != taken(split, limit=20, seed="other").ids
    assert [row["text_a"] for row in some.rows] == [f"text {i}" for i in some.ids]
    assert taken(split, limit=100).ids == taken(split, limit=1000).ids == list(range(100))


def test_subsets_of_parallel_data_are_parallel(data_root: Path) -> None:
    task, sources = tasks.get("xcopa"), Sources(data_root)
    assert task.test is not None
    found = [
        read(sources.get(task.test.at(LANGUAGES[code])), task, kinds.get("choice").check, limit=5)
        for code in ("id", "zh")
    ]
    assert found[0].ids == found[1].ids
    assert found[0].rows != found[1].rows


def test_subsets_of_parallel_data_in_one_file_are_parallel(data_root: Path) -> None:
    task, sources = tasks.get("xnli"), Sources(data_root)
    assert task.test is not None
    check = kinds.get("classification").check
    found = [read(sources.get(task.test.at(LANGUAGES[code])), task, check, limit=7) for code in ("en", "de", "zh")]
    assert found[0].ids == found[1].ids == found[2].ids
    assert {each.total for each in found} == {18}


# Every task on the toy data


@pytest.mark.parametrize("name", ["mnli", "social_i_qa", "copa", "squad", "udpos"])
def test_training_rows_of_a_task(data_root: Path, name: str) -> None:
    task, sources = tasks.get(name), Sources(data_root)
    assert task.train is not None
    found = read(sources.get(task.train.at(LANGUAGES["en"])), task, kinds.get(task.kind).check)
    assert len(found.rows) == found.total > 0
    assert all(set(row) >= set(task.columns) for row in found.rows)
    assert not found.dropped


def test_the_newline_at_the_end_of_a_sentence_is_taken_off(data_root: Path) -> None:
    task = tasks.get("tatoeba")
    assert task.test is not None
    found = read(Sources(data_root).get(task.test.at(LANGUAGES["de"])), task, kinds.get("bitext").check)
    assert len(found.rows) == 20
    assert not any(row[side].endswith("\n") for row in found.rows for side in ("foreign", "english"))
    assert found.rows[0]["foreign"] == found.rows[0]["english"].upper()


def test_tags_are_indices(data_root: Path) -> None:
    task = tasks.get("udpos")
    assert task.test is not None
    found = read(Sources(data_root).get(task.test.at(LANGUAGES["de"])), task, kinds.get("tagging").check)
    assert all(len(row["tags"]) == len(row["tokens"]) for row in found.rows)
    assert all(0 <= tag < 17 for row in found.rows for tag in row["tags"])


def test_a_tag_that_the_task_does_not_have(tmp_path: Path) -> None:
    split = made(tmp_path, [{"tokens": ["a", "b"], "pos_tags": [0, 17]}])
    with pytest.raises(DataError, match=r"row 0: pos_tags: expected one of ADJ, .*, found 17"):
        read(split, tasks.get("udpos"), kinds.get("tagging").check)


def test_open_labels_are_the_names_that_rows_have(tmp_path: Path) -> None:
    """As long as nobody has said which there are; then another one is an error, which does not list them all."""
    task = replace(TASK, labels=(), open_labels=True)
    split = made(tmp_path, labels("N", "N/N", "-", "N"))
    assert [row["label"] for row in taken(split, task).rows] == ["N", "N/N", "N"]
    many = replace(task, labels=tuple(f"L{i}" for i in range(1363)))
    with pytest.raises(DataError, match=r"expected one of L0, .*, L19, \.\.\. \(1363 labels\), found 'N'") as caught:
        taken(split, many)
    assert len(str(caught.value)) < len(str(split.files[0])) + 600


def test_labels_that_look_withheld() -> None:
    assert withheld([0] * 50)
    assert withheld(["entailment"] * 500)
    assert not withheld([0] * 49)
    assert not withheld([0] * 50 + [1])
