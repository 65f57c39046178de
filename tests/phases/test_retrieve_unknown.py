"""Sentences of which the model knows no word: retrieval scores and counts them, and they are warned of once."""

from __future__ import annotations

from pathlib import Path

from support.inputs import write_split

from adaptstilts.reports.retrieval_sweep import Sweep, retrieve
from adaptstilts.run import Listener
from adaptstilts.study import Retrieve
from adaptstilts.workspace import Workspace

PAIRS = [
    ("Wo ist die Katze?", "Where is the cat?"),
    ("Ich muss schlafen.", "I have to sleep."),
    ("한국어 문장", "Many words."),
    ("다른 문장", "Other words."),
]


class Lines(Listener):
    """Keeps the remarks."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def progress(self, line: str, done: int, total: int) -> None:
        if total == 0:
            self.remarks.append(line)


def sweep(folder: Path, pairs: list[tuple[str, str]], lines: Lines) -> Sweep:
    rows = [{"source_sentence": foreign, "target_sentence": english} for foreign, english in pairs]
    write_split(folder / "hub", "google/xtreme", "tatoeba.deu", "validation", rows)
    workspace = Workspace(folder / "store", folder / "hub", offline=True)
    settings = Retrieve(layers="all", precision="fp32")
    return retrieve(
        "builtin:nano", ["tatoeba"], workspace, languages="de", settings=settings, listener=lines, device="cpu"
    )


def test_they_are_scored_counted_and_warned_of(tmp_path: Path) -> None:
    lines = Lines()
    found = sweep(tmp_path, PAIRS, lines)
    (result,) = found.results
    assert result.record.n == (4, 4)
    assert result.record.unknown_sentences == 2
    assert result.json()["unknown_sentences"] == 2
    assert "the model knows no word of 2 sentences" in found.render()
    warnings = [line for line in lines.remarks if line.startswith("warning: ")]
    assert len(warnings) == 1, "one for each text, whatever the layers"
    assert warnings[0].startswith("warning: tatoeba, de, foreign: ")


def test_nothing_is_said_of_known_words(tmp_path: Path) -> None:
    lines = Lines()
    found = sweep(tmp_path, PAIRS[:2], lines)
    assert found.results[0].record.unknown_sentences == 0
    assert "knows no word" not in found.render()
    assert not [line for line in lines.remarks if line.startswith("warning: ")]
