"""The sample that ships: it is what the generator writes, and its rows are balanced, distinct and well formed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from adaptstilts.data.sources import PACKAGED
from adaptstilts.errors import DataError
from adaptstilts.sample import generate, items, lexicon
from adaptstilts.sample.grammar import UPOS, Clause, ask, phrase, state, table

CODES = lexicon.CODES
FOREIGN = CODES[1:]
TRAINED = ("nli", "qa", "choice", "tagging")
SHIPPED = PACKAGED / generate.REPO
Rows = list[dict[str, Any]]


def read(config: str, split: str) -> Rows:
    """The rows of a split that ships."""
    rows: Rows = pq.read_table(SHIPPED / config / f"{split}-00000-of-00001.parquet").to_pylist()
    return rows


def contents(rows: Rows) -> list[str]:
    """What rows say, without their ids."""
    return [repr({name: value for name, value in row.items() if name != "id"}) for row in rows]


def texts(row: dict[str, Any]) -> Iterable[str]:
    for value in row.values():
        yield from [value] if isinstance(value, str) else value if isinstance(value, list) else []


# The files


@pytest.mark.slow
def test_the_files_that_ship_are_those_that_the_generator_writes(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path).as_posix(): path for path in generate.write(tmp_path)}
    shipped = {path.relative_to(PACKAGED).as_posix(): path for path in PACKAGED.rglob("*") if path.is_file()}
    assert set(written) == set(shipped)
    for name, path in written.items():
        if name.endswith(".parquet"):
            mine, theirs = pq.read_metadata(path), pq.read_metadata(shipped[name])
            assert pq.read_table(path).equals(pq.read_table(shipped[name])), name
            if mine.created_by != theirs.created_by:  # another pyarrow may write other bytes
                continue
        assert path.read_bytes() == shipped[name].read_bytes(), name


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 1_500_000


def test_sizes() -> None:
    for name in TRAINED:
        assert len(read(f"{name}.en", "train")) >= 1500
        assert len(read(f"{name}.en", "validation")) >= 200
        assert {len(read(f"{name}.{code}", "test")) for code in CODES} <= {180, 256}
    assert {len(read(f"choice.{code}", "validation")) for code in CODES} == {256}
    assert {len(read(f"retrieval.{code}", "test")) for code in FOREIGN} == {232}


def test_validation_rows_of_choices_are_translations() -> None:
    english = [(row["id"], row["label"]) for row in read("choice.en", "validation")]
    for code in FOREIGN:
        rows = read("choice." + code, "validation")
        assert [(row["id"], row["label"]) for row in rows] == english
        tested = contents(read("choice." + code, "test"))
        assert not set(tested) & set(contents(rows))


# Rows


@pytest.mark.parametrize("name", TRAINED)
def test_no_row_is_in_two_splits_or_twice_in_one(name: str) -> None:
    found = [row for split in generate.SIZES for row in contents(read(f"{name}.en", split))]
    assert len(set(found)) == len(found)
    for code in FOREIGN:
        rows = read(f"{name}.{code}", "test")
        assert len(set(contents(rows))) == len(rows)
        assert [row["id"] for row in rows] == [row["id"] for row in read(f"{name}.en", "test")]


@pytest.mark.parametrize("split", generate.SIZES)
def test_inference_is_balanced(split: str) -> None:
    rows = read("nli.en", split)
    labels = Counter(row["label"] for row in rows)
    assert set(labels) == set(items.LABELS)
    assert max(labels.values()) - min(labels.values()) <= 1
    denied = Counter(row["label"] for row in rows if " not " in row["hypothesis"])
    assert all(abs(denied[label] / labels[label] - 0.5) < 0.02 for label in labels)
    assert not any(row["premise"] == row["hypothesis"] for row in rows)


def test_inference_follows_from_the_rules() -> None:
    told = Clause("anna", "buy_book", "market", "monday")
    bare = dataclasses.replace(told, place="", time="")
    denied = dataclasses.replace(bare, negative=True)
    assert items.judge((told,), bare) == "entailment"
    assert items.judge((bare,), told) == "neutral"
    assert items.judge((told,), denied) == "contradiction"
    assert items.judge((denied,), told) == "contradiction"
    assert items.judge((denied,), dataclasses.replace(told, negative=True)) == "entailment"
    assert items.judge((dataclasses.replace(told, negative=True),), bare) == "neutral"
    assert items.judge((told,), dataclasses.replace(bare, person="omar")) == "neutral"
    assert items.judge((told, denied), bare) == ""


def test_labels_and_languages_agree() -> None:
    for name, field in (("nli", "label"), ("choice", "label")):
        english = [row[field] for row in read(f"{name}.en", "test")]
        assert all([row[field] for row in read(f"{name}.{code}", "test")] == english for code in FOREIGN)


@pytest.mark.parametrize("code", CODES)
def test_answers_stand_where_they_are_said_to_be(code: str) -> None:
    first = 0
    for row in read(f"qa.{code}", "test"):
        text, start = row["answers"]["text"][0], row["answers"]["answer_start"][0]
        assert text
        assert row["context"][start : start + len(text)] == text
        first += start < len(row["context"]) / 3
    assert first < 0.6 * 180, "the answer is not always in the first sentence"


@pytest.mark.parametrize("split", generate.SIZES)
def test_every_alternative_is_right_as_often_as_it_is_wrong(split: str) -> None:
    rows = read("choice.en", split)
    right = Counter(row["choices"][row["label"]] for row in rows)
    wrong = Counter(row["choices"][1 - row["label"]] for row in rows)
    assert right == wrong
    assert len(right) == 128
    assert Counter(row["label"] for row in rows) == {0: len(rows) // 2, 1: len(rows) // 2}


def test_wrong_alternatives_are_not_close_ones() -> None:
    pairs = {sentence: name for name, text in table(lexicon.get("en").pairs).items() for sentence in text.split(" | ")}
    assert {name for pair in items.CLOSE for name in pair} <= set(pairs.values())
    for row in read("choice.en", "train"):
        assert frozenset(pairs[choice] for choice in row["choices"]) not in items.CLOSE


@pytest.mark.parametrize("code", CODES)
def test_tags(code: str) -> None:
    rows = read(f"tagging.{code}", "test")
    tags = Counter(tag for row in rows for tag in row["tags"])
    assert set(tags) <= set(UPOS)
    assert len(tags) >= 10
    for row in rows:
        assert len(row["tags"]) == len(row["tokens"])
        assert all(row["tokens"])


@pytest.mark.parametrize("code", CODES)
def test_text_is_clean(code: str) -> None:
    for config in (*(f"{name}.{code}" for name in TRAINED[:3]), *([f"retrieval.{code}"] if code != "en" else [])):
        for row in read(config, "test"):
            for text in texts(row):
                assert text == text.strip()
                assert not set(text) & set("|=/~_"), text
                assert "  " not in text
                assert " ." not in text
                assert " ," not in text
                assert code != "zh" or " " not in text or text == row.get("english"), text


# Retrieval and mining


@pytest.mark.parametrize("code", FOREIGN)
def test_retrieval_sentences_are_distinct(code: str) -> None:
    rows = read(f"retrieval.{code}", "test")
    assert len({row["foreign"] for row in rows}) == len({row["english"] for row in rows}) == len(rows) >= 200


@pytest.mark.parametrize("code", FOREIGN)
def test_mining(code: str) -> None:
    seen: dict[str, set[str]] = {code: set(), "en": set()}
    for split in ("train", "test"):
        sides = {side: read(f"mining.{code}-en.{side}", split) for side in (code, "en")}
        gold = read(f"mining.{code}-en.gold", split)
        for side, rows in sides.items():
            found = {row["sentence"] for row in rows}
            assert 150 <= len(found) == len(rows) <= 250
            assert not found & seen[side], "train and test share no sentence"
            seen[side] |= found
        assert 60 <= len(gold) <= 80
        for column, side in (("source_id", code), ("target_id", "en")):
            ids = [row[column] for row in gold]
            assert len(set(ids)) == len(ids)
            assert set(ids) <= {row["id"] for row in sides[side]}


@pytest.mark.slow
def test_mining_pairs_are_translations_and_the_rest_is_not() -> None:
    clauses = [Clause(p, e, pl, t, n, f) for p in items.PEOPLE for e, where in items.EVENTS.items()
               for pl in ("", *where) for t in ("", *items.TIMES) for n in (False, True)
               for f in ((False, True) if t else (False,))]  # fmt: skip
    meaning = {state(lexicon.get("en"), one).text: dataclasses.replace(one, front=False) for one in clauses}
    german = {state(lexicon.get("de"), one).text: dataclasses.replace(one, front=False) for one in clauses}
    mine = {row["id"]: german[row["sentence"]] for row in read("mining.de-en.de", "test")}
    theirs = {row["id"]: meaning[row["sentence"]] for row in read("mining.de-en.en", "test")}
    gold = {row["source_id"]: row["target_id"] for row in read("mining.de-en.gold", "test")}
    for at, clause in mine.items():
        assert [other for other, english in theirs.items() if english == clause] == ([gold[at]] if at in gold else [])


# Lexicons


def test_a_lexicon_that_lacks_an_id_is_refused() -> None:
    whole = lexicon.get("en")
    lines = whole.events.strip().splitlines()
    with pytest.raises(DataError, match="the events of the sample's lexicon 'en': buy_book"):
        generate.check([dataclasses.replace(whole, events="\n".join(lines[1:]))])
    with pytest.raises(DataError, match="the order differs"):
        generate.check([dataclasses.replace(whole, events="\n".join(reversed(lines)))])
    with pytest.raises(DataError, match="expected cause"):
        generate.check([whole, dataclasses.replace(whole, pairs=whole.pairs.replace(" | ", " ", 1))])
    with pytest.raises(DataError, match="an id twice"):
        table("a: b\na: c")
    with pytest.raises(DataError, match="not a universal"):
        phrase("word/NOPE")


@pytest.mark.parametrize("code", CODES)
def test_sentences_and_questions(code: str) -> None:
    held = lexicon.get(code)
    clause = Clause("teacher", "buy_book", "market", "yesterday")
    said = state(held, clause)
    assert set(said.spans) >= {"who", "what", "where", "when"}
    assert said.text.endswith(held.stop)
    assert state(held, dataclasses.replace(clause, negative=True)).text != said.text
    asked = {what: ask(held, what, clause).text for what in ("who", "what", "where", "when")}
    assert len(set(asked.values())) == 4
    assert all(text[-1] in "?؟？" for text in asked.values())


@pytest.mark.parametrize(
    ("code", "expected", "question"),
    [
        ("en", "Yesterday our neighbour did not eat a red apple at school.",
         "Where did our neighbour eat a red apple?"),
        ("de", "Gestern hat unsere Nachbarin in der Schule keinen roten Apfel gegessen.",
         "Wo hat unsere Nachbarin einen roten Apfel gegessen?"),
        ("es", "Ayer nuestra vecina no comió una manzana roja en la escuela.",
         "¿Dónde comió nuestra vecina una manzana roja?"),
        ("fr", "Hier, notre voisine n'a pas mangé de pomme rouge à l'école.",
         "Où est-ce que notre voisine a mangé une pomme rouge\u00a0?"),
        ("ru", "Вчера наша соседка не съела красное яблоко в школе.", "Где наша соседка съела красное яблоко?"),
        ("ar", "أمس لم تأكل جارتنا تفاحة حمراء في المدرسة.", "أين أكلت جارتنا تفاحة حمراء؟"),
        ("hi", "कल हमारी पड़ोसन ने स्कूल में एक लाल सेब नहीं खाया।", "हमारी पड़ोसन ने कहाँ एक लाल सेब खाया?"),
        ("sw", "Jana jirani yetu hakula tofaa jekundu shuleni.", "Jirani yetu alikula tofaa jekundu wapi?"),
        ("tr", "Dün komşumuz okulda kırmızı bir elma yemedi.", "Komşumuz nerede kırmızı bir elma yedi?"),
        ("zh", "昨天我们的邻居没在学校吃红苹果。", "我们的邻居在哪里吃了一个红苹果？"),
    ],
)  # fmt: skip
def test_how_each_language_says_it(code: str, expected: str, question: str) -> None:
    clause = Clause("neighbour", "eat_apple", "school", "yesterday", negative=True, front=True)
    assert state(lexicon.get(code), clause).text == expected
    assert ask(lexicon.get(code), "where", clause).text == question
