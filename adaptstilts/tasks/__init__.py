"""Task declarations: every module-level ``Task`` of a module in this folder, of a plug-in, or given to :func:`add`."""

from __future__ import annotations

from adaptstilts.registry import Registry
from adaptstilts.tasks import declaration
from adaptstilts.tasks.base import Source, Task

__all__ = ["REGISTRY", "Source", "Task", "add", "get", "known"]


def _name(task: Task) -> str:
    return task.name


REGISTRY: Registry[Task] = Registry(
    "task",
    "adaptstilts.tasks",
    name_of=_name,
    is_member=lambda value: isinstance(value, Task),
    expected="an instance of Task",
    package=__name__,
    hint="`adaptstilts tasks` lists them",
)
known = REGISTRY.known
_checked: dict[str, Task] = {}


def add(task: Task) -> None:
    """Make a task known for the rest of this process.

    Raises:
        ConfigError: its declaration has a mistake; one line for each.
    """
    if not isinstance(task, Task):
        REGISTRY.check(task)  # which raises
    declaration.check(task, known(), complete=False)
    REGISTRY.add(task)


def get(name: str) -> Task:
    """Return the task of a name.

    Raises:
        ConfigError: there is none, or its declaration has a mistake.
    """
    task = REGISTRY.get(name)
    if _checked.get(name) is not task:
        declaration.check(task, known())
        _checked[name] = task
    return task
