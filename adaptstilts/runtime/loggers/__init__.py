"""Loggers by name: every ``Logger`` class in a module of this folder, in a plug-in, or passed to :func:`add`."""

from __future__ import annotations

from collections.abc import Iterable

from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.registry import Registry
from adaptstilts.runtime.loggers.base import Ending, LoggedPhase, Logger

__all__ = ["REGISTRY", "Ending", "LoggedPhase", "Logger", "add", "get", "known", "select"]


def _name(logger: type[Logger]) -> str:
    return logger.name


def _is_logger(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Logger) and value is not Logger


REGISTRY: Registry[type[Logger]] = Registry(
    "logger",
    "adaptstilts.loggers",
    name_of=_name,
    is_member=_is_logger,
    expected="a class derived from Logger",
    package=__name__,
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known


def select(loggers: Iterable[str | Logger]) -> list[Logger]:
    """Return the loggers of a run: names are looked up and created without arguments, instances are taken as they are.

    Raises:
        ConfigError: no logger has that name, one cannot be created, or something is no logger.
    """
    return [_created(logger) if isinstance(logger, str) else _checked(logger) for logger in loggers]


def _created(name: str) -> Logger:
    cls = get(name)
    try:
        return cls()
    except AdaptstiltsError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"logger {name}: cannot be created ({reason})") from error


def _checked(logger: Logger) -> Logger:
    if not isinstance(logger, Logger):
        raise ConfigError(
            f"expected the name of a logger, or an object of a class derived from Logger, found {logger!r}"
        )
    return logger
