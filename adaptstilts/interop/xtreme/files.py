"""Text and JSON files that others wrote: errors name file and line, what was expected and what is there.

Lines end with a newline, with or without a carriage return before it. Nothing else ends a line; nothing is stripped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError

_BOM = b"\xef\xbb\xbf"
_SHOWN = 60  # characters of a value that a message shows


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file without a byte-order mark.

    Raises:
        DataError: the file cannot be read or is something else.
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


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file; the newline at the end of the last one is optional."""
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file contains.

    Raises:
        DataError: malformed, not an object, or with a repeated key.
    """
    return parse_object(path, read_text(path))


def parse_object(path: Path, text: str, line: int = 0) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        path: the file that it is in, for messages.
        text: the whole file, or one line of it.
        line: number of that line; 0 for the whole file.

    Raises:
        DataError: malformed, not an object, or with a repeated key.
    """

    def check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f"{path}: {repeated!r} occurs twice; keep one")
        return value

    try:
        value = json.loads(text, object_pairs_hook=check_keys)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line or error.lineno}: not JSON ({error.msg}, column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}:{line or 1}: expected a JSON object, found {shorten(value)}")
    return value


def shorten(value: object) -> str:
    """Return a value as a message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
