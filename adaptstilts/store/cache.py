"""Cached hidden states: a folder of limited size with one folder for each set of states, which is whole or absent.

A set is written under a temporary name and renamed when it is complete, so two processes may write the same one at the
same time. A reader keeps what it has opened when a set is dropped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import folders

_STATES = "states.bin"

Remark = Callable[[str], None]


class StateCache:
    """A folder of limited size, shared by the phases of a process and by processes.

    Args:
        folder: created by the first write.
        gib: limit of all sets together, in GiB; the sets that were unused longest are dropped first.
        environment: everything but the spec that the bits of a result depend on.
    """

    def __init__(self, folder: Path, gib: float, environment: Mapping[str, object]) -> None:
        self.folder, self.limit, self.environment = folder, int(gib * 2**30), dict(environment)
        self._start = time.time() - 1.0  # file times are coarse
        self._verified: set[str] = set()

    def can_ever_keep(self, size: int) -> bool:
        """Return whether a set of this size is within the limit."""
        return size <= self.limit

    def open(self, key: str, size: int, remark: Remark) -> Path | None:
        """Return the file of a set, or None if it is missing or damaged.

        Args:
            key: what the states depend on.
            size: bytes that the file must have.
            remark: called with the problem of a damaged set, which is dropped.
        """
        folder = self.folder / key
        if not folder.is_dir():
            return None
        try:
            manifest = folders.read_manifest(folder)
            folders.check_files(folder, manifest, hashes=key not in self._verified)
            if manifest["files"].get(_STATES, (0,))[0] != size:
                raise ArtifactError(f"{folder / _STATES}: expected {size} bytes")
            os.utime(folder / _STATES)
        except (ArtifactError, ResourceError, OSError) as error:
            remark(f"cached hidden states are not used: {error}")
            self._drop(folder)
            return None
        self._verified.add(key)
        return folder / _STATES

    def create(self, key: str, size: int, remark: Remark | None) -> StateWriter | None:
        """Start writing a set if there is room; None if there is not.

        Args:
            key: what the states depend on.
            size: bytes of the file.
            remark: called with the reason if there is no room; None to accept that silently, and to drop no set that
                was used since this cache was opened.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._make_room(size, spare_recent=remark is None):
                return StateWriter(self.folder, key, size)
            reason = f"hidden states of {size / 2**30:.2f} GiB are not cached: no room in {self.folder}"
        except OSError as error:
            reason = f"hidden states are not cached: {self.folder}: {error.strerror or error}"
        if remark:
            remark(reason)
        return None

    def _make_room(self, size: int, spare_recent: bool) -> bool:
        """Drop sets until another one fits; False, with nothing dropped, if it cannot fit."""
        if 2 * size > shutil.disk_usage(self.folder).free:  # the results of the phase need room as well
            return False
        usages = sorted(_usage(path) for path in self.folder.iterdir() if path.is_dir())
        excess = sum(usage.size for usage in usages) + size - self.limit
        dropped = []
        for usage in usages:
            if excess > 0 and not (spare_recent and usage.used >= self._start):
                dropped.append(usage.folder)
                excess -= usage.size
        if excess > 0:
            return False
        for folder in dropped:
            self._drop(folder)
        return True

    def _drop(self, folder: Path) -> None:
        """Remove a set; a process that reads it keeps its open file."""
        self._verified.discard(folder.name)
        with contextlib.suppress(OSError):  # the set stays, and is verified again before it is used
            folders.remove(folder)


class _Usage(NamedTuple):
    """When a set was last used (seconds since the epoch), how many bytes it has, and its folder."""

    used: float
    size: int
    folder: Path


def _usage(folder: Path) -> _Usage:
    used, size = 0.0, 0
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            facts = path.stat()
            used, size = max(used, facts.st_mtime), size + facts.st_size
    return _Usage(used, size, folder)


class StateWriter:
    """Writes one set in a private folder until it is complete."""

    def __init__(self, folder: Path, key: str, size: int) -> None:
        self.target, self.size, self.written = folder / key, size, 0
        self._resources = contextlib.ExitStack()
        self._staging = self._resources.enter_context(folders.temporary(folder, f".{key}."))
        self._file = open(self._staging / _STATES, "wb", buffering=0)  # noqa: SIM115 (closed by close)

    def put(self, offset: int, content: bytes) -> None:
        """Write bytes at an offset, every byte of the file once."""
        self._file.seek(offset)
        self.written += len(content)
        while content:
            content = content[self._file.write(content) :]

    def commit(self, fields: Mapping[str, Any]) -> bool:
        """Commit the set if it is complete; return whether it is.

        Args:
            fields: what the manifest says about it.
        """
        if self.written != self.size:
            return False
        self._file.close()
        folders.seal(self._staging, fields)
        folders.publish(self._staging, self.target)
        return True

    def close(self) -> None:
        """Remove everything that was not committed."""
        self._file.close()
        self._resources.close()
