"""Files that are replaced as a whole: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from adaptstilts.errors import ConfigError, ResourceError


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a regular file that is not larger than expected; a pipe or a device might never end.

    Args:
        path: the file; links are followed.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, or not a file.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
        raise ValueError("expected a regular file, found a device, a pipe or a socket")
    if facts.st_size > most:
        raise ValueError(f"larger than {most} bytes")
    return path.read_bytes()


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield an unused path in the folder of ``path``; remove what is left there at the end."""
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a text file in one step, and create its folder if needed.

    Args:
        path: the file.
        text: its content.
        durable: let the disk have it before it gets its name, so that it is not empty after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that takes the place of ``path`` when the block ends without an error.

    Raises:
        ResourceError: the file cannot be written.
    """
    with temporary_beside(path) as temporary:
        with disk_faults(path), open(temporary, "w", encoding="utf-8", newline="\n") as file:
            yield file
        with disk_faults(path):
            temporary.replace(path)


def resolve_output(path: Path, *inputs: Path) -> Path:
    """Resolve an output path and check that it can be written, before any work starts.

    Args:
        path: the file that a command is to write.
        inputs: files that the command reads, which it must not overwrite.

    Returns:
        The path with all links followed.

    Raises:
        ConfigError: the path is an input, not a regular file, in a folder that does not exist, or not writable.
    """
    try:
        resolved = path.resolve()
        if not resolved.parent.is_dir() or _is_special(path) or _is_special(resolved):
            raise ConfigError(f"{path}: expected a file name in an existing folder")
        if any(_is_same(resolved, other) for other in inputs):
            raise ConfigError(f"{path}: is one of the inputs; choose another name for the output")
        if not os.access(resolved.parent, os.W_OK):
            raise ConfigError(f"{path}: the folder is not writable")
    except (OSError, RuntimeError) as error:  # the name is too long, a folder is unreadable, or links form a circle
        raise ConfigError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return resolved


def _is_special(path: Path) -> bool:
    """Return whether something other than a regular file is at a path."""
    return path.exists() and not path.is_file()


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def free_bytes(path: Path) -> int | None:
    """Return the free disk space at a path or at its nearest existing parent; None without a disk (/proc)."""
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    usage = shutil.disk_usage(existing)
    return usage.free if usage.total else None


def is_folder(path: Path) -> bool:
    """Return whether a folder is at a path; False for a path that no file can have, such as one that is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Report errors of the file system within the block as one clear line about ``path``.

    Raises:
        ResourceError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        free = None
        with contextlib.suppress(OSError):
            free = free_bytes(path)
        space = "" if free is None else f" ({free // 2**20} MiB free)"
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}{space}") from None
