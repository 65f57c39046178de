"""XTREME's folders: scores against independent arithmetic, every defect by its line, and the way there and back."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptstilts import languages, tasks
from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme import scoring
from adaptstilts.metrics.xtreme import BENCHMARKS, FORMATS

XNLI = ("entailment", "neutral", "contradiction")
UPOS = "ADJ ADP ADV NOUN VERB X".split()


def put(root: Path, task: str, code: str, text: str | bytes) -> Path:
    """Write one file where the layout has it."""
    path = root / task / FORMATS[task].file(code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(items: list[Any]) -> str:
    return "".join(f"{item}\n" for item in items)


class Sides:
    """A prediction folder and a label folder."""

    def __init__(self, root: Path) -> None:
        self.predicted, self.gold = root / "predictions", root / "labels"
        for folder in (self.predicted, self.gold):
            folder.mkdir()

    def put(self, task: str, code: str, predicted: str | bytes, gold: str | bytes) -> None:
        put(self.predicted, task, code, predicted)
        put(self.gold, task, code, gold)

    def score(self, **options: Any) -> scoring.Report:
        return scoring.score(self.predicted, self.gold, **options)

    def refused(self, **options: Any) -> str:
        """The one line of the error, with the folders shortened; its exit code is 3."""
        with pytest.raises(DataError) as caught:
            self.score(**options)
        assert caught.value.exit_code == 3
        text = str(caught.value)
        assert len(text.splitlines()) == 1
        return text.replace(str(self.predicted), "P").replace(str(self.gold), "L")


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def test_languages_are_those_of_the_benchmarks() -> None:
    counts = {held.name: {task: len(codes) for task, codes in held.languages.items()} for held in BENCHMARKS}
    both = {"xnli": 15, "mlqa": 7, "tydiqa": 9}
    first = {"pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "bucc2018": 4, "tatoeba": 36}
    second = {"xcopa": 11, "udpos": 38, "panx": 48, "xquad": 12, "tatoeba": 41, "lareqa": 11, "mewslix": 11}
    assert counts == {"XTREME": both | first, "XTREME-R": both | second}
    for held in BENCHMARKS:
        assert sorted(task for members in held.groups.values() for task in members) == sorted(held.languages)
        for task, codes in held.languages.items():
            assert len(set(codes)) == len(codes)
            assert set(codes) <= set(FORMATS[task].languages)
            assert all(languages.resolve(code).code == code for code in codes)


@pytest.mark.parametrize(("task", "folder"), scoring.FOLDERS.items())
def test_tasks_of_the_package_have_languages_of_xtreme(task: str, folder: str) -> None:
    if task in tasks.known():
        held = tasks.get(task)
        assert set(held.languages) <= set(FORMATS[folder].languages)
        assert not held.labels or len(held.labels) == len([x for x in FORMATS[folder].labels if x != "_"])


def made(generator: random.Random, task: str) -> tuple[str, str, dict[str, float]]:
    """A prediction file, a label file, and the scores that they must get, computed here."""
    form, n = FORMATS[task].form, generator.randint(4, 9)
    right = [generator.random() < 0.6 for _ in range(n)]
    share = 100 * sum(right) / n
    if form == "labels":
        gold = [generator.choice(FORMATS[task].labels) for _ in range(n)]
        wrong = {label: next(x for x in FORMATS[task].labels if x != label) for label in gold}
        return (
            lines([g if ok else wrong[g] for g, ok in zip(gold, right, strict=True)]),
            lines(gold),
            {"accuracy": share},
        )
    if form == "choices":
        picks = [generator.randint(0, 1) for _ in range(n)]
        given = [{"label": g if ok else 1 - g} for g, ok in zip(picks, right, strict=True)]
        return lines(list(map(json.dumps, given))), lines([json.dumps({"label": g, "x": 1}) for g in picks]), {
            "accuracy": share
        }  # fmt: skip
    if form == "places":
        places = random.Random(n).sample(range(n), n)
        return lines([g if ok else (g + 1) % n for g, ok in zip(places, right, strict=True)]), lines(places), {
            "accuracy": share
        }  # fmt: skip
    if form == "pairs":
        pairs = [f"de-{i:09}\ten-{i:09}" for i in range(n)]
        given = [p if ok else p[:-1] + "x" for p, ok in zip(pairs, right, strict=True)] + ["de-1\ten-1"]
        precision, recall = 100 * sum(right) / (n + 1), share
        f1 = 2 * precision * recall / (precision + recall) if sum(right) else 0.0
        return lines(given), lines(pairs), {"f1": f1, "precision": precision, "recall": recall}
    if form == "tags":  # no two neighbours have one tag: every word is a chunk (or outside)
        tags = [["B-PER", "B-LOC"][i % 2] if task == "panx" else UPOS[i % 5] for i in range(n)]
        given = [t if ok else "X" if task == "udpos" else "B-ORG" for t, ok in zip(tags, right, strict=True)]
        runs = sum(a != b or task == "panx" for a, b in itertools.pairwise([*given, ""]))
        scores = {"precision": 100 * sum(right) / runs, "recall": share, "token_accuracy": share}
        total = scores["precision"] + scores["recall"]
        scores["f1"] = 2 * scores["precision"] * scores["recall"] / total if total else 0.0
        return lines(given), lines(tags), scores
    ids = [f"q{i}" for i in range(n)]
    if form == "answers":
        given = {key: "red cat" if ok else "red dog" for key, ok in zip(ids, right, strict=True)}
        qas = [{"id": key, "question": "?", "answers": [{"text": "x"}, {"text": "Red Cat!"}]} for key in ids]
        squad = {"version": "1.1", "data": [{"paragraphs": [{"context": "", "qas": qas[:2]}, {"qas": qas[2:]}]}]}
        return json.dumps(given), json.dumps(squad), {"exact_match": share, "f1": share + (100 - share) / 2}
    given = {key: ["Q1", "Q2", key] if ok else ["Q1"] * 20 + [key] for key, ok in zip(ids, right, strict=True)}
    return json.dumps(given), json.dumps({key: [key] for key in ids}), {"map@20": share / 3}


HEADLINE = {"xquad": ("f1", "exact_match"), "mlqa": ("f1", "exact_match"), "tydiqa": ("f1", "exact_match")} | {
    task: ("f1",) for task in ("udpos", "panx", "bucc2018")
} | {task: ("map@20",) for task in ("lareqa", "mewslix")}  # fmt: skip


def test_a_whole_submission(sides: Sides) -> None:
    """Every task in every language of both benchmarks: each number against arithmetic done here."""
    generator, expected = random.Random(5), {}
    for task, held in FORMATS.items():
        for code in held.languages:
            predicted, gold, scores = made(generator, task)
            sides.put(task, code, predicted, gold)
            expected[task, code] = scores
    report = sides.score()
    assert report.notes == ()
    for (task, code), scores in expected.items():
        found = {name: values[code] for name, values in report.tasks[task].metrics.items()}
        assert found == pytest.approx(scores), (task, code)
    for held in BENCHMARKS:
        totals, means = report.benchmarks[held.name], {}
        for task, codes in held.languages.items():
            names = HEADLINE.get(task, ("accuracy",))
            means[task] = np.mean([expected[task, code][name] for name in names for code in codes])
            assert totals.tasks[task].value == pytest.approx(means[task])
            assert totals.tasks[task].marked == f"{totals.tasks[task].value:.1f}"
        for group, members in held.groups.items():
            assert totals.groups[group].value == pytest.approx(np.mean([means[task] for task in members]))
        assert totals.total.value == pytest.approx(np.mean(list(means.values())))
        assert (totals.total.have, totals.total.missing) == (len(means), ())
    json.dumps(report.json(), allow_nan=False)


def test_the_arithmetic_of_one_task_by_hand(sides: Sides) -> None:
    sides.put("xnli", "en", lines([*XNLI, "neutral"]), lines([*XNLI, "entailment"]))
    sides.put("xnli", "de", lines(["neutral"] * 2), lines(["neutral", "entailment"]))
    sides.put("udpos", "en", "NOUN\nNOUN\nVERB\n\nX\nX\n", "NOUN\nNOUN\nX\n\nX\nX\n\n")
    report = sides.score()
    assert report.tasks["xnli"].metrics == {"accuracy": {"de": 50.0, "en": 75.0}}
    assert report.tasks["xnli"].n == {"de": 2, "en": 4}
    assert report.benchmarks["XTREME"].tasks["xnli"].value == 62.5
    found = {name: values["en"] for name, values in report.tasks["udpos"].metrics.items()}
    assert found == pytest.approx({"f1": 200 / 3, "precision": 200 / 3, "recall": 200 / 3, "token_accuracy": 80.0})


def test_what_is_not_whole_is_marked(sides: Sides) -> None:
    for code in FORMATS["pawsx"].languages:
        sides.put("pawsx", code, "0\n1\n", "0\n0\n")
    sides.put("xnli", "en", "neutral\n", "neutral\n")
    first, second = sides.score().benchmarks.values()
    assert first.tasks["pawsx"] == scoring.Mean(50.0, 7, 7)
    assert first.tasks["xnli"].marked == "100.0 (1/15)"
    assert first.tasks["udpos"].value is None
    assert first.groups["sentence pair"] == scoring.Mean(75.0, 2, 2, (), ("xnli 1/15",))
    assert first.groups["sentence pair"].marked == "75.0 (xnli 1/15)"
    assert first.groups["retrieval"] == scoring.Mean(None, 0, 2, ("bucc2018", "tatoeba"))
    assert first.total.value is None
    assert (first.total.have, first.total.of) == (2, 9)
    assert first.total.missing == ("udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")
    assert second.groups["sentence pair"].marked == "100.0 (1/2, xnli 1/15)"
    assert "pawsx" not in second.tasks


def test_a_language_of_xtreme_r_alone_is_not_in_the_mean_of_xtreme(sides: Sides) -> None:
    sides.put("udpos", "en", "X\n", "X\n")
    sides.put("udpos", "wo", "X\n", "NOUN\n")
    first, second = sides.score().benchmarks.values()
    assert first.tasks["udpos"].marked == "100.0 (1/33)"
    assert second.tasks["udpos"].marked == "50.0 (2/38)"


def test_mlqa_has_its_own_rules_and_the_others_have_squads(sides: Sides) -> None:
    for task in ("mlqa", "xquad"):
        sides.put(task, "de", '{"a": "Der Hund"}', '{"a": ["Hund"]}')
        sides.put(task, "zh", '{"a": "红楼"}', '{"a": ["红楼梦", "x"]}')
    report = sides.score()
    assert report.tasks["mlqa"].metrics["exact_match"] == {"de": 100.0, "zh": 0.0}
    assert report.tasks["mlqa"].metrics["f1"] == pytest.approx({"de": 100.0, "zh": 80.0})
    assert report.tasks["xquad"].metrics["f1"] == pytest.approx({"de": 200 / 3, "zh": 0.0})


def test_unanswered_questions_count_zero_and_are_told(sides: Sides) -> None:
    sides.put("xquad", "en", '{"b": "y"}', '{"a": [""], "b": ["y"], "c": ["z"]}')
    sides.put("mewslix", "ar", "{}", '{"m": ["Q1"]}')
    report = sides.score()
    assert report.tasks["xquad"].metrics["f1"]["en"] == pytest.approx(100 / 3)
    assert report.tasks["mewslix"].metrics == {"map@20": {"ar": 0.0}}
    assert report.notes == (
        f"{sides.predicted}/xquad/test-en.json: 2 of 3 ids without a prediction, counted as 0",
        f"{sides.predicted}/mewslix/test-ar.json: 1 of 1 id without a prediction, counted as 0",
    )


def test_line_ends_are_newlines_only(sides: Sides) -> None:
    """A carriage return before one is taken off; what else Python calls a line end is content."""
    sides.put("xnli", "en", "neutral\r\nentailment\r\n", "neutral\nentailment")
    odd = "a\u2028b\x85c"
    sides.put("bucc2018", "de", f"de-{odd}\ten-1\r\n", f"de-{odd}\ten-1\n")
    report = sides.score()
    assert report.tasks["xnli"].n == {"en": 2}
    assert report.tasks["bucc2018"].metrics["f1"] == {"de": 100.0}


def test_repeated_pairs_count_once_and_are_told(sides: Sides) -> None:
    sides.put("bucc2018", "de", "de-1\ten-1\nde-1\ten-1\nde-1\ten-2\n", "de-1\ten-1\n")
    report = sides.score()
    assert report.tasks["bucc2018"].metrics["precision"] == {"de": 50.0}
    assert report.notes == (f"{sides.predicted}/bucc2018/test-de.tsv: 1 repeated pair, counted once",)
    put(sides.predicted, "bucc2018", "de", "")
    assert sides.score().tasks["bucc2018"].metrics["f1"] == {"de": 0.0}


def test_rankings(sides: Sides) -> None:
    """LAReQA: precision at the targets over min(targets, 20). Mewsli-X: one over the rank of the one target."""
    sides.put("lareqa", "de", '{"q": ["a", "x", "b"]}', '{"q": ["a", "b", "c"]}')
    sides.put("mewslix", "de", '{"m": ["Q2", "Q1", "Q1"]}', '{"m": ["Q1"]}')
    report = sides.score()
    assert report.tasks["lareqa"].metrics["map@20"]["de"] == pytest.approx(100 * (1 + 2 / 3) / 3)
    assert report.tasks["mewslix"].metrics["map@20"]["de"] == 50.0


def test_files_that_belong_nowhere_are_told(sides: Sides) -> None:
    sides.put("xnli", "en", "neutral\n", "neutral\n")
    for name in ("paws-x", "logs", ".git"):
        (sides.predicted / name).mkdir()
    for name in ("test-xx.tsv", "test-de.txt", ".DS_Store"):
        (sides.predicted / "xnli" / name).touch()
    (sides.gold / "xnli" / "readme").touch()
    assert sides.score().notes == (
        f"{sides.predicted}/logs: not a task of XTREME, not scored",
        f"{sides.predicted}/paws-x: not a task of XTREME, not scored; did you mean pawsx?",
        f"{sides.gold}/xnli/readme: not a file of xnli, not scored",
        f"{sides.predicted}/xnli/test-de.txt: not a file of xnli, not scored",
        f"{sides.predicted}/xnli/test-xx.tsv: not a file of xnli, not scored",
    )


LABELS3 = "entailment, neutral, contradiction"
TAGS = ", ".join(FORMATS["udpos"].labels)
MANY = ["neutral"] * 49 + ["entailment"]
DEFECTS: list[tuple[str, str, str, str | bytes, str | bytes, str]] = [
    ("too few lines", "xnli", "en", lines(MANY[1:]), lines(MANY),
     "P/xnli/test-en.tsv: expected 50 lines, as many as L/xnli/test-en.tsv, found 49"),
    ("too many lines", "xnli", "en", "neutral\n\n", "neutral\n",
     "P/xnli/test-en.tsv: expected 1 line, as many as L/xnli/test-en.tsv, found 2"),
    ("empty file", "xnli", "en", "", "neutral\n",
     "P/xnli/test-en.tsv: expected 1 line, as many as L/xnli/test-en.tsv, found 0"),
    ("unknown label", "xnli", "en", "neutral\nNeutral\n", "neutral\nneutral\n",
     f"P/xnli/test-en.tsv:2: expected one of {LABELS3}, found 'Neutral'"),
    ("blanks", "xnli", "en", "neutral\n neutral\t\n", "neutral\nneutral\n",
     "P/xnli/test-en.tsv:2: expected no blanks around the line, found ' neutral\\t'"),
    ("quoted label", "pawsx", "en", '"1"\n', "1\n", "P/pawsx/test-en.tsv:1: expected one of 0, 1, found '\"1\"'"),
    ("old line ends", "xnli", "en", "neutral\rneutral\r", "neutral\n",
     "P/xnli/test-en.tsv:1: expected a newline after the line, found a carriage return"),
    ("wrong label file", "xnli", "en", "neutral\n", "neutral\tx\n",
     f"L/xnli/test-en.tsv:1: expected one of {LABELS3}, found 'neutral\\tx'"),
    ("empty labels", "xnli", "en", "", "", f"L/xnli/test-en.tsv: empty; expected one of {LABELS3} per line"),
    ("withheld labels", "xnli", "en", lines(MANY), "neutral\n" * 50,
     "L/xnli/test-en.tsv: every label is 'neutral'; the labels look withheld"),
    ("not UTF-8", "xnli", "en", b"neutral\n\xffneutral\n", "neutral\nneutral\n",
     "P/xnli/test-en.tsv: byte 8: expected UTF-8, found 0xff"),
    ("byte-order mark", "xnli", "en", b"\xef\xbb\xbfneutral\n", "neutral\n",
     "P/xnli/test-en.tsv: begins with a byte-order mark; save it as UTF-8 without one"),
    ("unknown tag", "udpos", "en", "NOUN\n\nNOUN VERB\n", "NOUN\n\nVERB\n",
     f"P/udpos/test-en.tsv:3: expected one of {TAGS}, found 'NOUN VERB'"),
    ("sentence of another length", "udpos", "en", "X\nX\n\nX\nX\nX\n", "X\nX\n\nX\nX\n\nX\n",
     "P/udpos/test-en.tsv:4: expected a sentence of 2 tags, as at L/udpos/test-en.tsv:4, found 3"),
    ("an empty sentence", "udpos", "en", "X\n\n\nX\n", "X\n\nX\n",
     "P/udpos/test-en.tsv:3: expected a sentence of 1 tag, as at L/udpos/test-en.tsv:3, found 0"),
    ("a sentence too few", "udpos", "en", "X\n\nX\n", "X\n\nX\n\nX\n",
     "P/udpos/test-en.tsv: expected 3 sentences, as many as L/udpos/test-en.tsv, found 2"),
    ("no sentence", "udpos", "en", "X\n", "\n\n",
     "L/udpos/test-en.tsv: empty; expected a tag per line, blank lines between sentences"),
    ("no tab", "bucc2018", "de", "de-1\ten-1\nde-2 en-2\n", "de-1\ten-1\n",
     "P/bucc2018/test-de.tsv:2: expected a foreign id, a tab and an English id, found 'de-2 en-2'"),
    ("two tabs", "bucc2018", "de", "de-1\ten-1\t1.07\n", "de-1\ten-1\n",
     "P/bucc2018/test-de.tsv:1: expected a foreign id, a tab and an English id, found 'de-1\\ten-1\\t1.07'"),
    ("sides swapped", "bucc2018", "de", "en-1\tde-1\n", "de-1\ten-1\n",
     "P/bucc2018/test-de.tsv:1: expected a foreign id such as 'de-1', found 'en-1'"),
    ("ids of another language", "bucc2018", "fr", "fr-1\tde-1\n", "fr-1\ten-1\n",
     "P/bucc2018/test-fr.tsv:1: expected an English id such as 'en-1', found 'de-1'"),
    ("no gold pair", "bucc2018", "de", "", "",
     "L/bucc2018/test-de.tsv: empty; expected a foreign id, a tab and an English id per line"),
    ("not a number", "tatoeba", "de", "0\none\n", "1\n0\n",
     "P/tatoeba/test-de.tsv:2: expected a row number from 0 to 1, found 'one'"),
    ("a number below zero", "tatoeba", "de", "-1\n0\n", "1\n0\n",
     "P/tatoeba/test-de.tsv:1: expected a row number from 0 to 1, found '-1'"),
    ("a number too high", "tatoeba", "de", "0\n2\n", "1\n0\n",
     "P/tatoeba/test-de.tsv:2: expected a row number from 0 to 1, found '2'"),
    ("leading zeros", "tatoeba", "de", "0\n01\n", "1\n0\n",
     "P/tatoeba/test-de.tsv:2: expected a row number without leading zeros, found '01'"),
    ("a float", "tatoeba", "de", "0\n1.0\n", "1\n0\n",
     "P/tatoeba/test-de.tsv:2: expected a row number from 0 to 1, found '1.0'"),
    ("gold is not a number", "tatoeba", "de", "0\n", "x\n",
     "L/tatoeba/test-de.tsv:1: expected a row number from 0 on, found 'x'"),
    ("malformed JSON", "xquad", "en", '{"a": "x",\n "b" 1}', '{"a": ["x"]}',
     "P/xquad/test-en.json:2: not JSON (Expecting ':' delimiter, column 6)"),
    ("truncated JSON", "xquad", "en", "", '{"a": ["x"]}',
     "P/xquad/test-en.json:1: not JSON (Expecting value, column 1)"),
    ("nested too deep", "xquad", "en", "[" * 100_000, '{"a": ["x"]}', "P/xquad/test-en.json: not JSON ("),
    ("not an object", "xquad", "en", '["x"]', '{"a": ["x"]}',
     "P/xquad/test-en.json:1: expected a JSON object, found ['x']"),
    ("an answer that is no text", "xquad", "en", '{"a": ["x"]}', '{"a": ["x"]}',
     "P/xquad/test-en.json: 'a': expected the text of an answer, found ['x']"),
    ("unknown ids", "xquad", "en", '{"a": "x", "z": "y", "w": "y"}', '{"a": ["x"]}',
     "P/xquad/test-en.json: expected ids of L/xquad/test-en.json, found 'z' (2 such ids)"),
    ("an id twice", "xquad", "en", '{"a": "x", "a": "y"}', '{"a": ["x"]}',
     "P/xquad/test-en.json: 'a' occurs twice; keep one"),
    ("half a SQuAD file", "xquad", "en", "{}", '{"data": [{"paragraphs": [{"context": "x"}]}]}',
     "L/xquad/test-en.json: expected data, paragraphs, qas, id and answers as in SQuAD (KeyError('qas'))"),
    ("a question twice", "xquad", "en", "{}",
     json.dumps({"data": [{"paragraphs": [{"qas": [{"id": "a", "answers": [{"text": "x"}]}]}] * 2}]}),
     "L/xquad/test-en.json: the question 'a' occurs twice; keep one"),
    ("a question without an answer", "xquad", "en", "{}", '{"a": []}',
     "L/xquad/test-en.json: 'a': expected one or more answers, found []"),
    ("withheld answers", "xquad", "en", '{"a": "x"}', '{"a": [""]}',
     "L/xquad/test-en.json: only empty answers; the labels look withheld"),
    ("a line that is not JSON", "xcopa", "et", '{"label": 0}\nlabel 1\n', '{"label": 0}\n{"label": 1}\n',
     "P/xcopa/test-et.jsonl:2: not JSON (Expecting value, column 1)"),
    ("no label", "xcopa", "et", '{"labels": 0}\n', '{"label": 0}\n',
     "P/xcopa/test-et.jsonl:1: label: expected 0 or 1, found None"),
    ("a choice too high", "xcopa", "et", '{"label": 2}\n', '{"label": 0}\n',
     "P/xcopa/test-et.jsonl:1: label: expected 0 or 1, found 2"),
    ("a truth value", "xcopa", "et", '{"label": true}\n', '{"label": 0}\n',
     "P/xcopa/test-et.jsonl:1: label: expected 0 or 1, found True"),
    ("a line too few", "xcopa", "et", '{"label": 0}\n', '{"label": 0}\n{"label": 0}\n',
     "P/xcopa/test-et.jsonl: expected 2 lines, as many as L/xcopa/test-et.jsonl, found 1"),
    ("withheld choices", "xcopa", "et", '{"label": 0}\n', '{"label": -1}\n',
     "L/xcopa/test-et.jsonl:1: label: expected 0 or 1, found -1"),
    ("a ranking that is no list", "mewslix", "ar", '{"m": "Q1"}', '{"m": ["Q1"]}',
     "P/mewslix/test-ar.json: 'm': expected a list of ids, found 'Q1'"),
    ("two entities", "mewslix", "ar", '{"m": ["Q1"]}', '{"m": ["Q1", "Q2"]}',
     "L/mewslix/test-ar.json: 'm': expected a list of one id, found ['Q1', 'Q2']"),
    ("no target", "lareqa", "ar", '{"m": ["Q1"]}', '{"m": []}',
     "L/lareqa/test-ar.json: 'm': expected a list of one or more ids, found []"),
    ("no queries", "mewslix", "ar", "{}", "{}", "L/mewslix/test-ar.json: empty; expected an id with a list each"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "code", "predicted", "gold", "told"), [row[1:] for row in DEFECTS],
                         ids=[row[0] for row in DEFECTS])  # fmt: skip
def test_defects_are_told_in_one_line(
    sides: Sides, task: str, code: str, predicted: str | bytes, gold: str | bytes, told: str
) -> None:
    sides.put(task, code, predicted, gold)
    found = sides.refused(strict=True)
    assert found == told or (told.endswith("(") and found.startswith(told))
    assert sides.refused(missing="skip", strict=True) == found


JUNK = (
    rb"""\n \r\n \t \xff \xef\xbb\xbf " { } [ 1e999 null - 999999999999999999999 NaN \x00 \xe2\x80\xa8 q0 X 0 \\ud800"""
)
PIECES = [b"", *(piece.decode("unicode_escape").encode("latin-1") for piece in JUNK.split(b" "))]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FORMATS)), st.randoms(use_true_random=False), st.sampled_from(PIECES), st.booleans())
def test_damaged_files_are_scored_or_told(
    sides: Sides, task: str, generator: random.Random, junk: bytes, labels: bool
) -> None:
    """A piece of a file replaced by something else: a report without NaN, or one line that names a file."""
    code = FORMATS[task].languages[0]
    whole = [text.encode() for text in made(generator, task)[:2]]
    at = generator.randrange(len(whole[labels]) + 1)
    whole[labels] = whole[labels][:at] + junk + whole[labels][at + generator.randrange(3) :]
    for folder in (sides.predicted, sides.gold):
        shutil.rmtree(folder)
        folder.mkdir()
    sides.put(task, code, *whole)
    told, report = "", None
    try:
        report = sides.score()
    except DataError as error:
        told = str(error)
    assert len(told.split("\n")) == 1
    if report is None:
        assert FORMATS[task].file(code) in told
    else:
        json.dumps(report.json(), allow_nan=False)
        assert task in scoring.render(report)


