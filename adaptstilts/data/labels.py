"""Labels of rows: by number, by the name that the file has for a number, or by name, as the task's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adaptstilts.tasks.base import Task


def named(value: Any, names: Sequence[str] | None) -> Any:
    """Return a label by its name, if the file has names for its numbers."""
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value


def mapped(value: Any, task: Task, names: Sequence[str] | None) -> Any:
    """Return a label, or each of a list of labels, as :func:`index_of` does."""
    if isinstance(value, list):
        return [index_of(label, task, names) for label in value]
    return index_of(value, task, names)


def index_of(value: Any, task: Task, names: Sequence[str] | None) -> Any:
    """Return a label as an index into the task's labels; without labels (multiple choice) the number itself.

    Raises:
        ValueError: the label is none of the task's.
    """
    name = named(value, names)
    if isinstance(value, bool | list):
        expected = f"one of {listed(task.labels)}" if task.labels else "one label"
        raise ValueError(f"expected {expected}, found {value!r}")
    if not task.labels:
        return name if task.open_labels else value
    if name in task.labels:
        return task.labels.index(name)
    if not names and isinstance(value, int) and 0 <= value < len(task.labels):
        return value
    raise ValueError(f"expected one of {listed(task.labels)}, found {name!r}")


def listed(labels: Sequence[str]) -> str:
    """Return label names as one text; only the first of many."""
    shown = ", ".join(labels[:20])
    return f"{shown}, ... ({len(labels)} labels)" if len(labels) > 20 else shown
