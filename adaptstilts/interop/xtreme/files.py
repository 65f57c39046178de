"""Reading text and JSON that others wrote: defects are told with file and line, what was expected and what was found.

Lines end with a newline, with or without a carriage return before it; nothing else ends a line or is stripped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError

_BOM = b"\xef\xbb\xbf"


def text_of(path: Path) -> str:
    """The text of a UTF-8 file without a byte-order mark.

    Raises:
        DataError: it cannot be read or is something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if content.startswith(_BOM):
        raise DataError(f"{path}: begins with a byte-order mark; save it as UTF-8 without one")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start}: expected UTF-8, found 0x{content[error.start]:02x}") from None


def lines_of(path: Path) -> list[str]:
    """The lines of a text file; a newline at the end of the last one is optional."""
    lines = text_of(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def json_of(path: Path, text: str | None = None, line: int = 0) -> dict[str, Any]:
    """A JSON object: of a file, or of one line of it.

    Raises:
        DataError: malformed, not an object, or the same key twice in one object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise DataError(f"{path}: {next(k for k in keys if keys.count(k) > 1)!r} is there twice; keep one")
        return found

    try:
        found = json.loads(text_of(path) if text is None else text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line or error.lineno}: not JSON ({error.msg}, column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}:{line or 1}: expected a JSON object, found {brief(found)}")
    return found


def brief(value: object) -> str:
    """A value as it is told in an error: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
