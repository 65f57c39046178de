"""What the data at hand has of every task: rows as they are loaded, languages, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import EmptySplit, read
from adaptstilts.data.sources import Split
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class Holding:
    """One task.

    Attributes:
        task: its declaration.
        rows: ``train``, ``dev`` and ``test`` -> usable rows, over all languages; None where the data does not have it,
            and no entry where the task has no such split.
        languages: of the test set, that the data has.
        dropped: rows that were left out, over all splits.
    """

    task: Task
    rows: dict[str, int | None]
    languages: tuple[str, ...]
    dropped: int


@dataclass
class _Count:
    rows: int | None = None
    dropped: int = 0
    codes: list[str] = field(default_factory=list)


def take(workspace: Workspace, names: Iterable[str] = ()) -> Iterator[Holding]:
    """What the data has of every task, or of those named.

    Raises:
        DataError: rows that are there are unusable.
    """
    for name in names or sorted(tasks.known()):
        task = tasks.get(name)
        counts = {part: _count(task, part, workspace) for part in ("train", "dev", "test")}
        yield Holding(
            task,
            {part: count.rows for part, count in counts.items() if count is not None},
            tuple(counts["test"].codes) if counts["test"] else (),
            sum(count.dropped for count in counts.values() if count is not None),
        )


def _count(task: Task, part: str, workspace: Workspace) -> _Count | None:
    source: Source | None = getattr(task, part)
    if source is None:
        return None
    found = _Count()
    own = part == "test" or task.sets  # dev is read in English, but where it gives a threshold for each language
    codes = (*task.languages, *task.more_languages) if own else ("en",)
    for code in codes:
        places = _places(task, source, code)
        splits = {name: workspace.sources.find(place) for name, place in places.items()}
        if any(split is None for split in splits.values()):
            continue
        found.codes.append(code)
        for name, split in splits.items():
            assert split is not None  # noqa: S101
            _add(found, task, name, split)
    return found


def _places(task: Task, source: Source, code: str) -> dict[str, Source]:
    """The tables of one language, by row set."""
    return {name: task.fill(source, code, text) for name, text in (task.sets or {"": ""}).items()}


def _add(count: _Count, task: Task, row_set: str, split: Split) -> None:
    kind = kinds.get(task.kind)
    try:
        examples = read(split, task.row_set(row_set), kind.check)
    except EmptySplit:
        return
    count.rows = (count.rows or 0) + examples.total
    count.dropped += sum(examples.dropped.values())
