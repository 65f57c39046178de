"""Content digests of values (by canonical JSON) and of files (remembered as long as the file is unchanged)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value: sorted keys, no spaces, no NaN; ``1.0`` and ``1`` are the same number."""
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def of(value: Any) -> str:
    """Return the sha256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def of_file(path: Path) -> str:
    """Return the sha256 of the content of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp:
    """Return what distinguishes versions of a file: size, modification time, time of the last change, and inode.

    The modification time alone can be set to anything, as when an archive is unpacked; the inode and the time of its
    last change reveal that.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class Digests:
    """File hashes remembered in one JSON file, so that large inputs are not read again by every command.

    Only for inputs (data sets, base models); the entries of a store are hashed again in every process.

    Args:
        path: the file; None to remember nothing beyond this process.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._changed = False
        self._known: dict[str, str] = {}
        if path is not None:
            with contextlib.suppress(ArtifactError):  # missing or damaged: the files are hashed again
                self._known = _current(read_object(path, "memory of file hashes"))

    def of_file(self, path: Path) -> str:
        """Return the sha256 of a file, which is read only if its :func:`stamp` is new."""
        real = path.resolve()
        place, before = of(str(real)), stamp(real)
        key = "|".join([place, *map(str, before)])
        if key in self._known:
            return self._known[key]
        digest = of_file(real)
        if stamp(real) == before:
            earlier = [other for other in self._known if other.startswith(f"{place}|")]
            for other in earlier:
                del self._known[other]
            self._known[key] = digest
            self._changed = True
        return digest

    def of_files(self, paths: Sequence[Path], compute: Callable[[Sequence[Path]], str]) -> str:
        """Return a digest of several files, which is computed only if the :func:`stamp` of one of them is new.

        Args:
            paths: the files, in an order that the digest may depend on.
            compute: computes the digest.
        """
        before = [[str(path.resolve()), *stamp(path.resolve())] for path in paths]
        key = f"{of(before)}|0|0|0|0"
        if key not in self._known:
            digest = compute(paths)
            if before != [[str(path.resolve()), *stamp(path.resolve())] for path in paths]:
                return digest
            self._known[key] = digest
            self._changed = True
        return self._known[key]

    def save(self) -> None:
        """Write the remembered hashes in one step; a failure only costs time later."""
        if self.path is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            replace_text(self.path, to_text(self._known, indent=0, ascii_only=True))
            self._changed = False


def _current(known: dict[str, Any]) -> dict[str, str]:
    """Return the remembered hashes with keys of this version; earlier keys had only size and modification time."""
    return {key: digest for key, digest in known.items() if re.fullmatch(r"[0-9a-f]{64}(\|-?\d+){4}", key)}


def check_download(path: Path, memory: Digests) -> None:
    """Compare a downloaded file with the sha256 that the hub gave for it, which is the name of its blob in the cache.

    Args:
        path: the file in the cache, usually a link to its blob.
        memory: remembers the hashes of files that were read before.

    Raises:
        ResourceError: they differ; the file is removed, so that it is downloaded again.
    """
    blob = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", blob.name) and memory.of_file(blob) != blob.name:
        for damaged in (blob, path):
            damaged.unlink(missing_ok=True)
        raise ResourceError(f"{path.name}: the download is damaged and was removed; run the same command again")
