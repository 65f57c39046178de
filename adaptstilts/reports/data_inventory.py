"""The usable rows and languages of every task in the available data, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adaptstilts import kinds, tasks
from adaptstilts.data.agreement import Disagreements, disagreements
from adaptstilts.data.examples import EmptySplit, read
from adaptstilts.data.sources import Split
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace

PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Inventory:
    """The rows and languages of one task in the data.

    Attributes:
        task: the declaration.
        rows: ``train``, ``dev`` and ``test`` -> usable rows over all languages; None if the data has none of them. A
            split that the task does not declare has no item.
        languages: languages of the test set that the data has.
        dropped: rows that were left out, over all splits.
        differs: column -> language -> test rows in which it is not what most languages have for the same item.
    """

    task: Task
    rows: dict[str, int | None]
    languages: tuple[str, ...]
    dropped: int
    differs: dict[str, dict[str, int]]


@dataclass
class _Count:
    """Usable and dropped rows of one split, and the languages that it has."""

    rows: int | None = None
    dropped: int = 0
    languages: list[str] = field(default_factory=list)


def inventories(workspace: Workspace, names: Iterable[str] = ()) -> Iterator[Inventory]:
    """Yield the inventory of every task.

    Args:
        workspace: where the data is.
        names: only these tasks; empty for all.

    Raises:
        DataError: rows cannot be read.
    """
    for name in names or sorted(tasks.known()):
        yield _inventory(tasks.get(name), workspace)


def _inventory(task: Task, workspace: Workspace) -> Inventory:
    counts = {}
    for part in PARTS:
        source: Source | None = getattr(task, part)
        if source is not None:
            counts[part] = _count(task, source, _languages(task, part), workspace)
    return Inventory(
        task,
        {part: count.rows for part, count in counts.items()},
        tuple(counts["test"].languages) if "test" in counts else (),
        sum(count.dropped for count in counts.values()),
        _disagreements(task, workspace),
    )


def _disagreements(task: Task, workspace: Workspace) -> Disagreements:
    """Count the test rows that say something else in one language than in most of the others."""
    if task.test is None or not task.equal_columns:
        return {}
    splits = {}
    for code in _languages(task, "test"):
        split = workspace.sources.find(task.fill(task.test, code))
        if split is not None:
            splits[code] = split
    return disagreements(task, splits)


def _languages(task: Task, part: str) -> tuple[str, ...]:
    """Return the languages that a split is read in: English only, except for test rows and thresholds from dev."""
    if part == "test" or task.sets:
        return (*task.languages, *task.more_languages)
    return ("en",)


def _count(task: Task, source: Source, codes: Iterable[str], workspace: Workspace) -> _Count:
    """Count the rows of a split in the languages that the data has.

    Args:
        task: the declaration.
        source: where the rows of the split are.
        codes: languages to look for.
        workspace: where the data is.
    """
    count = _Count()
    for code in codes:
        tables = _tables(task, source, code, workspace)
        if tables is None:
            continue
        count.languages.append(code)
        for row_set, split in tables.items():
            _add(count, task, row_set, split)
    return count


def _tables(task: Task, source: Source, code: str, workspace: Workspace) -> dict[str, Split] | None:
    """Return the tables of one language by row set; None if the data lacks one."""
    tables = {}
    for row_set, text in (task.sets or {"": ""}).items():
        split = workspace.sources.find(task.fill(source, code, text))
        if split is None:
            return None
        tables[row_set] = split
    return tables


def _add(count: _Count, task: Task, row_set: str, split: Split) -> None:
    """Add the rows of one table to a count."""
    try:
        examples = read(split, task.row_set(row_set), kinds.get(task.kind).check)
    except EmptySplit:
        return
    count.rows = (count.rows or 0) + examples.total
    count.dropped += sum(examples.dropped.values())
