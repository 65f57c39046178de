"""JSON files: written the same way every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
) -> None:
    """Write a value as a JSON file; see :func:`to_text` for the options."""
    text = to_text(value, indent, sort_keys=sort_keys, ascii_only=ascii_only, allow_nan=allow_nan)
    path.write_text(text, encoding="utf-8")
