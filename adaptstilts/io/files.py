"""Writing files so that readers see the old content or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from adaptstilts.errors import ConfigError, ResourceError


def replace_text(path: Path, text: str) -> None:
    """Write a text file through a temporary one beside it and a rename; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def destination(path: Path, *inputs: Path) -> Path:
    """Where a file goes that a command is to write, links followed; asked before anything is spent.

    Raises:
        ConfigError: it is one of the inputs, there is no such folder or it cannot be written to, or something that is
            no file is there.
    """
    try:
        place = path.resolve()
        if not place.parent.is_dir() or any(at.exists() and not at.is_file() for at in (path, place)):
            raise ConfigError(f"{path}: expected the name of a file in a folder that is there")
        if any(place.exists() and other.exists() and place.samefile(other) for other in inputs):
            raise ConfigError(f"{path}: is one of the inputs; give another name")
        if not os.access(place.parent, os.W_OK):
            raise ConfigError(f"{path}: expected a folder that can be written to")
    except (OSError, RuntimeError) as error:  # too long a name, a folder that cannot be looked into, links in a circle
        raise ConfigError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return place


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to be written, which takes its place when the block ends without an error.

    Raises:
        ResourceError: it cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with disk_faults(path), open(temporary, "w", encoding="utf-8", newline="\n") as file:
            yield file
        with disk_faults(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Faults of the disk as one clear line.

    Raises:
        ResourceError: instead of an error of the system.
    """
    try:
        yield
    except OSError as error:
        free = ""
        with contextlib.suppress(OSError):
            at = next(p for p in (path, *path.absolute().parents) if p.exists())
            free = f" ({shutil.disk_usage(at).free // 2**20} MiB free)"
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}{free}") from None
