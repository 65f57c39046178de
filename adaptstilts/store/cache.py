"""The files of kept hidden states: a folder of limited size with one folder for each set, whole or absent.

A set is written in a folder of its own that is renamed once it is whole, so two processes that write the same one at
the same time do no harm, and a reader keeps what it has opened when a set is dropped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io import folders

_STATES = "states.bin"

Remark = Callable[[str], None]


class TrunkCache:
    """Sets of states in a folder of limited size, shared by the phases of a process and by processes.

    Args:
        folder: made by the first write.
        gib: how much all sets may take together; those not used for longest are dropped first.
        environment: what the bits of a result depend on beside the spec.
    """

    def __init__(self, folder: Path, gib: float, environment: Mapping[str, object]) -> None:
        self.folder, self.limit, self.environment = folder, int(gib * 2**30), dict(environment)
        self._began = time.time() - 1.0  # clocks of files are coarse
        self._verified: set[str] = set()

    def open(self, key: str, size: int, remark: Remark) -> Path | None:
        """The file of a set, if it is there and whole."""
        folder = self.folder / key
        if not folder.is_dir():
            return None
        try:
            manifest = folders.read_manifest(folder)
            folders.check_files(folder, manifest, hashes=key not in self._verified)
            if manifest["files"].get(_STATES, (0,))[0] != size:
                raise ArtifactError(f"{folder / _STATES}: expected {size} bytes")
            os.utime(folder / _STATES)
        except (ArtifactError, OSError) as error:
            remark(f"kept states passed over: {error}")
            self._drop(folder)
            return None
        self._verified.add(key)
        return folder / _STATES

    def create(self, key: str, size: int, remark: Remark | None) -> Writing | None:
        """A new set to be written, if it fits; None for ``remark`` spares every set that was used since this began."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._room(size, spare=remark is None):
                if remark:
                    remark(f"hidden states of {size / 2**30:.2f} GiB are not kept: no room in {self.folder}")
                return None
            return Writing(self.folder, key, size)
        except OSError as error:
            if remark:
                remark(f"hidden states are not kept: {self.folder}: {error.strerror or error}")
            return None

    def _room(self, size: int, spare: bool) -> bool:
        """Make room by dropping sets; False, and nothing dropped, where that does not suffice."""
        if 2 * size > shutil.disk_usage(self.folder).free:  # what is computed must find room as well
            return False
        held = sorted(_use(path) for path in self.folder.iterdir() if path.is_dir())
        excess = sum(own for _, own, _ in held) + size - self.limit
        dropped = []
        for used, own, path in held:
            if excess > 0 and not (spare and used >= self._began):
                dropped.append(path)
                excess -= own
        if excess > 0:
            return False
        for path in dropped:
            self._drop(path)
        return True

    def _drop(self, folder: Path) -> None:
        """Remove a set in one step; who reads it already keeps what is open."""
        self._verified.discard(folder.name)
        with contextlib.suppress(OSError):
            folder = folder.rename(self.folder / f".dropped.{uuid.uuid4().hex}")
        shutil.rmtree(folder, ignore_errors=True)


def _use(folder: Path) -> tuple[float, int, Path]:
    """When a set was last used, how many bytes it has, and where."""
    used, size = 0.0, 0
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            used, size = max(used, stat.st_mtime), size + stat.st_size
    return used, size, folder


class Writing:
    """A set that is being written, in a folder of its own until it is whole."""

    def __init__(self, folder: Path, key: str, size: int) -> None:
        self.target, self.size, self.written = folder / key, size, 0
        self.staging = folder / f".{key}.{uuid.uuid4().hex}"
        self.staging.mkdir()
        self._file = open(self.staging / _STATES, "wb", buffering=0)  # noqa: SIM115 (closed by close)

    def put(self, offset: int, content: bytes) -> None:
        """Write bytes at an offset, each once."""
        self._file.seek(offset)
        self.written += len(content)
        while content:
            content = content[self._file.write(content) :]

    def commit(self, fields: Mapping[str, Any]) -> bool:
        """Make the set visible, if all of it was written."""
        if self.written != self.size:
            return False
        self._file.close()
        folders.seal(self.staging, dict(fields))
        folders.publish(self.staging, self.target)
        return True

    def close(self) -> None:
        """Leave nothing behind but what was made visible."""
        self._file.close()
        shutil.rmtree(self.staging, ignore_errors=True)
