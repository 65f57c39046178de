"""Standard output that is closed, full or not read to the end: exit code 5 and one line, never success."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "adaptstilts"]
BAD_OPTION = "error: No such option: --no-such-option See --help.\n"
CLOSED = "error: standard output: is closed; send it to a file, or to /dev/null if nobody reads it\n"
FULL = "error: standard output: cannot be written: No space left on device; write it to another place\n"
UNREAD = (
    "error: standard output: its reader ended before everything was written;"
    " let it read to the end, or write to a file\n"
)
COMMANDS = ["guide", "guide study-file", "--version"]


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program, as ``$PROGRAM`` of a shell command."""
    env = {**os.environ, "PROGRAM": " ".join(PROGRAM), **environment}
    line = ["bash", "-c", f"set -o pipefail; {command}"]
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(("output", "message"), [(">&-", CLOSED), (">/dev/full", FULL)])
def test_output_that_is_lost_is_an_error(arguments: str, output: str, message: str, tmp_path: Path) -> None:
    done = shell(f"$PROGRAM {arguments} {output}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", message)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_ends_early(unbuffered: str, tmp_path: Path) -> None:
    done = shell("(sleep 1; $PROGRAM guide study-file) | true", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (5, UNREAD)


def test_nothing_is_done_without_an_output(tmp_path: Path) -> None:
    done = shell("$PROGRAM init mini >&-", tmp_path)
    assert (done.returncode, done.stderr) == (5, CLOSED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_shown_keeps_its_exit_code(errors: str, tmp_path: Path) -> None:
    assert shell(f"$PROGRAM --no-such-option {errors}", tmp_path).returncode == 2
    done = shell(f"$PROGRAM init mini {errors}", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("wrote mini.yaml\n")


def test_an_error_of_its_own_is_not_hidden_by_the_output(tmp_path: Path) -> None:
    done = shell("$PROGRAM --no-such-option >/dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, BAD_OPTION)


def test_the_output_is_unchanged_by_the_watch(tmp_path: Path) -> None:
    plain = shell("$PROGRAM guide study-file", tmp_path)
    unbuffered = shell("$PROGRAM guide study-file", tmp_path, PYTHONUNBUFFERED="1")
    assert plain.stdout == unbuffered.stdout
    assert plain.stdout.startswith("# The study file\n")
    assert plain.stdout.endswith("|\n")