def test_long_values_are_shortened(sides: Sides) -> None:
    sides.put("xnli", "en", "x" * 500 + "\n", "neutral\n")
    assert sides.refused(strict=True).endswith(f"found '{'x' * 56}...")


def test_missing_languages(sides: Sides) -> None:
    for code in ("en", "de", "zh"):
        sides.put("xnli", code, "neutral\n", "neutral\n")
    put(sides.gold, "xnli", "fr", "neutral\n")
    shutil.move(sides.predicted / "xnli/test-de.tsv", sides.predicted / "xnli/test-de.tsv.bak")
    told = "P/xnli: no test-<language>.tsv for de, fr"
    assert sides.refused() == f"{told}; add these files, or use --missing skip to average over the other languages"
    report = sides.score(missing="skip")
    assert [note.replace(str(sides.predicted), "P") for note in report.notes] == [
        "P/xnli/test-de.tsv.bak: not a file of xnli, not scored",
        f"{told}, not in the mean",
    ]
    assert report.benchmarks["XTREME"].tasks["xnli"].marked == "100.0 (2/15)"


def test_missing_labels(sides: Sides) -> None:
    sides.put("xnli", "en", "neutral\n", "neutral\n")
    put(sides.predicted, "xnli", "de", "neutral\n")
    put(sides.predicted, "pawsx", "de", "0\n")
    todo = "add these files, or use --missing skip to average over the other languages"
    assert sides.refused(strict=True) == f"L/xnli: no test-<language>.tsv for de; {todo}"
    told = f"L/xnli: no test-<language>.tsv for de; {todo}"
    assert sides.refused() == told
    report = sides.score(missing="skip")
    assert list(report.tasks) == ["xnli"]
    assert [note.replace(str(sides.gold), "L") for note in report.notes] == [
        "L/xnli: no test-<language>.tsv for de, not in the mean",
    ]
    assert [leniency.text.replace(str(sides.gold), "L") for leniency in report.leniencies] == [
        f"L/pawsx: no such folder, and {sides.predicted}/pawsx has predictions"
    ]
    report = sides.score(missing="skip", strict=True)
    assert [note.replace(str(sides.gold), "L") for note in report.notes] == [
        "L/xnli: no test-<language>.tsv for de, not in the mean",
        "L/pawsx: no test-<language>.tsv for de, not in the mean",
    ]


