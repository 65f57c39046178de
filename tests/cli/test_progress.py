"""The lines that a run prints."""

from __future__ import annotations

import pytest

from adaptstilts.cli.progress import Progress
from adaptstilts.errors import DataError, DivergedError
from adaptstilts.plan.phases import Phase


@pytest.fixture
def phase() -> Phase:
    return Phase(title="train xnli (full), seed 1")


def test_a_phase_gets_one_line_when_it_is_done(phase: Phase, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.begin(phase, 3, 12)
        progress.progress("ignored", 5, 10)
        progress.end(phase, 1.26)
    assert capsys.readouterr().err == "[3/12] train xnli (full), seed 1: 1.3 s\n"


def test_a_long_phase_gets_lines_in_between(
    phase: Phase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptstilts.cli.progress.QUIET_SECONDS", -1.0)
    with Progress() as progress:
        progress.progress("reading", 1, 2)
        progress.begin(phase, 1, 1)
        progress.progress("ignored", 5, 10)
        progress.progress("a remark", 0, 0)
    assert capsys.readouterr().err.splitlines() == ["reading", "[1/1] train xnli (full), seed 1: 5/10", "a remark"]


def test_a_failure_names_its_phase_once(phase: Phase, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.failed(phase, DataError("no rows"))
        progress.failed(phase, DivergedError("train xnli (full), seed 1: loss nan at step 3"))
    assert capsys.readouterr().err.splitlines() == [
        "failed: train xnli (full), seed 1: no rows",
        "failed: train xnli (full), seed 1: loss nan at step 3",
    ]
