"""Text and JSON files that others wrote: errors name file and line, what was expected and what was found."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.leniency import Leniencies

_BOM = "\ufeff"
_BOM_PROBLEM = "begins with a byte-order mark; save it as UTF-8 without one"
_SHOWN = 60  # characters of a value that a message shows


def check_inside(path: Path, folder: Path) -> None:
    """Raise if a file is a link, or lies under one, that leads out of a folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path}: a link out of {folder}; copy the file to its place")


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with a byte-order mark if there is one.

    Raises:
        DataError: the file cannot be read or is something else.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DataError(f"{path}: expected a regular file, found a device, a pipe or a socket")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start}: expected UTF-8, found 0x{content[error.start]:02x}") from None


def read_lines(path: Path, leniencies: Leniencies) -> list[str]:
    """Return the lines of a text file without blanks around them; the newline after the last one is optional.

    Args:
        path: the file. Lines end with a newline, with or without a carriage return before it.
        leniencies: where other input is accepted: a byte-order mark, carriage returns alone, blanks.
    """
    text = read_text(path).replace("\r\n", "\n")
    if text.startswith(_BOM):
        leniencies.accept("byte-order mark", path, None, _BOM_PROBLEM)
    before, carriage_return, _ = text.partition("\r")
    if carriage_return:
        line = before.count("\n") + 1
        leniencies.accept("line end", path, line, "expected a newline after the line, found a carriage return")
    lines = _split_lines(text.replace("\r", "\n"))
    for number, line_text in enumerate(lines, start=1):
        if line_text != line_text.strip():
            leniencies.accept("blanks", path, number, f"expected no blanks around the line, found {shorten(line_text)}")
    return [line.strip() for line in lines]


def _split_lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def read_json_lines(path: Path, leniencies: Leniencies) -> list[dict[str, Any]]:
    """Return the JSON objects of a file with one per line.

    Raises:
        DataError: a line is something else.
    """
    lines = _split_lines(_json_text(path).replace("\r\n", "\n").replace("\r", "\n"))
    return [parse_object(path, line, leniencies, number) for number, line in enumerate(lines, start=1)]


def read_object(path: Path, leniencies: Leniencies) -> dict[str, Any]:
    """Return the JSON object that a file contains, or the one under ``data`` in it.

    Raises:
        DataError: malformed or not an object.
    """
    content = parse_object(path, _json_text(path), leniencies)
    inner = content.get("data")
    if isinstance(inner, dict):
        leniencies.accept("data key", path, None, "expected ids at the top level, found 'data'")
        return inner
    return content


def read_json(path: Path, leniencies: Leniencies) -> Any:
    """Return the JSON value that a file contains."""
    return _parse(path, _json_text(path), leniencies, 0)


def _json_text(path: Path) -> str:
    text = read_text(path)
    if text.startswith(_BOM):
        raise DataError(f"{path}: {_BOM_PROBLEM}")
    return text


def parse_object(path: Path, text: str, leniencies: Leniencies, line: int = 0) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        path: the file that it is in, for messages.
        text: the whole file, or one line of it.
        leniencies: whether a key may occur twice.
        line: number of that line; 0 for the whole file.

    Raises:
        DataError: malformed or not an object.
    """
    value = _parse(path, text, leniencies, line)
    if not isinstance(value, dict):
        raise DataError(f"{path}:{line or 1}: expected a JSON object, found {shorten(value)}")
    return value


def _parse(path: Path, text: str, leniencies: Leniencies, line: int) -> Any:
    def check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated = next(key for key in keys if keys.count(key) > 1)
            problem = f"{repeated!r} occurs twice; keep one"
            leniencies.accept("repeated key", path, line or None, problem, len(pairs) - len(value))
        return value

    try:
        return json.loads(text, object_pairs_hook=check_keys)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line or error.lineno}: not JSON ({error.msg}, column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None


def shorten(value: object) -> str:
    """Return a value as a message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
