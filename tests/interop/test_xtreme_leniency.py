"""What evaluate.py scores although it can hardly be meant: the same number, one line about it; or refused."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from support import xtreme_reference
from support.xtreme_folders import write_random_folder

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme import scoring
from adaptstilts.metrics.xtreme import FORMATS


def write(root: Path, task: str, code: str, predicted: str, gold: str) -> tuple[Path, Path]:
    """Write a prediction file and its label file; return both."""
    paths = tuple(root / side / task / FORMATS[task].file(code) for side in ("predicted", "labels"))
    for path, text in zip(paths, (predicted, gold), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return paths[0], paths[1]


def answers(*ids: str) -> str:
    return json.dumps([{"paragraphs": [{"qas": [{"id": key, "answers": [{"text": "cat"}]} for key in ids]}]}])


QUESTIONS = json.dumps({"data": json.loads(answers("a", "b"))})
THREE = "neutral\nentailment\nneutral\n"
LABELS = "expected one of entailment, neutral, contradiction, found"
# task, predictions, labels, metric, its value by evaluate.py, the line about it
CASES = {
    "a row beyond the file": ("tatoeba", "0\n977\n2\n", "0\n1\n2\n", "accuracy", 200 / 3,
        "P:2: expected a row number from 0 to 2, found '977'; compared as it stands"),
    "leading zeros": ("tatoeba", "000\n001\n2\n", "0\n1\n2\n", "accuracy", 100 / 3,
        "P:1: expected a row number without leading zeros, found '000' (2 such lines);"
        " compared as text, so 003 is not 3"),
    "a blank line after both": ("xnli", THREE + "\n", THREE + "\n", "accuracy", 100.0,
        f"P:4: {LABELS} ''; compared as it stands"),
    "a blank line after pairs": ("bucc2018", "de-1\ten-1\n\n", "de-1\ten-1\n", "f1", 200 / 3,
        "P:2: expected a foreign id, a tab and an English id, found ''; compared as it stands"),
    "blanks around labels": ("xnli", " neutral\nentailment \nneutral\n", THREE, "accuracy", 100.0,
        "P:1: expected no blanks around the line, found ' neutral' (2 such lines); removed"),
    "carriage returns": ("xnli", "neutral\rentailment\rneutral\r", THREE, "accuracy", 100.0,
        "P:1: expected a newline after the line, found a carriage return; carriage returns end lines"),
    "a byte-order mark": ("xnli", "\ufeff" + THREE, THREE, "accuracy", 200 / 3,
        "P: begins with a byte-order mark; save it as UTF-8 without one; read as part of the first line"),
    "another label": ("xnli", "neutral\nentailment\ncontradictory\n", THREE, "accuracy", 200 / 3,
        f"P:3: {LABELS} 'contradictory'; compared as it stands"),
    "another tag": ("panx", "B-MISC\nO\n\nB-PER\n", "B-LOC\nO\n\nB-PER\n", "f1", 50.0,
        "P:1: expected one of O, B-PER, I-PER, B-ORG, I-ORG, B-LOC, I-LOC, found 'B-MISC'; compared as it stands"),
    "a sentence cut short": ("udpos", "X\nNOUN\n\nVERB\n", "X\nNOUN\nADJ\n\nVERB\n", "f1", 400 / 7,
        "P:1: expected a sentence of 3 tags, as at L:1, found 2;"
        " from here on, tags are compared with those of other words"),
    "a column of scores": ("bucc2018", "de-1\ten-1\t1.07\n", "de-1\ten-1\n", "f1", 0.0,
        "P:1: expected a foreign id, a tab and an English id, found 'de-1\\ten-1\\t1.07'; compared as it stands"),
    "sides swapped": ("bucc2018", "en-1\tde-1\nde-2\ten-2\n", "de-1\ten-1\nde-2\ten-2\n", "f1", 50.0,
        "P:1: expected a foreign id such as 'de-1', found 'en-1' (2 such lines); compared as it stands"),
    "an unknown id": ("xquad", '{"a": "cat", "z": "x"}', QUESTIONS, "f1", 50.0,
        "P: expected ids of L, found 'z'; not scored"),
    "a key twice": ("xquad", '{"a": "cat", "b": "cat", "a": "x"}', QUESTIONS, "f1", 50.0,
        "P: 'a' occurs twice; keep one; the last value counts"),
    "a list of articles": ("xquad", '{"a": "cat", "b": "x"}', answers("a", "b"), "f1", 50.0,
        "L:1: expected a JSON object, found"),
    "answers under data": ("xquad", '{"data": {"a": "cat", "b": "x"}}', QUESTIONS, "f1", 50.0,
        "P: expected ids at the top level, found 'data'; what is under 'data' is read"),
    "a question twice": ("xquad", '{"a": "cat", "b": "x"}', answers("a", "b", "a"), "f1", 200 / 3,
        "L: the question 'a' occurs twice; keep one; every time counts"),
    "another choice": ("xcopa", '{"label": 2}\n{"label": true}\n', '{"label": 0}\n{"label": 1}\n', "accuracy", 50.0,
        "P:1: label: expected 0 or 1, found 2 (2 such lines); compared as it stands"),
    "several entities": ("mewslix", '{"m": ["Q2", "Q1"]}', '{"m": ["Q1", "Q2"]}', "map@20", 50.0,
        "L: 'm': expected a list of one id, found ['Q1', 'Q2']; the first counts"),
    "an item that is no text": ("mewslix", '{"m": [1, "Q1"]}', '{"m": ["Q1"]}', "map@20", 50.0,
        "P: 'm': expected a list of ids, found [1, 'Q1']; compared as it stands"),
    "labels that look withheld": ("pawsx", "0\n" * 49 + "1\n", "0\n" * 50, "accuracy", 98.0,
        "L: every label is '0'; the labels look withheld; scored nevertheless"),
    "no gold pair": ("bucc2018", "de-1\ten-1\n", "", "f1", 0.0,
        "L: empty; expected a foreign id, a tab and an English id per line; the score is 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_leniency_scores_as_evaluate_py_and_is_listed(name: str, tmp_path: Path) -> None:
    task, predicted, gold, metric, value, line = CASES[name]
    code = FORMATS[task].languages[0]
    if task in ("tatoeba", "bucc2018"):
        code = "de"
    paths = write(tmp_path, task, code, predicted, gold)
    assert xtreme_reference.score(task, code, *paths)[metric] == pytest.approx(value)
    result = scoring.score(tmp_path / "predicted", tmp_path / "labels")
    assert result.tasks[task].metrics[metric][code] == pytest.approx(value)
    remarks = [leniency.remark for leniency in result.leniencies]
    shortened = [remark.replace(str(paths[0]), "P").replace(str(paths[1]), "L") for remark in remarks]
    assert any(remark.startswith(line) for remark in shortened), shortened
    assert "evaluate.py accepts it" in scoring.render(result)
    with pytest.raises(DataError) as caught:
        scoring.score(tmp_path / "predicted", tmp_path / "labels", strict=True)
    assert any(str(caught.value).split(" (")[0] == leniency.text.split(" (")[0] for leniency in result.leniencies)


def test_a_sample_of_rows_of_tatoeba_is_scored_as_in_the_fixture_of_xtreme(tmp_path: Path) -> None:
    """A fixture of ten rows a language, whose numbers are those of rows in the whole set: far beyond the ten.

    evaluate.py compares lines as text and divides by the number of predictions. The mean over the 36 languages of a
    folder like XTREME's own is the mean of these shares.
    """
    generator = random.Random(3)
    shares = {}
    for code in FORMATS["tatoeba"].languages[:36]:
        gold = generator.sample(range(1000), 10)
        predicted = [row if generator.random() < 0.55 else generator.randrange(1000) for row in gold]
        paths = write(tmp_path, "tatoeba", code, _lines(predicted), _lines(gold))
        shares[code] = 100 * sum(a == b for a, b in zip(predicted, gold, strict=True)) / 10
        assert xtreme_reference.score("tatoeba", code, *paths)["accuracy"] == pytest.approx(shares[code])
    result = scoring.score(tmp_path / "predicted", tmp_path / "labels")
    assert result.failed == {}
    assert result.tasks["tatoeba"].metrics["accuracy"] == pytest.approx(shares)
    assert result.benchmarks["XTREME"].tasks["tatoeba"].value == pytest.approx(sum(shares.values()) / 36)
    assert {leniency.kind for leniency in result.leniencies} == {"row number"}
    with pytest.raises(DataError, match=r"expected a row number from 0 to \d+, found "):
        scoring.score(tmp_path / "predicted", tmp_path / "labels", strict=True)


def _lines(rows: list[int]) -> str:
    return "".join(f"{row}\n" for row in rows)


@pytest.mark.parametrize("seed", range(40))
def test_random_folders_score_as_evaluate_py(seed: int, tmp_path: Path) -> None:
    files = write_random_folder(tmp_path, random.Random(seed))
    result = scoring.score(tmp_path / "predicted", tmp_path / "labels")
    assert result.failed == {}
    assert result.leniencies
    for task, code in files:
        name = f"{task}/{FORMATS[task].file(code)}"
        expected = xtreme_reference.score(task, code, tmp_path / "predicted" / name, tmp_path / "labels" / name)
        scores = {metric: result.tasks[task].metrics[metric][code] for metric in expected}
        assert scores == pytest.approx(expected, abs=1e-9), (task, code)


def test_leniencies_are_grouped_by_kind_and_file(tmp_path: Path) -> None:
    write(tmp_path, "xnli", "en", "neutral\nx\n y\n", THREE)
    write(tmp_path, "xnli", "de", "x\nneutral\nneutral\n", THREE)
    result = scoring.score(tmp_path / "predicted", tmp_path / "labels")
    assert [(x.kind, Path(x.file).name, x.line, x.count) for x in result.leniencies] == [
        ("blanks", "test-en.tsv", 3, 1),
        ("label", "test-de.tsv", 1, 1),
        ("label", "test-en.tsv", 2, 2),
    ]
    assert result.json()["leniencies"][2]["problem"] == f"{LABELS} 'x'"


def test_a_label_folder_without_a_task(tmp_path: Path) -> None:
    write(tmp_path, "xnli", "en", THREE, THREE)
    gold = write(tmp_path, "pawsx", "en", "0\n", "0\n")[1]
    gold.unlink()
    gold.parent.rmdir()
    result = scoring.score(tmp_path / "predicted", tmp_path / "labels")
    assert list(result.tasks) == ["xnli"]
    told = f"{tmp_path}/labels/pawsx: no such folder, and {tmp_path}/predicted/pawsx has predictions; not scored"
    assert [leniency.remark for leniency in result.leniencies] == [told]


@pytest.mark.parametrize("strict", [False, True])
def test_links_out_of_the_folder_are_refused(strict: bool, tmp_path: Path) -> None:
    path = write(tmp_path, "xnli", "en", THREE, THREE)[0]
    secret = tmp_path / "secret"
    secret.write_text(THREE, encoding="utf-8")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(DataError, match=r"test-en\.tsv: a link out of .*/predicted; copy the file to its place$"):
        scoring.score(tmp_path / "predicted", tmp_path / "labels", strict=strict)
    path.unlink()
    (path.parent / "all.tsv").write_text(THREE, encoding="utf-8")
    path.symlink_to("all.tsv")
    assert scoring.score(tmp_path / "predicted", tmp_path / "labels").tasks["xnli"].n == {"en": 3}


def test_devices_and_pipes_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "xnli", "en", THREE, THREE)[0]
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="a link out of"):
        scoring.score(tmp_path / "predicted", tmp_path / "labels")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="expected a regular file, found a device, a pipe or a socket"):
        scoring.score(tmp_path / "predicted", tmp_path / "labels")


def test_names_are_escaped(tmp_path: Path) -> None:
    write(tmp_path, "xnli", "en", THREE, THREE)
    (tmp_path / "predicted/<b>|[x](y)\n# z").mkdir()
    text = scoring.render(scoring.score(tmp_path / "predicted", tmp_path / "labels"))
    assert text.endswith(r"/predicted/\<b\>\|\[x\](y)\\n# z: not a task of XTREME, not scored" + "\n")
