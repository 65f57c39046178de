"""Formats of result tables: every ``TableFormat`` of a module in this folder, of a plug-in, or given to :func:`add`."""

from __future__ import annotations

from pathlib import Path

from adaptstilts.errors import ConfigError
from adaptstilts.registry import Registry
from adaptstilts.reports.formats.base import Bold, Document, Table, TableFormat

__all__ = ["DEFAULT", "REGISTRY", "Bold", "Document", "Table", "TableFormat", "add", "for_output", "get", "known"]

DEFAULT = "md"


def _name(table_format: TableFormat) -> str:
    return table_format.name


def _is_format(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, TableFormat)


REGISTRY: Registry[TableFormat] = Registry(
    "format", "adaptstilts.formats", name_of=_name, is_member=_is_format, package=__name__
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known


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
