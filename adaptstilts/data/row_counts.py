"""Compare the numbers of rows of a split with the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from adaptstilts.io.wording import counted, joined
from adaptstilts.tasks.base import Task


@dataclass(frozen=True)
class RowCount:
    """The rows of one split.

    Attributes:
        task: the task whose rows they are.
        split: ``train``, ``dev`` or ``test``.
        language: code of their language; empty for training rows.
        usable: examples in the split.
        left_out: rows that give no example, for lack of a gold label for instance.
        published: rows of the published split, as the task declares it; 0 if it does not.
    """

    task: str
    split: str
    language: str
    usable: int
    left_out: int
    published: int

    @property
    def differs(self) -> bool:
        """Return whether the published number is known, and is neither that of all rows nor of the usable ones."""
        return self.published not in (0, self.usable, self.usable + self.left_out)

    def json(self) -> dict[str, str | int | None]:
        """Return plain JSON values; null for a number that is not declared."""
        return {**asdict(self), "published": self.published or None}


def published_rows(task: Task, split: str) -> int:
    """Return how many rows of a split were published, in each language; 0 if the task does not declare it."""
    return {"train": task.train_rows, "test": task.test_rows}.get(split, 0)


def sentences(counts: Iterable[RowCount]) -> Iterator[str]:
    """Yield a sentence for every split with another number of rows than published; equal languages share one."""
    languages: dict[tuple[str, str, int, int], dict[str, None]] = {}
    for count in counts:
        if count.differs:
            alike = count.task, count.split, count.usable + count.left_out, count.published
            languages.setdefault(alike, {})[count.language] = None
    for (task, split, rows, published), codes in languages.items():
        named = [code for code in codes if code]
        where = f" of {joined(named)}" if named else ""
        each = " in each" if len(named) > 1 else ""
        kind_of_row = "training row" if split == "train" else f"{split} row"
        yield f"{task}: {counted(rows, kind_of_row)}{where} in the data, {published:,} published{each}"