def test_missing_folders(sides: Sides, tmp_path: Path) -> None:
    names = ", ".join(FORMATS)
    assert sides.refused() == f"P: nothing to score; expected one or more folders of {names}"
    (sides.predicted / "xnli").mkdir()
    told = ", ".join(FORMATS["xnli"].languages)
    assert sides.refused() == "L/xnli: no such folder, and P/xnli has predictions"
    assert sides.refused(strict=True) == f"P/xnli: no file; expected test-<language>.tsv for {told}"
    sides.gold.rmdir()
    assert sides.refused() == "L: no such folder; expected <task>/test-<language>.<suffix> in it"
    with pytest.raises(DataError, match=r"no such folder; expected <task>/test-<language>\.<suffix> in it$"):
        scoring.score(tmp_path / "nowhere", tmp_path)


def test_a_folder_in_the_place_of_a_file(sides: Sides) -> None:
    sides.put("xnli", "en", "neutral\n", "neutral\n")
    (sides.predicted / "xnli/test-de.tsv").mkdir()
    put(sides.gold, "xnli", "de", "neutral\n")
    assert sides.refused() == "P/xnli/test-de.tsv: cannot be read (Is a directory)"


def test_a_report_reads_well(sides: Sides) -> None:
    sides.put("xnli", "de", "neutral\n", "neutral\n")
    sides.put("xnli", "en", "neutral\n", "entailment\n")
    sides.put("xquad", "en", '{"a": "red cat"}', '{"a": ["cat"], "b": ["x"]}')
    assert scoring.render(sides.score()).replace(str(sides.predicted), "P") == (
        "| language     | xnli        | xquad             |\n"
        "| ------------ | ----------- | ----------------- |\n"
        "| en           | 0.0         | 33.3 / 0.0        |\n"
        "| de           | 100.0       | -                 |\n"
        "| **XTREME**   | 50.0 (2/15) | 33.3 / 0.0 (1/11) |\n"
        "| **XTREME-R** | 50.0 (2/15) | 33.3 / 0.0 (1/12) |\n"
        "\n"
        "|                    | XTREME                 | XTREME-R               |\n"
        "| ------------------ | ---------------------- | ---------------------- |\n"
        "| sentence pair      | 50.0 (1/2, xnli 2/15)  | 50.0 (1/2, xnli 2/15)  |\n"
        "| structured         | -                      | -                      |\n"
        "| question answering | 16.7 (1/3, xquad 1/11) | 16.7 (1/3, xquad 1/12) |\n"
        "| retrieval          | -                      | -                      |\n"
        "| **total**          | -                      | -                      |\n"
        "\n"
        "- XTREME: no total without pawsx, udpos, panx, mlqa, tydiqa, bucc2018, tatoeba\n"
        "- XTREME-R: no total without xcopa, udpos, panx, mlqa, tydiqa, tatoeba, lareqa, mewslix\n"
        "- questions: F1 / exact match; the score is the mean of both\n"
        "- P/xquad/test-en.json: 1 of 2 ids without a prediction, counted as 0\n"
    )
