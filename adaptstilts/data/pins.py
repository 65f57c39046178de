"""Pins: a record of every split at its first load, so that other bytes under the same name are noticed."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError
from adaptstilts.io.files import disk_faults, replace_text
from adaptstilts.io.json import read_object, to_text
from adaptstilts.tasks.base import Source

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Pins:
    """A folder with one small JSON file for each split of each repository.

    A pin has the ``sha256`` of the split's files in order; for a split of the hub also the commit and the file names.

    Args:
        folder: the folder; None to record nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, source: Source) -> Path | None:
        """Return the file that pins a source; it depends neither on mirrors nor on ``where``."""
        if self.folder is None:
            return None
        name = f"{source.config}--{source.split}"
        name += f"--{source.revision}" if source.revision else ""
        name += f"--{source.format}" if source.format != "parquet" else ""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        return self.folder / source.repo.replace("/", "--") / f"{safe}.json"

    def get(self, source: Source) -> dict[str, Any]:
        """Return the pin of a source; empty if there is none.

        Raises:
            DataError: the file is damaged, so a change of the content would go unnoticed.
        """
        path = self.path(source)
        if path is None or not path.is_file():
            return {}
        try:
            pin = read_object(path, f"pin of {source}", DataError)
        except DataError as error:
            raise DataError(f"{error}; delete it to pin anew") from None
        if not _is_pin(pin):
            raise DataError(
                f"{path}: not a readable pin of {source} (expected sha256 or revision and files); delete it to pin anew"
            )
        return pin

    def check(self, source: Source, hashes: Sequence[str], origin: Mapping[str, Any]) -> None:
        """Compare a load with the first one, or record it as the first.

        Args:
            source: the loaded source.
            hashes: sha256 of its files, in order.
            origin: for files of the hub, their commit and names.

        Raises:
            DataError: the content has changed.
        """
        path, pinned = self.path(source), self.get(source)
        if path is None:
            return
        if pinned.get("sha256", list(hashes)) != list(hashes):
            raise DataError(
                f"{source}: the content is not what it was when it was first loaded (sha256"
                f" {_short(pinned['sha256'])}, now {_short(hashes)}); restore it, or delete {path} to"
                f" accept the new data"
            )
        pin = {**origin, **pinned, "sha256": list(hashes)}
        if pin != pinned:
            _record(path, pin)


def _record(path: Path, pin: Mapping[str, Any]) -> None:
    """Write a pin; nothing is recorded if the store is only readable, as a shared one may be.

    Raises:
        ResourceError: the disk is full or cannot be written.
    """
    with disk_faults(path):
        try:
            replace_text(path, to_text(pin, ascii_only=True), durable=True)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise


def _is_pin(value: Any) -> bool:
    if not isinstance(value, dict) or not {"sha256", "revision"} & set(value):
        return False
    hashes, names = value.get("sha256", []), value.get("files", [])
    if not isinstance(hashes, list) or not isinstance(names, list):
        return False
    pairs = all(isinstance(name, list) and len(name) == 2 for name in names)
    return pairs and all(isinstance(each, str) for each in hashes)


def _short(hashes: Sequence[str]) -> str:
    return f"{hashes[0][:12]}..." if hashes else "no files"
