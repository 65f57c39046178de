"""Folders that are whole or absent: written under a temporary name, and renamed in one step when complete.

A *sealed* folder also has a manifest with the size and sha256 of every file, which is written last. Files get the
permissions that any new file would have (some libraries write weights that only their owner can read).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.io.files import disk_faults, read_regular, sync
from adaptstilts.io.json import LARGEST, parse_object, write_json

MANIFEST = "manifest.json"


def failpoint(name: str) -> None:
    """Kill this process if the environment names this point; tests reach the middle of a commit this way."""
    if os.environ.get("ADAPTSTILTS_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def temporary(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a private folder, and remove whatever is left of it at the end.

    Args:
        parent: folder to create it in; created if needed.
        prefix: beginning of its name.
    """
    folder = parent / f"{prefix}{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def publishing(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a private folder that becomes ``target`` when the block ends without an error; otherwise it is removed.

    Args:
        target: the folder to write; may exist if it is empty.
        replace: take the place of a folder that is not empty.

    Raises:
        ResourceError: the disk is full or cannot be written, or ``target`` has files and may not be replaced.
    """
    target = Path(os.path.abspath(target))
    with disk_faults(target), temporary(target.parent, f".{target.name}.") as staging:
        yield staging
        set_default_permissions(staging)
        if replace:
            remove(target)
        staging.rename(target)


def remove(folder: Path) -> None:
    """Remove a folder such that its name is free in one step, if it exists; open files in it stay readable.

    Raises:
        OSError: the folder cannot be removed; it is unchanged.
    """
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def seal(folder: Path, fields: Mapping[str, Any]) -> None:
    """Sync and hash every file of a folder, then write its manifest.

    Args:
        folder: the folder; nobody else may write to it.
        fields: further fields of the manifest; plain JSON values.
    """
    set_default_permissions(folder)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            sync(path)
            files[path.relative_to(folder).as_posix()] = [path.stat().st_size, hashing.of_file(path)]
    failpoint("commit:before-manifest")
    write_json(folder / MANIFEST, {**fields, "files": files}, indent=1)
    sync(folder / MANIFEST)
    sync(folder)
    failpoint("commit:after-manifest")


def publish(folder: Path, target: Path, point: str = "commit") -> None:
    """Rename a sealed folder into place; if the target exists already, the target stays.

    Args:
        folder: the sealed folder.
        target: its final place, in an existing folder.
        point: name of the failpoints ``<point>:before-rename`` and ``<point>:after-rename``.
    """
    failpoint(f"{point}:before-rename")
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    sync(target.parent)
    failpoint(f"{point}:after-rename")


def set_default_permissions(folder: Path) -> None:
    """Give a folder and everything in it the permissions of newly created files and folders."""
    probe = folder / f".{uuid.uuid4().hex}"
    probe.mkdir()
    default = stat.S_IMODE(probe.stat().st_mode) & 0o777
    probe.rmdir()
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = default if path.is_dir() else default & 0o666
        if mode & 0o777 != expected:
            with contextlib.suppress(PermissionError):  # some file systems have no permissions
                path.chmod(mode & ~0o777 | expected)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder.

    Raises:
        ArtifactError: it is missing, or not a JSON object with files.
        ResourceError: it cannot be read now, which says nothing about what is in it.
    """
    path = folder / MANIFEST
    try:
        with reading(path):
            content = read_regular(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError, ValueError) as problem:
        raise ArtifactError(f"{path}: not a readable manifest ({problem})") from None
    manifest = parse_object(content, path, "manifest")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(facts, list) and len(facts) == 2 for facts in files.values()):
        raise ArtifactError(f"{path}: not a readable manifest (expected files with a size and a sha256 each)")
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any], hashes: bool) -> None:
    """Compare a folder with its manifest: the same regular files, inside the folder, of the same sizes.

    Args:
        folder: the folder.
        manifest: its manifest.
        hashes: compare contents too, by sha256.

    Raises:
        ArtifactError: names the first file that differs.
        ResourceError: a file cannot be read now, which says nothing about what is in it.
    """
    try:
        with reading(folder):
            _check_files(folder, manifest, hashes)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{error.filename or folder}: was removed while it was read") from None


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Distinguish a file that cannot be read within the block from a damaged or missing one.

    Args:
        path: what messages name if the error does not.

    Raises:
        ResourceError: in place of an OSError, except that of a missing file.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ResourceError(
            f"{error.filename or path}: cannot be read now ({error.strerror or error}); it stays where it is, check the"
            " disk and its permissions and run the same command again"
        ) from None


def _check_files(folder: Path, manifest: Mapping[str, Any], hashes: bool) -> None:
    """Do the work of :func:`check_files`; the arguments are the same."""
    present = dict(_walk(os.fspath(folder)))
    listed = {*manifest["files"], MANIFEST}
    if missing := sorted(listed - present.keys()):
        raise ArtifactError(f"{folder}: {missing[0]!r} is in the manifest, but not in the folder")
    if unknown := sorted(present.keys() - listed):
        raise ArtifactError(f"{folder}: {unknown[0]!r} is in the folder, but not in the manifest")
    for name, (size, sha256) in manifest["files"].items():
        path = present[name]
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise ArtifactError(f"{path}: links and devices are refused, expected a regular file")
        if facts.st_size != size:
            raise ArtifactError(f"{path}: expected {size} bytes, found {facts.st_size}")
        if hashes and hashing.of_file(Path(path)) != sha256:
            raise ArtifactError(f"{path}: the content does not have the sha256 of the manifest")


def _walk(folder: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and path of everything below a folder except folders; links are not followed.

    Args:
        folder: the folder.
        prefix: its own name, with a slash, that begins the names.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry.path
