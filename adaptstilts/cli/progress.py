"""Progress of a run on standard error: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from adaptstilts.plan.phases import Phase
from adaptstilts.run import Listener

QUIET_SECONDS = 30.0  # between two lines of a long phase
STOPPING = "stopping: the current step is finished and saved; Ctrl-C again stops at once without saving"
STOPPED = "stopped at once; the same command continues from the last checkpoint"
_SHOW_CURSOR = b"\x1b[?25h"


class Progress(Listener):
    """Prints one line for each phase, and one every half minute within long ones.

    On a terminal, what happens before the first progress, such as loading the model, stands beside the bar. Elsewhere,
    it is printed for the first phase only, which also imports libraries and can take long.
    """

    def __init__(self) -> None:
        self._bars: Any = None  # rich.progress.Progress, on a terminal
        self._task: Any = None
        self._last_line = 0.0
        self._phase: Phase | None = None
        self._number, self._total = 0, 0

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
            self._bars = Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, phase: Phase, number: int, total: int) -> None:
        """Note that a phase starts, and show a bar for it."""
        self._remove_bar()
        self._phase, self._number, self._total = phase, number, total
        self._last_line = time.monotonic()
        if self._bars:
            self._show(phase.title)

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
            self._show(line, done, total)
        elif time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            self._print(f"{self._numbered(self._phase.title)}: {done}/{total}" if self._phase else line)

    def stage(self, line: str) -> None:
        """Show what is done beside a bar that does not move; without a terminal, print it for the first phase.

        Args:
            line: what is done.
        """
        if self._bars:
            self._show(line)
        elif self._number <= 1:
            self._print(self._numbered(line))

    def stopping(self, at_once: bool) -> None:
        """Print that the run stops.

        Args:
            at_once: whether the process ends now.
        """
        if not at_once:
            self._print(STOPPING)
            return
        if self._bars:
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)
        os.write(sys.stderr.fileno(), f"\n{STOPPED}\n".encode())  # past all locks, which the main thread may hold

    def end(self, phase: Phase, seconds: float) -> None:
        """Print that a phase is done."""
        self._print(f"{self._numbered(phase.title)}: {seconds:.1f} s")
        self._remove_bar()

    def failed(self, phase: Phase, error: Exception) -> None:
        """Print that a phase failed, and why."""
        self._remove_bar()
        reason = str(error)
        self._print(f"failed: {reason}" if reason.startswith(phase.title) else f"failed: {phase.title}: {reason}")

    def _numbered(self, line: str) -> str:
        """Return a line with the number of the phase that it is about."""
        if self._phase is None or not line.startswith(self._phase.title):
            return line
        return f"[{self._number}/{self._total}] {line}"

    def _show(self, line: str, done: int = 0, total: int | None = None) -> None:
        """Show a bar with a line beside it; without a total, leave the bar as it is, which pulses at first."""
        if self._task is None:
            self._task = self._bars.add_task("", total=None, count="")
        elif self._phase and not line.startswith(self._phase.title):  # such as the search in a phase
            line = self._phase.title
        text = _escaped(self._numbered(line))
        if total is None:
            self._bars.update(self._task, description=text)
        else:
            self._bars.update(self._task, completed=done, total=total, description=text, count=f"{done}/{total}")

    def _remove_bar(self) -> None:
        if self._bars and self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._phase = None

    def _print(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def _escaped(text: str) -> str:
    """Escape what rich would read as markup."""
    return text.replace("[", "\\[")
