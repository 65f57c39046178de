"""Check the rows that the phases of a plan read, before the first of them runs.

A row that cannot be used would otherwise stop its phase only when that has its turn, perhaps after hours of training.
What was right once is not read again: its digest and its number of rows are remembered, with the task that it was
checked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from adaptstilts import __version__
from adaptstilts.data.examples import looks_withheld
from adaptstilts.data.row_counts import RowCount, published_rows, sentences
from adaptstilts.data.scan import Scan, scan
from adaptstilts.data.sources import Split
from adaptstilts.errors import ArtifactError, DataError
from adaptstilts.io import hashing
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text
from adaptstilts.plan.phases import Phase
from adaptstilts.plan.readings import Reading
from adaptstilts.tasks import Task, kind_specs
from adaptstilts.workspace import Workspace


def check_rows(phases: Iterable[Phase], workspace: Workspace) -> list[str]:
    """Raise if phases read rows that cannot be used.

    Args:
        phases: those that are to run.
        workspace: the data, as far as they are read at all.

    Returns:
        One line for every split whose number of rows is not the published one.

    Raises:
        DataError: one line for each split that has unusable rows.
    """
    readings: dict[tuple[object, ...], Reading] = {}
    for phase in phases:
        for reading in phase.readings():
            task = reading.task.name, *reading.task.columns.values()
            readings[*task, reading.source, reading.language, reading.limit, reading.needed] = reading
    checks = RowChecks(workspace)
    counts, problems = [], dict[str, None]()
    for reading in readings.values():
        try:
            count = checks.count(reading)
        except DataError as error:
            problems[str(error)] = None
        else:
            counts += [count] if count else []
    checks.known.save()
    if problems:
        raise DataError("\n".join(problems))
    return [*sentences(counts)]


class RowChecks:
    """Checks of the data of a workspace.

    Attributes:
        known: splits that were right before.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.known = _Known(workspace.checked_rows)
        self._labels: dict[str, tuple[Any, ...]] = {}

    def count(self, reading: Reading) -> RowCount | None:
        """Return how many rows a split has; None if it is not in the data, or its kind has no check.

        Raises:
            DataError: rows cannot be used, or there are too few.
        """
        task, split = reading.task, self.workspace.sources.find(reading.source)
        check = kind_specs.get(task.kind).check
        if split is None or not split.files or check is None:
            return None
        key = _identity(reading, [split, *self._label_splits(task)])
        if key not in self.known:
            task = self._labelled(task)
            found = scan(split, task, check)
            _check_labels(replace(reading, task=task), found)
            self.known.add(key, found)
        usable, left_out = self.known[key]
        if usable < reading.needed:
            raise DataError(
                f"{split.files[0]}: expected {reading.needed} usable rows or more (rows.k of {task.name}), found"
                f" {usable}; lower k"
            )
        published = published_rows(task, reading.split)
        return RowCount(task.name, reading.split, reading.language, usable, left_out, published)

    def _label_splits(self, task: Task) -> list[Split]:
        """Return the splits that give a task its labels; none if it declares them, or the data lack one."""
        sources = (task.train, task.dev) if task.open_labels else ()
        splits = [self.workspace.sources.find(task.fill(source)) for source in sources if source]
        present = [split for split in splits if split is not None and split.files]
        return present if len(present) == len(splits) else []

    def _labelled(self, task: Task) -> Task:
        """Return a task with open labels filled in from its training and dev rows, if the data have them."""
        if not task.open_labels:
            return task
        if task.name not in self._labels:
            check = kind_specs.get(task.kind).check
            assert check is not None  # noqa: S101
            labels: set[Any] = set()
            for split in self._label_splits(task):
                labels |= {*scan(split, task, check).labels}
            self._labels[task.name] = tuple(sorted(labels))
        return replace(task, labels=self._labels[task.name])


def _check_labels(reading: Reading, found: Scan) -> None:
    """Raise if the labels of scored rows look withheld."""
    count = min(sum(found.labels.values()), reading.limit or found.count)
    if not reading.language or not looks_withheld(count, len(found.labels)):
        return
    (label,) = found.labels
    name = reading.task.labels[label] if reading.task.labels else label
    raise DataError(f"{reading.source}: {reading.language}: every gold label is {name!r}; the labels look withheld")


def _identity(reading: Reading, splits: Iterable[Split]) -> str:
    """Return a digest of what the verdict on a split depends on.

    Args:
        reading: what is read of it.
        splits: the split, and those that give the task its labels.
    """
    task = reading.task
    facts: list[Any] = [
        *(__version__, task.name, task.kind, dict(task.columns), task.labels, [*map(repr, task.no_gold)]),
        *(task.unanswerable, reading.language != "", reading.limit if reading.language else None),
    ]
    for split in splits:
        wheres = [part.source.where for part in split.more]
        facts += [split.identity(task.version), str(split.source), split.source.where, wheres]
    return hashing.of(facts)


class _Known:
    """Splits that were found right, with their numbers of rows, by digest in one JSON file.

    Args:
        path: the file; None to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._counts: dict[str, tuple[int, int]] = {}
        self._has_new = False
        if path is not None:
            with contextlib.suppress(ArtifactError):  # missing or damaged: the rows are checked again
                for digest, counts in read_object(path, "memory of checked rows").items():
                    with contextlib.suppress(TypeError, ValueError):
                        usable, left_out = map(int, counts)
                        self._counts[digest] = usable, left_out

    def __contains__(self, digest: str) -> bool:
        return digest in self._counts

    def __getitem__(self, digest: str) -> tuple[int, int]:
        """Return the numbers of usable rows and of rows that are left out."""
        return self._counts[digest]

    def add(self, digest: str, found: Scan) -> None:
        """Remember what a split has."""
        self._counts[digest] = found.count, found.left_out
        self._has_new = True

    def save(self) -> None:
        """Write the memory in one step; failing to do so only costs time later."""
        if self.path is None or not self._has_new:
            return
        with contextlib.suppress(OSError):
            replace_text(self.path, to_text(dict(sorted(self._counts.items())), indent=None, ascii_only=True))
