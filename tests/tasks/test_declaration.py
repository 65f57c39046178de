"""Mistakes of a declaration: one line each with the task's name, before any work starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from support.command_line import call
from support.inputs import STUDY, write_split

from adaptstilts import study, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.plan.expand import expand
from adaptstilts.tasks import Source, Task, declaration
from adaptstilts.workspace import Workspace

SOURCE = Source("someone/moods", "{code}", "test")
TASK = Task(
    name="moods",
    kind="classification",
    languages=("en", "de"),
    columns={"text_a": "text", "label": "mood"},
    labels=("up", "down"),
    train=dataclasses.replace(SOURCE, split="train"),
    dev=dataclasses.replace(SOURCE, split="validation"),
    test=SOURCE,
    intermediate=True,
)
SPAN = {"id": "id", "question": "question", "context": "context", "answers": "answers"}


def at(**changed: Any) -> dict[str, Any]:
    """The task with another test source."""
    return {"test": dataclasses.replace(SOURCE, **changed)}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": "my moods"}, "task 'my moods': name: expected letters, digits"),
    ({"name": "none"}, "name: 'none' stands for no intermediate task"),
    ({"kind": "clasification"}, "kind 'clasification'; did you mean classification"),
    ({"kind": "masked", "columns": {"text": "text"}, "labels": ()}, "kind: tasks of the kind masked are not declared"),
    ({"languages": ()}, "languages: expected at least one language"),
    ({"languages": "en"}, "languages: expected a tuple of texts, such as ('a', 'b'), found 'en'"),
    ({"languages": ["en", "de"]}, "languages: expected a tuple"),
    ({"languages": ("en", "xx")}, "languages: unknown language 'xx'"),
    ({"languages": ("en", "de", "deu")}, "languages: de (German) is declared twice"),
    ({"more_languages": ("German",)}, "languages: de (German) is declared twice"),
    ({"columns": {"text_a": "text"}}, "columns: the kind classification needs label as well"),
    ({"columns": {**TASK.columns, "textb": "other"}}, "columns: 'textb' is not a field of the kind classification"),
    ({"columns": {"text_a": "text", "label": 1}}, "columns: expected a mapping of text to text"),
    ({"columns": ("text_a", "label")}, "columns: expected a mapping of text to text"),
    ({"labels": ()}, "labels: expected the names of the labels, or open_labels=True"),
    ({"labels": ("up",)}, "labels: expected two or more, found 'up' alone"),
    ({"labels": ("up", "down", "up")}, "labels: a label is declared twice in up, down, up"),
    ({"labels": (0, 1)}, "labels: expected a tuple of texts"),
    ({"labels": "ab"}, "labels: expected a tuple of texts"),
    ({"open_labels": True}, "labels: declare them, or take those of the rows with open_labels=True; not both"),
    (
        {"open_labels": True, "labels": (), "train": None, "train_from": ("mnli",)},
        "open_labels: the labels are those of the training rows, so train must be declared",
    ),
    ({"no_gold": -1}, "no_gold: expected a tuple of label values, found -1"),
    ({"metrics": ("acuracy",)}, "metrics: 'acuracy' is unknown; the kind classification has accuracy, f1, matthews"),
    ({"metrics": "accuracy"}, "metrics: expected a tuple of texts"),
    ({"metrics": ("f1",), "labels": ("a", "b", "c")}, "metrics: 'f1' is not computed for this task, which has accurac"),
    ({"train": None}, "train: expected the training rows, or the tasks that have them (train_from)"),
    ({"train_from": ("mnli",)}, "train: give the training rows, or the tasks that have them (train_from), not both"),
    ({"dev": None}, "dev: expected rows for model selection"),
    ({"train": None, "train_from": ("mnlI",)}, "train_from: 'mnlI' is not a task"),
    ({"train": None, "train_from": ("mnli",)}, "train_from: mnli has another kind or other labels"),
    ({"train": None, "train_from": ("xnli",)}, "train_from: xnli has no training and dev rows of its own"),
    ({"train": "someone/moods"}, "train: expected a Source, found 'someone/moods'"),
    ({"pool": SOURCE}, "pool: the kind classification has no pool of candidates"),
    ({"sets": {"gold": "gold"}}, "sets: the row sets of the kind classification are none"),
    ({"adapt": "lower"}, "adapt: expected a function from a row to its columns, found 'lower'"),
    ({"adapt": {"gold": dict}}, "adapt: expected one function, as a split is one table, found some for gold"),
    ({"answers": "SQuAD"}, "answers: expected squad or mlqa, found 'SQuAD'"),
    ({"choices": 1}, "choices: expected a number from 2, or None, found 1"),
    ({"query_length": 0}, "query_length: expected a number of tokens"),
    ({"version": "1"}, "version: expected a whole number from 1, found '1'"),
    ({"test_rows": 0.5}, "test_rows: expected a whole number from 0, found 0.5"),
    ({"item": ["id"]}, "item: expected a field of columns: "),
    (
        {"train_languages": dataclasses.replace(SOURCE, config="{lang}")},
        "train_languages: config: unknown placeholder in '{lang}'",
    ),
    ({"train_rows": -1}, "train_rows: expected a whole number from 0, found -1"),
    ({"defaults": ["epochs"]}, "defaults: expected training settings by name"),
    ({"recipes": {"xtreme": {"epochs": 3}}}, "recipes: expected a Recipe for each name"),
    ({"licence": None}, "licence: expected text, found None"),
    (at(repo="moods"), "test: repo: expected owner/name, found 'moods'"),
    (at(repo="../moods"), "test: repo: expected owner/name, found '../moods'"),
    (at(config=None), "test: config: expected text, found None"),
    (at(config="{lang}"), "test: config: unknown placeholder in '{lang}'; expected {code}, {iso3}, {name}, {lower}"),
    (at(config="{code.__class__}"), "test: config: unknown placeholder"),
    (at(config="{code!r}"), "test: config: unknown placeholder"),
    (at(config="{}"), "test: config: unknown placeholder"),
    (at(split="{code"), "test: split: '{code' is not readable"),
    (at(config="{code}-{set}"), "test: config: '{code}-{set}' has {set}, but the task declares no row sets"),
    (at(config="all"), "test: en and de would read the same rows (someone/moods all test); use {code} or the like"),
    (at(where=("language",)), "test: where: expected (column, value), two texts, found ('language',)"),
    (at(where=("language", "{lang}")), "test: where: unknown placeholder"),
    (at(format="csv"), "test: format: expected parquet, tsv, text, jsonl, squad, parallel, found 'csv'"),
    (at(mirrors=("other/moods",)), "test: mirrors: expected a tuple of Source"),
    (at(mirrors=(dataclasses.replace(SOURCE, repo="x"),)), "test: mirrors: repo: expected owner/name, found 'x'"),
    (at(more=(dataclasses.replace(SOURCE, config="{x}"),)), "test: more: config: unknown placeholder"),
    ({"kind": "span", "columns": SPAN, "labels": (), "metrics": ("accuracy",)}, "metrics: 'accuracy' is unknown"),
    (
        {"kind": "bitext", "columns": {"foreign": "a", "english": "b"}, "labels": ()},
        "train: tasks of the kind bitext are never trained",
    ),
]


@pytest.mark.parametrize(("changed", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_a_mistake_is_one_line_with_the_name(changed: dict[str, Any], message: str) -> None:
    task = dataclasses.replace(TASK, **changed)
    with pytest.raises(ConfigError) as caught:
        declaration.check(task, {**tasks.known(), task.name: task})
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"task {task.name!r}: ") for line in lines)
    assert any(message in line for line in lines)


def test_a_right_declaration_passes() -> None:
    declaration.check(TASK, tasks.known())
    for task in tasks.known().values():
        declaration.check(task, tasks.known())


def test_every_mistake_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        tasks.add(dataclasses.replace(TASK, labels=(), metrics=("bleu",), dev=None, **at(repo="x")))
    fields = [line.removeprefix("task 'moods': ").partition(":")[0] for line in str(caught.value).splitlines()]
    assert fields == ["metrics", "labels", "test", "dev"]


@pytest.mark.parametrize(("field", "value"), [("kind", None), ("open_labels", "yes"), ("intermediate", 1)])
def test_a_field_of_another_type(field: str, value: Any) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=f"^task 'moods': {field}: expected "):
        tasks.add(dataclasses.replace(TASK, **changed))


def test_mining_needs_dev_for_a_threshold() -> None:
    bucc = tasks.get("bucc")
    with pytest.raises(ConfigError, match="metrics: 'f1' is not computed for this task, which has oracle_f1, "):
        declaration.check(dataclasses.replace(bucc, dev=None), tasks.known())
    with pytest.raises(ConfigError, match="adapt: expected functions for the row sets foreign, english, gold, found"):
        declaration.check(dataclasses.replace(bucc, adapt={"foreign": dict}), tasks.known())


def test_a_pool_is_read_once() -> None:
    mewsli = tasks.get("mewsli_x")
    assert mewsli.pool is not None
    pool = dataclasses.replace(mewsli.pool, config="{code}")
    with pytest.raises(ConfigError, match=r"pool: config: '{code}' has a placeholder, but all languages share"):
        declaration.check(dataclasses.replace(mewsli, pool=pool), tasks.known())


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """Tasks that were added without a check, as a plug-in may bring them."""
    added: dict[str, Task] = {}
    monkeypatch.setattr(tasks.REGISTRY, "_added", added)
    return added


def test_added_tasks_are_checked(known: dict[str, Task]) -> None:
    with pytest.raises(ConfigError, match="task 'moods': labels"):
        tasks.add(dataclasses.replace(TASK, labels=()))
    assert "moods" not in tasks.known()
    borrowed = dataclasses.replace(TASK, name="borrowed", train=None, train_from=("moods",))
    tasks.add(borrowed)  # before the task that it names
    with pytest.raises(ConfigError, match="task 'borrowed': train_from: 'moods' is not a task"):
        tasks.get("borrowed")
    tasks.add(TASK)
    assert tasks.get("borrowed") is borrowed


def test_a_plug_in_is_checked_when_a_study_names_it(
    known: dict[str, Task], study_file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    known["moods"] = dataclasses.replace(TASK, labels=())
    path = study_file(targets=["moods"])
    assert call("plan", path) == 2
    told = capsys.readouterr().err
    assert "task 'moods': labels: expected the names of the labels" in told
    assert "internal" not in told


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"epoch": 3}, "task 'moods': defaults: epoch: unknown key; did you mean epochs?"),
        ({"epochs": "3"}, "task 'moods': defaults: epochs: expected a whole number, found '3'"),
    ],
)
def test_defaults_are_checked_when_a_study_is_planned(
    defaults: dict[str, Any], message: str, known: dict[str, Task], tiny: Path, tmp_path: Path
) -> None:
    tasks.add(dataclasses.replace(TASK, defaults=defaults))
    rows = [{"text": "sun", "mood": "up"}, {"text": "river", "mood": "down"}]
    for code in ("en", "de"):
        for split in ("train", "validation", "test"):
            write_split(tmp_path, "someone/moods", code, split, rows)
    text = json.dumps({**STUDY, "model": str(tiny), "intermediates": ["none"], "targets": ["moods"], "swap": "off"})
    with pytest.raises(ConfigError) as caught:
        expand(study.parse(text), Workspace(tmp_path / "store", tmp_path))
    assert str(caught.value) == f"study:1: targets.0: {message}"


def test_english_dev_rows_are_not_evaluated_as_other_languages(data_root: Path, tiny: Path, tmp_path: Path) -> None:
    changed: dict[str, Any] = {"targets": [{"task": "xcopa", "evaluate": {"split": "dev"}}], "intermediates": ["none"]}
    text = json.dumps({**STUDY, "model": str(tiny), "swap": "off", **changed})
    with pytest.raises(ConfigError, match="xcopa: its dev rows are English only, not et, ht, "):
        expand(study.parse(text), Workspace(tmp_path / "store", data_root))
