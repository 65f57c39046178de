"""Every task reads rows in the schema that its data set has on the hub (or that its files have), and counts what it
leaves out; most of the data itself is too large to have here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.sources import Sources
from adaptstilts.languages import LANGUAGES
from adaptstilts.reports.data_inventory import inventories
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

NLI = ["entailment", "neutral", "contradiction"]


def write(root: Path, source: Source, rows: list[dict[str, Any]], names: list[str] | None = None) -> None:
    """Write a split where a source has it; ``names`` makes the label a ClassLabel as the hub's copies have it."""
    folder = root / source.repo / source.config
    folder.mkdir(parents=True, exist_ok=True)
    if source.format == "tsv":
        text = "".join("\t".join(row.values()) + "\n" for row in rows)
        (folder / f"{source.split}.tsv").write_text(text, encoding="utf-8")
        return
    path = folder / f"{source.split}-00000-of-00001.parquet"
    if names is None:
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    held = Dataset.from_list(rows)
    features = Features({**held.features, "label": ClassLabel(names=names)})
    Dataset.from_list(rows, features=features).to_parquet(str(path))


def rows_of(root: Path, name: str, part: str = "train", code: str = "en", row_set: str = "") -> Examples:
    """What a task reads of a split."""
    task = tasks.get(name)
    source = getattr(task, part).at(LANGUAGES[code], task.sets.get(row_set, ""))
    kind: Any = kinds.get(task.kind)
    own = task.row_set(row_set)
    return read(Sources(root).get(source), own, kind.check)


def pairs(first: str, second: str, labels: list[Any]) -> list[dict[str, Any]]:
    return [{first: f"a {i}", second: f"b {i}", "label": label, "idx": i} for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("name", "columns", "names"),
    [
        ("mnli", ("premise", "hypothesis"), NLI),
        ("snli", ("premise", "hypothesis"), NLI),
        ("qqp", ("question1", "question2"), ["not_duplicate", "duplicate"]),
        ("mrpc", ("sentence1", "sentence2"), ["not_equivalent", "equivalent"]),
        ("rte", ("sentence1", "sentence2"), ["entailment", "not_entailment"]),
        ("qnli", ("question", "sentence"), ["entailment", "not_entailment"]),
        ("paws", ("sentence1", "sentence2"), ["0", "1"]),
        ("sst2", ("sentence", "idle"), ["negative", "positive"]),
        ("cola", ("sentence", "idle"), ["unacceptable", "acceptable"]),
    ],
)
def test_classification(tmp_path: Path, name: str, columns: tuple[str, str], names: list[str]) -> None:
    """The labels mean what their names say; -1 is no gold label, where a data set has it."""
    task = tasks.get(name)
    assert task.train is not None
    labels = [0, 1, *([-1] if task.no_gold else []), 1]
    write(tmp_path, task.train, pairs(*columns, labels), names)
    found = rows_of(tmp_path, name)
    assert [task.labels[row["label"]] for row in found.rows] == [names[0], names[1], names[1]]
    assert found.rows[0]["text_a"] == "a 0"
    assert ("text_b" in found.rows[0]) == (columns[1] != "idle")
    assert sum(found.dropped.values()) == labels.count(-1)


