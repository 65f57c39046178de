"""Loggers by name: every ``Logger`` class in a module of this folder, in a plug-in, or passed to :func:`add`."""

from __future__ import annotations

from collections.abc import Iterable

from adaptstilts.registry import Registry
from adaptstilts.runtime.loggers.base import Ending, LoggedPhase, Logger

__all__ = ["REGISTRY", "Ending", "LoggedPhase", "Logger", "add", "get", "known", "select"]


def _name(logger: type[Logger]) -> str:
    return logger.name


def _is_logger(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Logger) and value is not Logger


REGISTRY: Registry[type[Logger]] = Registry(
    "logger", "adaptstilts.loggers", name_of=_name, is_member=_is_logger, package=__name__
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known


def select(loggers: Iterable[str | Logger]) -> list[Logger]:
    """Return the loggers of a run: names are looked up and created without arguments, instances are taken as they are.

    Raises:
        ConfigError: no logger has that name.
    """
    return [get(logger)() if isinstance(logger, str) else logger for logger in loggers]
