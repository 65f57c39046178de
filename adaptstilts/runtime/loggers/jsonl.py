"""The logger that is always on: ``log.jsonl`` in the entry of the phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from adaptstilts.runtime.loggers.base import Ending, LoggedPhase, Logger
from adaptstilts.store.entries import LOG, log_line


class JsonLines(Logger):
    """Writes one JSON object a line: ``{"step": ..., scalars}`` for a step, ``{"step": ..., "dev": {...}}`` for dev."""

    name: ClassVar[str] = "jsonl"

    def __init__(self) -> None:
        self._file: IO[str] | None = None

    def start(self, phase: LoggedPhase) -> None:
        """Open the file and write the lines of earlier runs into it."""
        self._file = (phase.folder / LOG).open("w", encoding="utf-8", buffering=1)
        for line in phase.earlier:
            self._write(line)

    def step(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Write the line of a step."""
        self._write({"step": step, **scalars})

    def dev(self, step: int, scores: Mapping[str, float]) -> None:
        """Write the line of an evaluation."""
        self._write({"step": step, "dev": scores})

    def end(self, ending: Ending) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._file is not None  # noqa: S101
        self._file.write(log_line(line))
