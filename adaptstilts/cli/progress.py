"""Progress of a run on standard error: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from adaptstilts.plan.phases import Phase
from adaptstilts.run import Listener

QUIET_SECONDS = 30.0  # between two lines of a long phase


class Progress(Listener):
    """Prints one line for each phase, and one every half minute within long ones."""

    def __init__(self) -> None:
        self._bars: Any = None  # rich.progress.Progress, on a terminal
        self._task: Any = None
        self._last_line = 0.0
        self._title = ""

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, phase: Phase, number: int, total: int) -> None:
        """Note that a phase starts, and show a bar for it."""
        self._title = f"[{number}/{total}] {phase.title}"
        self._last_line = time.monotonic()
        if self._bars:
            self._task = self._bars.add_task(_escaped(self._title), total=None)

    def progress(self, line: str, done: int, total: int) -> None:
        """Move the bar, or print a line now and then; without a total, print a remark.

        Args:
            line: what is worked on.
            done: how much of it is done.
            total: how much there is; 0 for a remark.
        """
        if total == 0:
            self._print(line)
        elif self._bars:
            self._move(line, done, total)
        elif time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            self._print(f"{self._title}: {done}/{total}" if self._title else line)

    def end(self, phase: Phase, seconds: float) -> None:
        """Print that a phase is done."""
        self._print(f"{self._title}: {seconds:.1f} s")
        self._remove_bar()

    def failed(self, phase: Phase, error: Exception) -> None:
        """Print that a phase failed, and why."""
        self._remove_bar()
        reason = str(error)
        self._print(f"failed: {reason}" if reason.startswith(phase.title) else f"failed: {phase.title}: {reason}")

    def _move(self, line: str, done: int, total: int) -> None:
        if self._task is None:  # work outside of a phase
            self._task = self._bars.add_task("")
        description = {} if self._title else {"description": _escaped(line)}
        self._bars.update(self._task, completed=done, total=total, **description)

    def _remove_bar(self) -> None:
        if self._bars and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._title = ""

    def _print(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def _escaped(text: str) -> str:
    """Escape what rich would read as markup."""
    return text.replace("[", "\\[")
