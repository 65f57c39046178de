"""The lines that a run prints."""

from __future__ import annotations

import io
import sys

import pytest

from adaptstilts.cli.progress import STOPPING, Progress
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


def test_the_first_phase_says_what_it_does_before_its_first_step(
    phase: Phase, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as progress:
        progress.stage("checking the rows")
        for number in (1, 2):
            progress.begin(phase, number, 2)
            progress.stage(f"{phase.title}: loading the model")
            progress.end(phase, 1.0)
    assert capsys.readouterr().err.splitlines() == [
        "checking the rows",
        "[1/2] train xnli (full), seed 1: loading the model",
        "[1/2] train xnli (full), seed 1: 1.0 s",
        "[2/2] train xnli (full), seed 1: 1.0 s",
    ]


class Terminal(io.StringIO):
    """Standard error of somebody who watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_stages_beside_the_bar(phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    shown = []
    with Progress() as progress:
        progress.begin(phase, 1, 2)
        steps = [lambda: progress.stage(f"{phase.title}: loading the model")]
        steps.append(lambda: progress.progress(phase.title, 3, 8))
        steps.append(lambda: progress.stage(f"{phase.title}: scoring the dev rows"))
        for step in steps:
            step()
            (task,) = progress._bars.tasks
            shown.append((task.description.replace("\\", ""), task.fields["count"], task.total))
        progress.end(phase, 1.0)
        assert progress._bars.tasks == []
    assert shown == [
        ("[1/2] train xnli (full), seed 1: loading the model", "", None),
        ("[1/2] train xnli (full), seed 1", "3/8", 8),
        ("[1/2] train xnli (full), seed 1: scoring the dev rows", "3/8", 8),
    ]
    assert "[1/2] train xnli (full), seed 1: 1.0 s" in terminal.getvalue()
    assert "0/?" not in terminal.getvalue()


def test_a_stop_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.stopping(at_once=False)
    assert capsys.readouterr().err == f"{STOPPING}\n"
