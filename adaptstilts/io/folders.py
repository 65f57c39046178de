"""Folders that are whole or absent: sealed by a manifest that is written last, and renamed into place in one step."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io import hashing

MANIFEST = "manifest.json"


def failpoint(name: str) -> None:
    """Die here, as by ``kill -9``, when the environment asks for it: how the tests reach the middle of a commit."""
    if os.environ.get("ADAPTSTILTS_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def seal(folder: Path, fields: dict[str, Any]) -> None:
    """Sync and hash every file of a folder, then write its manifest last."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _sync(path)
            files[path.relative_to(folder).as_posix()] = [path.stat().st_size, hashing.of_file(path)]
    failpoint("commit:before-manifest")
    text = json.dumps({**fields, "files": files}, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    _sync(folder / MANIFEST)
    _sync(folder)
    failpoint("commit:after-manifest")


def publish(folder: Path, target: Path) -> None:
    """Rename a sealed folder into place; when the target is there already it stays."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    _sync(target.parent)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        ArtifactError: missing, unreadable or not a JSON object.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not a readable manifest ({error})") from None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(v, list) and len(v) == 2 for v in files.values()):
        raise ArtifactError(f"{path}: not a manifest: expected a JSON object with files")
    return manifest


def check_files(folder: Path, manifest: dict[str, Any], hashes: bool) -> None:
    """Compare a folder with its manifest: the same files, plain, inside it, of the same sizes (and hashes).

    Raises:
        ArtifactError: names the first file that differs.
    """
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
    wrong = sorted(found.symmetric_difference({*manifest["files"], MANIFEST}))
    if wrong:
        raise ArtifactError(f"{folder}: {wrong[0]!r} is not both listed in the manifest and there")
    for name, (size, sha256) in manifest["files"].items():
        path = folder / name
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(f"{path}: links and paths outside the entry are refused")
        if path.stat().st_size != size:
            raise ArtifactError(f"{path}: {path.stat().st_size} bytes, the manifest says {size}")
        if hashes and hashing.of_file(path) != sha256:
            raise ArtifactError(f"{path}: the content does not have the sha256 of the manifest")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
