"""XTREME-UP: its files as they are unpacked, and MasakhaNER-X with all its entities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.inputs import make_data, write_split

from adaptstilts import languages, study, tasks
from adaptstilts.data import examples
from adaptstilts.data.sources import Sources
from adaptstilts.kinds import entities
from adaptstilts.plan import expand
from adaptstilts.reports.records import records, row_records
from adaptstilts.run import run_plan
from adaptstilts.tasks.row_values import UnfitRow
from adaptstilts.tasks.xtreme_up import _entities
from adaptstilts.workspace import Workspace

NER = [
    {
        "text": "the cat sees the ſtone",
        "spans": [
            {"start_byte": 4, "limit_byte": 7, "label": "PER"},
            {"start_byte": 17, "limit_byte": 23, "label": "LOC"},
        ],
        "target": "PER: cat $$ LOC: ſtone",
    },
    {"text": "old dog runs", "spans": [], "target": ""},
]
QUESTIONS = [
    {"question": "the dog", "title": "a", "context": "the old dog runs", "target": "old dog"},
    {"question": "the sun", "title": "a", "context": "the old dog runs", "target": "No Answer"},
    {"question": "the bird", "title": "a", "context": "the red bird eats", "target": "red bird"},
]
PASSAGES = [{"id": i, "title": f"the {word}", "context": f"old {word} runs"} for i, word in enumerate(("dog", "sun"))]
ASKED = [{**passage, "question": f"{passage['title']} runs"} for passage in PASSAGES]


def write_lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the benchmark's files in Swahili (or Assamese) and English, and a little of PAN-X."""
    root = make_data(tmp_path_factory.mktemp("up"))
    for split in ("train", "validation"):
        tagged = [
            {"tokens": ["the", "cat", "sees"], "ner_tags": [0, 1, 0]},
            {"tokens": ["old", "river"], "ner_tags": [5, 6]},
        ]
        write_split(root, "google/xtreme", "PAN-X.en", split, tagged * 6)
    base = root / "google-research" / "xtreme-up"
    for split in ("train", "validation", "test"):
        write_lines(base / "ner" / split / "sw.jsonl", NER * 6)
        for code in ("en", "sw"):
            write_lines(base / "qa_in_lang" / split / f"{code}.jsonl", QUESTIONS * 4)
            write_lines(base / "retrieval_in_lang" / split / f"{code}.jsonl", ASKED)
        write_lines(base / "qa_cross_lang" / split / "as.jsonl", QUESTIONS * 4)
        write_lines(base / "retrieval_cross_lang" / split / "as.jsonl", ASKED)
    for task in ("retrieval_in_lang", "retrieval_cross_lang"):
        write_lines(base / task / "index.jsonl", PASSAGES)
    return root


def run(root: Path, tiny: Path, store: Path, targets: list[Any], **changed: Any) -> Mapping[str, Any]:
    """Run a study with the method full; task and training rows -> metrics by name."""
    config = {
        "name": "up",
        "model": str(tiny),
        "intermediates": ["none"],
        "targets": targets,
        "methods": ["full"],
        "seeds": [1],
        "train": {"epochs": 1, "batch_size": 4, "max_length": 48},
        **changed,
    }
    workspace = Workspace(store, root)
    plan = expand.expand(study.parse(json.dumps(config)), workspace)
    run_plan(plan, workspace)
    results = [*records(plan, workspace.store), *row_records(plan, workspace.store)]
    return {f"{record.task} {record.after}".strip(): record.metrics for record in results}


@pytest.mark.slow
def test_zero_shot_and_in_language_entities(root: Path, tiny: Path, tmp_path: Path) -> None:
    target = {"task": "masakhaner_x", "rows": {"languages": ["sw"], "k": [4], "draws": 1, "after": ["none"]}}
    metrics = run(root, tiny, tmp_path / "store", [target], languages=["sw"])
    assert list(metrics) == ["masakhaner_x", "masakhaner_x none"]
    assert all(set(values) == {"span_f1"} for values in metrics.values())


@pytest.mark.slow
def test_questions_and_passages(root: Path, tiny: Path, tmp_path: Path) -> None:
    names = ["xtreme_up_qa", "xtreme_up_retrieval"]
    metrics = run(root, tiny, tmp_path / "store", names, languages=["en", "sw"])
    assert set(metrics["xtreme_up_qa"]) == {"f1", "exact_match"}
    assert set(metrics["xtreme_up_retrieval"]) == {"map", "mrr"}
    assert metrics["xtreme_up_retrieval"]["mrr"] >= 50, "the right passage is first or second of two"
    crossed = run(root, tiny, tmp_path / "store", [f"{name}_cross" for name in names], languages=["as"])
    assert set(crossed) == {"xtreme_up_qa_cross", "xtreme_up_retrieval_cross"}


def test_answers_are_where_they_first_occur(root: Path) -> None:
    task = tasks.get("xtreme_up_qa")
    assert task.test is not None
    split = Sources(root).get(task.fill(task.test, "sw"))
    rows = examples.read(split, task, lambda example, task: None).rows
    assert rows[0]["answers"] == {"text": ["old dog"], "answer_start": [4]}
    assert rows[1]["answers"] == {"text": [], "answer_start": []}


def test_bytes_become_characters() -> None:
    assert _entities(NER[0]) == {
        "text": "the cat sees the ſtone",
        "starts": [4, 17],
        "ends": [7, 22],
        "labels": ["PER", "LOC"],
    }
    with pytest.raises(UnfitRow, match=r"spans: expected bytes between two characters of the text, found 18"):
        _entities({"text": "the cat sees the ſtone", "spans": [{"start_byte": 18, "limit_byte": 23, "label": "LOC"}]})


def test_tags_of_panx_become_entities() -> None:
    row = {"tokens": ["Ada", "Obi", "of", "Jos", "Jos"], "ner_tags": [1, 2, 0, 5, 5]}
    assert _entities(row) == {
        "text": "Ada Obi of Jos Jos",
        "starts": [0, 11, 15],
        "ends": [7, 14, 18],
        "labels": ["PER", "LOC", "LOC"],
    }


def test_every_entity_of_masakhaner_x_can_be_predicted(shared: Path) -> None:
    """The tags of the gold entities give the strings that the benchmark's ``target`` has: F1 is 100."""
    task = tasks.get("masakhaner_x")
    assert task.test is not None
    sources = Sources(shared / "hub")
    names = entities.tag_names(task.labels)
    checked = 0
    for code in task.languages:
        split = sources.find(task.fill(task.test, languages.resolve(code).code))
        if split is None:
            continue
        rows = examples.read(split, task, entities.KIND.check).rows
        predicted = []
        for row in rows:
            tags = [names[tag] for tag in entities._tags(row, entities.words(row["text"]))]
            predicted.append(entities._entities(row["text"], tags))
        metric = entities.KIND.score(predicted, entities.KIND.gold(rows, task), task, code)["span_f1"]
        assert metric.value == 100.0, code
        checked += len(rows)
    assert checked > 10_000
