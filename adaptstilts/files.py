"""Writing small files so that readers see the old content or the new one, never a part."""

from __future__ import annotations

import uuid
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a text file through a temporary one beside it and a rename; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
