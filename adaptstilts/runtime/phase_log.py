"""The log of one training phase: its lines, kept for checkpoints, and every logger that receives them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adaptstilts.errors import Interrupted
from adaptstilts.runtime.loggers.base import Ending, LoggedPhase, Logger
from adaptstilts.runtime.loggers.jsonl import JsonLines


class PhaseLog:
    """Collects the lines of a phase, and passes them on while it is open.

    ``log.jsonl`` belongs to the phase's entry: if it cannot be written, the phase fails. Any other logger that raises
    is switched off for the rest of the phase with one remark, because no training should be lost to its tracking.

    Args:
        loggers: loggers that the user chose; ``jsonl`` is always on.
        remark: called with one line when a logger is switched off.
    """

    def __init__(self, loggers: Sequence[Logger], remark: Callable[[str], None]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._loggers = [JsonLines(), *(logger for logger in loggers if not isinstance(logger, JsonLines))]
        self._active: list[Logger] = []
        self._remark = remark

    @contextlib.contextmanager
    def open(self, phase: LoggedPhase) -> Iterator[None]:
        """Start every logger, and pass on at the end how the phase ended."""
        ending: Ending = "failed"
        self._active = list(self._loggers)
        try:
            self._send(lambda logger: logger.start(phase))
            yield
            ending = "finished"
        except (Interrupted, KeyboardInterrupt):
            ending = "interrupted"
            raise
        finally:
            self._send(lambda logger: logger.end(ending))
            self._active = []

    def step(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Log one optimizer step; see :meth:`Logger.step`."""
        self.lines.append({"step": step, **scalars})
        self._send(lambda logger: logger.step(step, scalars))

    def dev(self, step: int, scores: Mapping[str, float]) -> None:
        """Log the scores on the dev sets; see :meth:`Logger.dev`."""
        self.lines.append({"step": step, "dev": scores})
        self._send(lambda logger: logger.dev(step, scores))

    def _send(self, event: Callable[[Logger], None]) -> None:
        for logger in list(self._active):
            try:
                event(logger)
            except Exception as error:
                if isinstance(logger, JsonLines):
                    raise
                self._active.remove(logger)
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                self._remark(f"logger {logger.name} failed ({reason}); it is off for the rest of this phase")
