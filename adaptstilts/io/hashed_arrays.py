"""Files of arrays that are whole or absent: each has the sha256 of its content in its name.

A reader asks for ``part.npy`` and is given ``part.<sha256>.npy``, if it is there and still is what it was. Anything
else is removed, so that it is made again.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts.io import hashing
from adaptstilts.io.files import disk_faults
from adaptstilts.io.folders import failpoint


def save(path: Path, point: str = "", **arrays: Any) -> Path:
    """Write arrays (``.npz``, or one nameless array as ``.npy``) beside their place and rename them there.

    Args:
        path: the name without its sha256; the folder is made.
        point: name of the failpoints ``<point>:before-rename`` and ``<point>:after-rename``.

    Returns:
        The file.

    Raises:
        ResourceError: the disk has no room, or is not to be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                np.save(file, arrays["_"]) if set(arrays) == {"_"} else np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            failpoint(f"{point}:before-rename")
            whole = path.with_name(f"{path.stem}.{hashing.of_file(temporary)}{path.suffix}")
            temporary.rename(whole)
            failpoint(f"{point}:after-rename")
        finally:
            temporary.unlink(missing_ok=True)
    return whole


def held(path: Path) -> Path | None:
    """The file that was saved under a name, hashed again; None where there is none, or only a damaged one."""
    for found in sorted(path.parent.glob(f"{path.stem}.*{path.suffix}")):
        with contextlib.suppress(OSError):  # of a disk that cannot read it
            if hashing.of_file(found) == found.suffixes[-2].removeprefix("."):
                return found
            found.unlink()
    return None


def sweep(folder: Path) -> None:
    """Remove what writers left behind that were killed; call it where nobody else writes."""
    for path in folder.rglob(".*"):
        path.unlink(missing_ok=True)
