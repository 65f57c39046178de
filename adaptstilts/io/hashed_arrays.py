"""Files of arrays that are whole or absent: each has the sha256 of its content in its name.

What is saved as ``part.npy`` is on disk as ``part.<sha256>.npy``. Asking for it returns that file only if its content
still has this sha256; a damaged file is removed, so that its caller computes it again.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts.io import hashing
from adaptstilts.io.files import disk_faults, temporary_beside
from adaptstilts.io.folders import failpoint


def save(path: Path, point: str = "", **arrays: Any) -> Path:
    """Write arrays as one file in one step.

    Args:
        path: the name without its sha256; the folder is created if needed.
        point: name of the failpoints ``<point>:before-rename`` and ``<point>:after-rename``.
        arrays: the arrays of an ``.npz`` file by name; a single array named ``_`` becomes an ``.npy`` file.

    Returns:
        The file that was written.

    Raises:
        ResourceError: the disk is full or cannot be written.
    """
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            with open(temporary, "wb") as file:
                if set(arrays) == {"_"}:
                    np.save(file, arrays["_"])
                else:
                    np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            failpoint(f"{point}:before-rename")
            saved = path.with_name(f"{path.stem}.{hashing.of_file(temporary)}{path.suffix}")
            temporary.rename(saved)
            failpoint(f"{point}:after-rename")
    return saved


def find(path: Path) -> Path | None:
    """Return the file that was saved under a name, hashed again; None if there is none that is intact."""
    for saved in sorted(path.parent.glob(f"{path.stem}.*{path.suffix}")):
        with contextlib.suppress(OSError):  # the disk cannot read it
            if hashing.of_file(saved) == saved.suffixes[-2].removeprefix("."):
                return saved
            saved.unlink()
    return None


def sweep(folder: Path) -> None:
    """Remove what killed writers left behind; nobody may be writing there."""
    for path in folder.rglob(".*"):
        path.unlink(missing_ok=True)
