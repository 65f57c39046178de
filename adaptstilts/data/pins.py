"""Pins: what every split was at its first load, so that other bytes under the same name are noticed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text
from adaptstilts.tasks.base import Source


class Pins:
    """One small JSON file for each split of each repository: ``sha256`` of its files, in order; for splits of the hub
    also the commit and the names of the files.

    Args:
        folder: where they are; None to record nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, source: Source) -> Path | None:
        """The file that pins a source (without its mirrors, and whatever rows of it are wanted)."""
        if self.folder is None:
            return None
        name = f"{source.config}--{source.split}"
        name += f"--{source.revision}" if source.revision else ""
        name += f"--{source.format}" if source.format != "parquet" else ""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        return self.folder / source.repo.replace("/", "--") / f"{safe}.json"

    def get(self, source: Source) -> dict[str, Any]:
        """What is recorded; empty when nothing is.

        Raises:
            DataError: the file is damaged, so that nobody can tell whether the content changed.
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
        """Compare with the first load, or record this one as it.

        Args:
            source: what was loaded.
            hashes: sha256 of its files, in order.
            origin: commit and names of the files, where they are of the hub.

        Raises:
            DataError: the content is another one.
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
        now = {**origin, **pinned, "sha256": list(hashes)}
        if now != pinned:
            replace_text(path, to_text(now, ascii_only=True))


def _is_pin(held: Any) -> bool:
    if not isinstance(held, dict) or not {"sha256", "revision"} & set(held):
        return False
    hashes, names = held.get("sha256", []), held.get("files", [])
    pairs = isinstance(names, list) and all(isinstance(name, list) and len(name) == 2 for name in names)
    return isinstance(hashes, list) and all(isinstance(each, str) for each in hashes) and pairs


def _short(hashes: Sequence[str]) -> str:
    return f"{hashes[0][:12]}..." if hashes else "of no files"
