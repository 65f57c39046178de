"""Formats of result tables: every ``TableFormat`` of a module in this folder, of a plug-in, or given to :func:`add`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.registry import Registry
from adaptstilts.reports.formats.base import Bold, Document, Table, TableFormat

__all__ = [
    "DEFAULT",
    "REGISTRY",
    "Bold",
    "Document",
    "Table",
    "TableFormat",
    "add",
    "for_output",
    "get",
    "known",
    "rendered",
]

DEFAULT = "md"


def _name(table_format: TableFormat) -> str:
    return table_format.name


def _is_format(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, TableFormat)


def _problems(table_format: TableFormat) -> Iterator[str]:
    """Yield what is wrong with the endings of a format."""
    endings = table_format.endings
    if not isinstance(endings, tuple) or not all(isinstance(one, str) and one.startswith(".") for one in endings):
        yield f"endings: expected a tuple of endings with their dots, such as ('.html',), found {endings!r}"


REGISTRY: Registry[TableFormat] = Registry(
    "format",
    "adaptstilts.formats",
    name_of=_name,
    is_member=_is_format,
    problems=_problems,
    expected="an object with name, endings and render",
    package=__name__,
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known


def rendered(table_format: TableFormat, document: Document) -> str:
    """Return a document as text.

    Args:
        table_format: what renders it, perhaps somebody else's.
        document: tables and values.

    Raises:
        ConfigError: the format failed, or returned something else.
    """
    try:
        text = table_format.render(document)
    except AdaptstiltsError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"format {table_format.name}: cannot render the tables ({reason})") from error
    if not isinstance(text, str):
        raise ConfigError(f"format {table_format.name}: expected text from render, found {type(text).__name__}")
    return text


def for_output(name: str | None, path: Path | None = None) -> TableFormat:
    """Return the format that a command writes.

    Args:
        name: the format that the user named; None to go by the file's ending.
        path: the file to write; None for the terminal, which gets Markdown, as does a file without an ending.

    Raises:
        ConfigError: no format has this name, or this ending.
    """
    ending = path.suffix.lower() if path else ""
    if name or not ending:
        return get(name or DEFAULT)
    by_ending: dict[str, TableFormat] = {}
    for table_format in known().values():
        by_ending |= dict.fromkeys(table_format.endings, table_format)
    if ending in by_ending:
        return by_ending[ending]
    endings = ", ".join(sorted(by_ending))
    raise ConfigError(f"{path}: no format has the ending {ending}; use one of {endings}, or give --format")
