"""JSON files: written the same way every time, and read with one clear error for whatever is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from adaptstilts.errors import AdaptstiltsError, ArtifactError
from adaptstilts.io.files import read_regular

LARGEST = 2**26  # bytes of a file, unless its reader expects something else


def to_text(
    value: Any, indent: int | None = None, *, sort_keys: bool = False, ascii_only: bool = False, allow_nan: bool = False
) -> str:
    """Return a value as JSON text.

    Args:
        value: plain JSON values.
        indent: spaces per level; None for one line.
        sort_keys: order the keys of objects; otherwise they stay in the order of insertion.
        ascii_only: escape every character outside ASCII.
        allow_nan: accept numbers that are not finite, which are not valid JSON.
    """
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ascii_only, allow_nan=allow_nan)


def write_json(
    path: Path,
    value: Any,
    indent: int | None = None,
    *,
    sort_keys: bool = False,
    ascii_only: bool = False,
    allow_nan: bool = False,
    end: str = "",
) -> None:
    """Write a value as a JSON file.

    Args:
        path: the file, in an existing folder.
        value: plain JSON values.
        indent: as in :func:`to_text`, like the options after it.
        sort_keys: see there.
        ascii_only: see there.
        allow_nan: see there.
        end: text after the value, such as a newline.
    """
    text = to_text(value, indent, sort_keys=sort_keys, ascii_only=ascii_only, allow_nan=allow_nan)
    path.write_text(text + end, encoding="utf-8")


def read_object(
    path: Path,
    what: str,
    error: type[AdaptstiltsError] = ArtifactError,
    *,
    max_bytes: int = LARGEST,
    finite: bool = False,
) -> dict[str, Any]:
    """Read a file whose content is one JSON object.

    Args:
        path: the file.
        what: kind of file, for messages, such as ``"adapter config"``.
        error: class of the error that is raised.
        max_bytes: refuse larger files unread, and whatever is not a regular file.
        finite: refuse numbers that are not finite, which are not valid JSON.

    Raises:
        AdaptstiltsError: ``error``, if the file is missing, too large, malformed or not an object.
    """
    value = _read(path, what, error, max_bytes, finite)
    return _as_object(value, path, what, error)


def read_list(path: Path, what: str, *, max_bytes: int = LARGEST) -> list[Any]:
    """Read a file whose content is one JSON list; arguments and errors as of :func:`read_object`."""
    value = _read(path, what, ArtifactError, max_bytes, finite=False)
    if not isinstance(value, list):
        raise ArtifactError(f"{path}: not a readable {what} (expected a JSON list, found {json_type(value)})")
    return value


def parse_object(content: bytes, path: Path, what: str) -> dict[str, Any]:
    """Return the one JSON object that a file contains.

    Args:
        content: of the file.
        path: the file, for messages.
        what: kind of file, for messages.

    Raises:
        ArtifactError: the content is malformed or not an object.
    """
    return _as_object(_parsed(content, path, what, ArtifactError, finite=False), path, what, ArtifactError)


def json_type(value: object) -> str:
    """Return the type of a parsed JSON value, in words for a message."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _read(path: Path, what: str, error: type[AdaptstiltsError], max_bytes: int, finite: bool) -> Any:
    """Return the value in a JSON file; arguments and errors as of :func:`read_object`."""
    try:
        content = read_regular(path, max_bytes)
    except (OSError, ValueError) as problem:
        raise error(f"{path}: not a readable {what} ({problem})") from None
    return _parsed(content, path, what, error, finite)


def _parsed(content: bytes, path: Path, what: str, error: type[AdaptstiltsError], finite: bool) -> Any:
    """Return the value in a JSON file; arguments and errors as of :func:`read_object`."""
    try:
        return _parse(content.decode("utf-8"), finite)
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: not a readable {what} ({problem})") from None


def _as_object(value: Any, path: Path, what: str, error: type[AdaptstiltsError]) -> dict[str, Any]:
    """Return a value if it is an object; arguments and errors as of :func:`read_object`."""
    if not isinstance(value, dict):
        raise error(f"{path}: not a readable {what} (expected a JSON object, found {json_type(value)})")
    return value


def _parse(text: str, finite: bool) -> Any:
    if not finite:
        return json.loads(text)
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value
