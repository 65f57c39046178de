"""Lines that ``mine`` leaves out: those of which the model knows no word, and those that count once."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from adaptstilts.errors import ConfigError, DataError
from adaptstilts.retrieval.mine import MiningResult, MiningSettings, mine
from adaptstilts.workspace import Workspace

GERMAN = [
    "Wo muss ich aussteigen?",
    "Das ist ein schöner Grund.",
    "Ich muss schlafen gehen.",
    "Was ist das?",
    "Das wird nie enden.",
    "Ich habe eine Tochter.",
]
ENGLISH = [
    "I have a daughter.",
    "This is never going to end.",
    "What is this?",
    "I have to go to sleep.",
    "That is a nice reason.",
    "Where do I get off?",
]


class Bench:
    """Mines lists of lines with a small built-in model; results of one store follow each other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workspace = folder, Workspace(folder / "store")
        self.reported: list[str] = []

    def mine(self, foreign: list[str], english: list[str], **changed: Any) -> MiningResult:
        paths = self.folder / "de.txt", self.folder / "en.txt"
        for path, lines in zip(paths, (foreign, english), strict=True):
            path.write_bytes(("\n".join(lines) + "\n").encode())
        settings = MiningSettings(model="builtin:nano", precision="fp32", **changed)
        report = lambda line, done, total: self.reported.append(line)  # noqa: E731
        return mine(*paths, self.folder / "out.tsv", settings, self.workspace, device="cpu", report=report)

    def pairs(self) -> list[tuple[int, int]]:
        rows = [line.split("\t") for line in (self.folder / "out.tsv").read_text(encoding="utf-8").splitlines()]
        return [(int(row[1]), int(row[2])) for row in rows]

    def warnings(self) -> list[str]:
        return [line for line in self.reported if line.startswith("warning: ")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    "lines", [("한국어", "ภาษาไทย"), ("한국어 문장.", "ภาษา ไทย."), ("2020년", "\U0001f600"), ("<unk>", "<s>")]
)
def test_lines_without_a_known_word_are_not_mined(bench: Bench, lines: tuple[str, str]) -> None:
    bench.mine(GERMAN, ENGLISH)
    expected = bench.pairs()
    result = bench.mine([*GERMAN, lines[0]], [*ENGLISH, lines[1]])
    assert result.unknown == (1, 1)
    assert bench.pairs() == expected
    assert result.candidates == len(expected)


def test_a_word_is_enough(bench: Bench) -> None:
    result = bench.mine([*GERMAN, "한국어 Berlin"], ENGLISH)
    assert result.unknown == (0, 0)


def test_prefixes_are_encoded_and_not_written(bench: Bench) -> None:
    def written() -> list[list[str]]:
        lines = (bench.folder / "out.tsv").read_text(encoding="utf-8").splitlines()
        return [line.split("\t") for line in lines]

    result = bench.mine([*GERMAN, "한국어"], ENGLISH, prefix="query: ", english_prefix="passage: ")
    assert result.unknown == (1, 0)
    found = written()
    assert {row[3] for row in found} <= set(GERMAN)
    bench.mine([f"query: {line}" for line in GERMAN], [f"passage: {line}" for line in ENGLISH])
    expected = written()
    assert [row[1:3] for row in found] == [row[1:3] for row in expected]
    assert [float(row[0]) for row in found] == pytest.approx([float(row[0]) for row in expected], abs=1e-4)
    bench.mine(GERMAN, ENGLISH)
    assert [row[0] for row in written()] != [row[0] for row in found]


def test_a_pooling_that_the_model_does_not_have(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"--pooling own: the folder of builtin:nano does not say how it pools"):
        bench.mine(GERMAN, ENGLISH, pooling="own")


def test_invisible_lines_are_empty(bench: Bench) -> None:
    result = bench.mine([*GERMAN, "\u200b", "\ufeff\ufeff", " \u2060\x07", ""], ENGLISH)
    assert (result.empty, result.unknown) == ((4, 0), (0, 0))


def test_a_file_without_a_known_word_is_refused(bench: Bench) -> None:
    with pytest.raises(
        DataError, match=r"de.txt: the model knows no word of any of its 2 sentences; check the encoding"
    ):
        bench.mine(["한국어", "문장"], ENGLISH)
    assert not (bench.folder / "out.tsv").exists()


def test_many_unknown_tokens_are_warned_of_for_each_file_every_time(bench: Bench) -> None:
    for _ in range(2):
        bench.reported.clear()
        bench.mine([*GERMAN, "한국어"], ENGLISH)
        (warning,) = bench.warnings()
        assert warning.startswith(f"warning: {bench.folder / 'de.txt'}: ")


def test_unicode_forms_of_a_sentence_count_once(bench: Bench) -> None:
    copy = unicodedata.normalize("NFD", GERMAN[1])
    assert copy != GERMAN[1]
    lines = [copy, *GERMAN, GERMAN[0]]
    by_text = bench.mine(lines, ENGLISH, duplicates="text")
    by_default = bench.mine(lines, ENGLISH)
    assert (by_text.repeated, by_default.repeated) == ((1, 0), (2, 0))
    assert (by_text.same_tokens, by_default.same_tokens) == ((1, 0), (0, 0))
    assert 3 not in [foreign for foreign, _ in bench.pairs()]
    again = bench.mine(lines, ENGLISH, duplicates="text")
    assert (again.repeated, again.same_tokens) == ((1, 0), (1, 0))


def test_equal_tokens_count_once_if_asked_for(bench: Bench) -> None:
    lines = [*GERMAN, "Ｗas ist das?", "Was  ist das?", GERMAN[0] + " " + "Ja" * 40, GERMAN[0] + " " + "Ja" * 41]
    counted = bench.mine(lines, ENGLISH, max_length=24)
    assert counted.same_tokens == (3, 0)
    merged = bench.mine(lines, ENGLISH, max_length=24, duplicates="tokens")
    assert merged.same_tokens == (3, 0)
    assert {foreign for foreign, _ in bench.pairs()} <= {1, 2, 3, 4, 5, 6, 9}


def test_a_damaged_choice_is_made_again(bench: Bench) -> None:
    lines = [*GERMAN, "한국어"]
    bench.mine(lines, ENGLISH)
    before = bench.pairs()
    (saved,) = bench.workspace.store.vectors.glob("*/foreign.*.npz")
    saved.write_bytes(saved.read_bytes()[:-20])
    assert bench.mine(lines, ENGLISH).unknown == (1, 0)
    assert bench.pairs() == before
