"""Writing files so that readers see the old content or the new one, never a part."""

from __future__ import annotations

import contextlib
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
        ConfigError: it is one of the inputs, or there is no such folder, or something that is no file is there.
    """
    if not path.absolute().parent.is_dir() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{path}: expected the name of a file in a folder that is there")
    if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise ConfigError(f"{path}: is one of the inputs; give another name")
    return path.resolve()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to be written, which takes its place when the block ends without an error.

    Raises:
        ResourceError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
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
