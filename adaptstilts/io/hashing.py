"""Content digests: canonical JSON, and file hashes remembered by size and modification time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from adaptstilts.errors import ResourceError
from adaptstilts.io.files import replace_text


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, no NaN; ``1.0`` and ``1`` are the same number."""
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def of(value: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def of_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def check_download(path: Path, memory: Digests) -> None:
    """Compare a file of the hub's cache with the sha256 that the hub gave for it (the name of its blob).

    Raises:
        ResourceError: they differ: the file is removed, so that it is fetched again.
    """
    blob = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", blob.name) and memory.of_file(blob) != blob.name:
        for wrong in (blob, path):
            wrong.unlink(missing_ok=True)
        raise ResourceError(f"{path.name}: the download is damaged and was removed; run the same command again")


class Digests:
    """File hashes remembered in one JSON file, so that large inputs are read once and not at every command.

    Only for inputs (data sets, base models). Entries of a store are hashed again in every process.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, str] = {}
        if path is not None and path.is_file():
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
                self._known = held if isinstance(held, dict) else {}
            except (OSError, ValueError, RecursionError):
                self._known = {}
        self._changed = False

    def of_file(self, path: Path) -> str:
        """sha256 of a file, read only when its size or modification time is new."""
        real = path.resolve()
        stat = real.stat()
        key = f"{real}|{stat.st_size}|{stat.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = of_file(real)
            self._changed = True
        return self._known[key]

    def save(self) -> None:
        """Write the memory out, replacing the file in one step; a failure is of no consequence."""
        if self.path is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            replace_text(self.path, json.dumps(self._known, indent=0))
            self._changed = False
