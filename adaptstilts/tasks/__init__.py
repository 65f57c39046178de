"""Task declarations, found by scanning this package: every module-level ``Task`` of every module here is known."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from adaptstilts.errors import ConfigError
from adaptstilts.tasks.base import Source, Task

__all__ = ["Source", "Task", "add", "get", "known"]

_EXTRA: dict[str, Task] = {}
_FOUND: dict[str, Task] = {}


def known() -> dict[str, Task]:
    """Every task by name: those of this package and those that were added."""
    if not _FOUND:
        for module in pkgutil.iter_modules(__path__):
            for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
                if isinstance(value, Task):
                    _FOUND[value.name] = value
    return {**_FOUND, **_EXTRA}


def add(task: Task) -> None:
    """Make a task from outside the package known for the rest of this process."""
    _EXTRA[task.name] = task


def get(name: str) -> Task:
    """The task of a name.

    Raises:
        ConfigError: no such task; the message suggests the nearest names.
    """
    tasks = known()
    if name in tasks:
        return tasks[name]
    near = difflib.get_close_matches(name, tasks, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`adaptstilts tasks` lists them"
    raise ConfigError(f"unknown task {name!r}; {hint}")
