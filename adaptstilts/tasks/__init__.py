"""Task declarations: every module-level ``Task`` of a module in this folder, of a plug-in, or given to :func:`add`."""

from __future__ import annotations

from adaptstilts.registry import Registry
from adaptstilts.tasks.base import Source, Task

__all__ = ["REGISTRY", "Source", "Task", "add", "get", "known"]


def _name(task: Task) -> str:
    return task.name


REGISTRY: Registry[Task] = Registry(
    "task",
    "adaptstilts.tasks",
    name_of=_name,
    is_member=lambda value: isinstance(value, Task),
    package=__name__,
    hint="`adaptstilts tasks` lists them",
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known