def test_three_rounds_are_one_set(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        rows = [{**row, "uid": "u", "reason": ""} for row in pairs("premise", "hypothesis", [0] * number)]
        write(tmp_path, Source("facebook/anli", "plain_text", f"train_r{number}"), rows, NLI)
    assert len(rows_of(tmp_path, "anli").rows) == 6
    assert Sources(tmp_path).find(tasks.get("anli_plus").train) is None  # type: ignore[arg-type]
    write(tmp_path, Source("nyu-mll/glue", "mnli", "train"), pairs("premise", "hypothesis", [1] * 4), NLI)
    write(tmp_path, Source("stanfordnlp/snli", "plain_text", "train"), pairs("premise", "hypothesis", [2, -1]), NLI)
    found = rows_of(tmp_path, "anli_plus")
    assert [row["label"] for row in found.rows] == [0] * 6 + [1] * 4 + [2]
    assert found.ids == [*range(11)]
    assert sum(found.dropped.values()) == 1


@pytest.mark.parametrize("mirror", [False, True])
def test_paws_x(tmp_path: Path, mirror: bool) -> None:
    """Untranslated sentences are no rows, in whichever copy."""
    source = tasks.get("paws_x").test
    assert source is not None
    place = (source.mirrors[0] if mirror else source).at(LANGUAGES["de"])
    labels: list[Any] = ["0", "1", "0"] if mirror else [0, 1, 0]
    rows = pairs("sentence1", "sentence2", labels)
    rows[2] |= {"sentence1": "NS", "sentence2": "NS"}
    write(tmp_path, place, rows, None if mirror else ["0", "1"])
    found = rows_of(tmp_path, "paws_x", "test", "de")
    assert [row["label"] for row in found.rows] == [0, 1]
    assert sum(found.dropped.values()) == 1


def test_stsb(tmp_path: Path) -> None:
    write(tmp_path, Source("nyu-mll/glue", "stsb", "train"), pairs("sentence1", "sentence2", [5.0, 0.25]))
    assert [row["label"] for row in rows_of(tmp_path, "stsb").rows] == [5.0, 0.25]


def test_choices(tmp_path: Path) -> None:
    """The first segment and the choices are built as in jiant."""
    endings = ["runs.", "sits.", "eats.", "sees."]
    hella = {"ctx_a": "A cat is here.", "ctx_b": "it", "ctx": "A cat is here. it", "endings": endings}
    rows = [{**hella, "label": "2"}, {**hella, "ctx_b": "", "label": ""}]
    write(tmp_path, Source("Rowan/hellaswag", "default", "train"), rows)
    found = rows_of(tmp_path, "hellaswag")
    assert found.rows == [
        {"context": "A cat is here.", "choices": ["it runs.", "it sits.", "it eats.", "it sees."], "label": 2}
    ]
    assert sum(found.dropped.values()) == 1
    answers = {f"answer{i}": f"c {i}" for i in range(4)}
    cosmos = [{"id": "1", "context": "C.", "question": "Q?", **answers, "label": label} for label in (3, -1)]
    write(tmp_path, Source("allenai/cosmos_qa", "default", "train"), cosmos)
    found = rows_of(tmp_path, "cosmos_qa")
    assert found.rows == [{"context": "C. Q?", "choices": ["c 0", "c 1", "c 2", "c 3"], "label": 3}]


def question(number: int, answer: str, prefix: str = "q") -> dict[str, Any]:
    context = "The cat sat on the mat ."
    answers = {"text": [answer], "answer_start": [context.index(answer)]} if answer else {}
    held = answers or {"text": [], "answer_start": []}
    return {"id": f"{prefix}{number}", "title": "t", "question": "Who?", "context": context, "answers": held}


def test_questions(tmp_path: Path) -> None:
    rows = [question(0, "The cat"), question(1, "")]
    write(tmp_path, Source("rajpurkar/squad_v2", "squad_v2", "train"), rows)
    assert [row["answers"]["text"] for row in rows_of(tmp_path, "squad_v2").rows] == [["The cat"], []]
    write(tmp_path, Source("facebook/mlqa", "mlqa.de.de", "test"), [question(0, "mat")])
    assert rows_of(tmp_path, "mlqa", "test", "de").rows[0]["answers"]["text"] == ["mat"]


def test_tydiqa_trains_on_english_alone(tmp_path: Path) -> None:
    """One file holds nine languages, which only the ids tell apart."""
    rows = [question(i, "cat", prefix) for i, prefix in enumerate(["english-", "telugu-", "english-", "swahili-"])]
    for split in ("train", "validation"):
        write(tmp_path, Source("google/xtreme", "tydiqa", split), rows)
    assert [row["id"] for row in rows_of(tmp_path, "tydiqa").rows] == ["english-0", "english-2"]
    assert [row["id"] for row in rows_of(tmp_path, "tydiqa", "test", "te").rows] == ["telugu-1"]
    assert [row["id"] for row in rows_of(tmp_path, "tydiqa", "test", "sw").rows] == ["swahili-3"]


def test_ccg_from_the_users_own_file(tmp_path: Path) -> None:
    """Quotes are text; the tags are whatever the file has."""
    task = tasks.get("ccg")
    assert task.train is not None
    write(tmp_path, task.train, [{"words": 'The "cat" sat', "tags": r"NP/N N (S\NP)"}, {"words": "Yes", "tags": "S"}])
    rows = rows_of(tmp_path, "ccg").rows
    assert rows[0] == {"tokens": ["The", '"cat"', "sat"], "tags": ["NP/N", "N", r"(S\NP)"]}


def test_bucc_from_the_original_files(tmp_path: Path) -> None:
    held = {
        "foreign": [("de-1", 'Er sagte "ja"'), ("de-2", "Nein")],
        "english": [("en-1", "No"), ("en-2", 'He said "yes"')],
        "gold": [("de-1", "en-2")],
    }
    task = tasks.get("bucc")
    assert task.test is not None
    for name, lines in held.items():
        place = task.test.at(LANGUAGES["de"], task.sets[name])
        write(tmp_path, place, [{"a": first, "b": second} for first, second in lines])
    assert rows_of(tmp_path, "bucc", "test", "de", "foreign").rows[0] == {"id": "de-1", "text": 'Er sagte "ja"'}
    assert rows_of(tmp_path, "bucc", "test", "de", "gold").rows == [{"foreign": "de-1", "english": "en-2"}]


def test_bucc_from_a_row_of_lists(tmp_path: Path) -> None:
    """As the hub's full copy of the training sets has it: gold pairs are numbers of sentences, from 1."""
    row = {"sentence1": ["Nein", "Ja", "Nein"], "sentence2": ["Yes", "No"], "gold": [[1, 2], [2, 1]]}
    write(tmp_path, Source("mteb/BUCC", "de-en", "test"), [row])
    foreign, english, gold = (
        rows_of(tmp_path, "bucc_training", "test", "de", name).rows for name in ("foreign", "english", "gold")
    )
    assert foreign == [{"id": "1", "text": "Nein"}, {"id": "2", "text": "Ja"}, {"id": "3", "text": "Nein"}]
    assert english == [{"id": "1", "text": "Yes"}, {"id": "2", "text": "No"}]
    assert gold == [{"foreign": "1", "english": "2"}, {"foreign": "2", "english": "1"}]


def test_the_sample_of_bucc_is_a_task_of_its_own(tmp_path: Path) -> None:
    """From the original files, or from tables of them."""
    task = tasks.get("bucc_sample")
    assert task.test is not None
    write(tmp_path, task.test.at(LANGUAGES["zh"], "zh"), [{"a": "zh-1", "b": "No"}])
    assert rows_of(tmp_path, "bucc_sample", "test", "zh", "foreign").rows == [{"id": "zh-1", "text": "No"}]
    (table,) = task.test.mirrors
    write(tmp_path, table.at(LANGUAGES["zh"], "gold"), [{"source_id": "zh-1", "target_id": "en-1"}])
    assert rows_of(tmp_path, "bucc_sample", "test", "zh", "gold").rows == [{"foreign": "zh-1", "english": "en-1"}]


def test_languages_of_xtreme_r_come_from_mirrors(tmp_path: Path) -> None:
    pair = [{"sentence1": "Labas\n", "sentence2": "Hello\n", "lang": "lit-eng"}]
    write(tmp_path, Source("mteb/tatoeba-bitext-mining", "lit-eng", "test"), pair)
    assert rows_of(tmp_path, "tatoeba_r", "test", "lt").rows == [{"foreign": "Labas", "english": "Hello"}]
    words = [{"tokens": ["Vilnius", "yra"], "ner_tags": [5, 0], "langs": ["lt", "lt"], "spans": ["LOC: Vilnius"]}]
    write(tmp_path, Source("unimelb-nlp/wikiann", "lt", "test"), words)
    assert rows_of(tmp_path, "panx", "test", "lt").rows[0]["tags"] == [5, 0]
    write(tmp_path, Source("google/xquad", "xquad.ro", "validation"), [question(0, "cat")])
    assert len(rows_of(tmp_path, "xquad", "test", "ro").rows) == 1


def test_what_the_data_has(data_root: Path, tmp_path: Path) -> None:
    """The table of tasks says rows, and what is not there."""
    held = {
        one.task.name: one for one in inventories(Workspace(tmp_path, data_root), ["mnli", "xnli", "qqp", "tatoeba"])
    }
    assert held["mnli"].rows == {"train": 60, "dev": 24, "test": 24}
    assert held["xnli"].rows == {"dev": 18, "test": 54}
    assert set(held["xnli"].languages) == {"en", "de", "zh"}
    assert held["qqp"].rows == {"train": None, "dev": None, "test": None}
    assert held["tatoeba"].rows["test"]


@pytest.mark.slow
def test_every_task_of_the_real_data_is_readable(shared: Path, tmp_path: Path) -> None:
    """Small ones here; `adaptstilts tasks --rows` reads them all."""
    names = ["copa", "rte", "mrpc", "stsb", "cola", "cosmos_qa", "tydiqa", "mlqa", "anli", "paws_x"]
    held = {one.task.name: one for one in inventories(Workspace(tmp_path, shared / "hub"), names)}
    assert held["copa"].rows == {"train": 400, "dev": 100, "test": 100}
    assert held["tydiqa"].rows == {"train": 3696, "dev": 10570, "test": 5077}
    assert held["mlqa"].rows["test"] is None
    assert held["anli"].rows == {"train": None, "dev": 3198, "test": None}
    assert held["paws_x"].rows["train"] is None
    assert len(held["paws_x"].languages) == 7
