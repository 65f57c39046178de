"""Check the rows that the phases of a plan read, before the first of them runs.

A row that cannot be used would otherwise stop its phase only when that has its turn, perhaps after hours of training.
What was right once is not read again: its digest is remembered, with the task that it was checked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from adaptstilts import __version__
from adaptstilts.data.examples import looks_withheld
from adaptstilts.data.scan import Scan, scan
from adaptstilts.data.sources import Split
from adaptstilts.errors import ArtifactError, DataError
from adaptstilts.io import hashing
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text
from adaptstilts.plan.phases import Phase
from adaptstilts.plan.readings import Reading
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace


def check_rows(phases: Iterable[Phase], workspace: Workspace) -> None:
    """Raise if phases read rows that cannot be used.

    Args:
        phases: those that are to run.
        workspace: the data, as far as they are read at all.

    Raises:
        DataError: one line for each split that has unusable rows.
    """
    known = _Known(workspace.checked_rows)
    readings: dict[tuple[object, ...], Reading] = {}
    for phase in phases:
        for reading in phase.readings():
            name = reading.task.name, *reading.task.columns.values(), reading.source, reading.language, reading.limit
            readings[name] = reading
    problems: dict[str, None] = {}
    for reading in readings.values():
        split = workspace.sources.find(reading.source)
        if split is not None and split.files:
            problems |= dict.fromkeys(_problems(reading, split, known))
    known.save()
    if problems:
        raise DataError("\n".join(problems))


def _problems(reading: Reading, split: Split, known: _Known) -> list[str]:
    """Return what is wrong with a split, at most one line."""
    check = kind_specs.get(reading.task.kind).check
    key = _identity(reading, split)
    if check is None or key in known:
        return []
    try:
        found = scan(split, reading.task, check)
    except DataError as error:
        return [str(error)]
    problem = _withheld(reading, found)
    if problem is None:
        known.add(key)
        return []
    return [problem]


def _withheld(reading: Reading, found: Scan) -> str | None:
    """Return that the labels of scored rows look withheld, if they do."""
    count = min(sum(found.labels.values()), reading.limit or found.count)
    if not reading.language or not looks_withheld(count, len(found.labels)):
        return None
    (label,) = found.labels
    name = reading.task.labels[label] if reading.task.labels else label
    return f"{reading.source}: {reading.language}: every gold label is {name!r}; the labels look withheld"


def _identity(reading: Reading, split: Split) -> str:
    """Return a digest of what the verdict on a split depends on."""
    task = reading.task
    facts = [
        *(__version__, task.name, task.kind, dict(task.columns), task.labels, [*map(repr, task.no_gold)]),
        *(task.unanswerable, str(split.source), split.source.where, [part.source.where for part in split.more]),
        *(reading.language != "", reading.limit if reading.language else None),
    ]
    return hashing.of([split.identity(task.version), facts])


class _Known:
    """Digests of splits that were found right, in one JSON file.

    Args:
        path: the file; None to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._digests: set[str] = set()
        self._has_new = False
        if path is not None:
            with contextlib.suppress(ArtifactError):  # missing or damaged: the rows are checked again
                self._digests = set(read_object(path, "memory of checked rows"))

    def __contains__(self, digest: str) -> bool:
        return digest in self._digests

    def add(self, digest: str) -> None:
        """Remember a split."""
        self._digests.add(digest)
        self._has_new = True

    def save(self) -> None:
        """Write the memory in one step; failing to do so only costs time later."""
        if self.path is None or not self._has_new:
            return
        with contextlib.suppress(OSError):
            replace_text(self.path, to_text(dict.fromkeys(sorted(self._digests), 1), indent=0, ascii_only=True))
