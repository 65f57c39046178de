"""Parts of a model that are converted once: weights from pickles, and tokenizers from their earlier files.

What was converted lies in a cache, in a folder whose name is the digest of all that it was converted from, and is
verified by its own digests. Without a cache it lies in a temporary folder as long as the process runs.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from adaptstilts.errors import ArtifactError
from adaptstilts.io import folders, hashing
from adaptstilts.io.files import disk_faults

_VERSION = 1


def prepare(
    sources: Sequence[Path],
    write: Callable[[Path], None],
    cache: Path | None,
    memory: hashing.Digests,
) -> Path:
    """Return a folder with converted files, from the cache or by converting them.

    Args:
        sources: all files that are read.
        write: writes the converted files to a folder.
        cache: the cache; None for a temporary one.
        memory: digests of files that were hashed before.

    Raises:
        ArtifactError: a source cannot be converted.
        ResourceError: the cache cannot be written.
    """
    files = {path.name: memory.of_file(path) for path in sources}
    key = hashing.of({"prepared": _VERSION, "files": files})
    target = (cache or Path(_temporary().name)) / key
    if not _is_valid(target, memory):
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.remove(target)
            with folders.temporary(target.parent, f".{key[:12]}.") as staging:
                write(staging)
                folders.seal(staging, {"sources": files})
                folders.publish(staging, target)
    return target


def _is_valid(folder: Path, memory: hashing.Digests) -> bool:
    """Return whether a folder has exactly the files that its manifest says."""
    try:
        manifest = folders.read_manifest(folder)
        folders.check_files(folder, manifest, hashes=False)
    except ArtifactError:
        return False
    return all(memory.of_file(folder / name) == digest for name, (_, digest) in manifest["files"].items())


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="adaptstilts-")
