"""What an interrupted command prints: no error, no traceback, and that the same command continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from adaptstilts import cli
from adaptstilts.errors import ArtifactError, Interrupted


class Ended(Exception):
    """Stands in for the end of the process."""


def interrupted(monkeypatch: pytest.MonkeyPatch, verb: object) -> int:
    """Run a command line that has one verb, which is interrupted; return the exit code."""
    other = typer.Typer(callback=lambda: None)
    other.command("work")(verb)  # type: ignore[type-var]
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(cli, "app", other)
    monkeypatch.setattr(cli, "_end_process", end)
    monkeypatch.setattr(sys, "argv", ["adaptstilts", "work"])
    with pytest.raises(Ended):
        cli.main()
    return codes[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_any_verb(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        os.kill(os.getpid(), number)
        raise AssertionError("the verb went on")

    before = signal.getsignal(number)
    assert interrupted(monkeypatch, work) == 130
    assert capsys.readouterr().err == "interrupted; the same command continues\n"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("train xnli: stopped at step 3 of 9", "train xnli: stopped at step 3 of 9; the same command continues"),
        ("corpus: stopped; the same command starts over", "corpus: stopped; the same command starts over"),
    ],
)
def test_a_run_says_where_it_stopped(
    message: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise Interrupted(message)

    assert interrupted(monkeypatch, work) == 130
    assert capsys.readouterr().err == f"{printed}\n"


def test_an_error_never_moves_the_cursor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise ArtifactError("a tensor \x1b[2J\x07 is missing\nand so is ä\r")

    other = typer.Typer(callback=lambda: None)
    other.command("work")(work)
    monkeypatch.setattr(cli, "app", other)
    monkeypatch.setattr(sys, "argv", ["adaptstilts", "work"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 4
    printed = "error: a tensor \\x1b[2J\\x07 is missing\nerror: and so is ä\n"
    assert capsys.readouterr().err == printed


def test_an_interruption_while_libraries_are_imported(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    call = [sys.executable, "-c", "from adaptstilts.cli import main; main()", "methods"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted; the same command continues\n")
