"""The store: a content-addressed folder of entries. An entry is whole and verified, or it is not there.

Commit: files are written into ``staging``, synced and hashed, the manifest comes last, then one rename makes the
entry visible. Correctness never rests on a lock: two writers of one key race for the rename, and the loser verifies
the winner's entry and drops its own. Leases only keep two runs from doing the same work.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import hashing, leases
from adaptstilts.io.files import disk_faults, replace_text
from adaptstilts.io.folders import MANIFEST, check_files, failpoint, publish, read_manifest, seal
from adaptstilts.store.entries import Entry

FORMAT = "adaptstilts-store 1"
_KEY = re.compile(r"[0-9a-f]{64}")


class Store:
    """A store on disk. Opening creates nothing; the first write does."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._verified: dict[str, Entry] = {}
        if self.folder.exists() and not self.folder.is_dir():
            raise ResourceError(f"{self.folder}: the store must be a folder, found a file")
        mark = self.folder / "format"
        if mark.is_file():
            found = mark.read_text(encoding="utf-8", errors="replace").strip()
            if found != FORMAT:
                raise ArtifactError(f"{mark}: {found!r} was written by another version; this one reads {FORMAT!r}")

    def entry_folder(self, key: str) -> Path:
        """Where the entry of a key is, or would be."""
        return self.folder / "entries" / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether an entry is there (its manifest was renamed into place with it)."""
        return (self.entry_folder(key) / MANIFEST).is_file()

    def keys(self) -> list[str]:
        """Keys of all entries, sorted."""
        return sorted(path.parent.name for path in self.folder.glob(f"entries/??/*/{MANIFEST}"))

    def find(self, prefix: str) -> Entry:
        """The one entry whose key starts so.

        Raises:
            ArtifactError: none does, or several do.
        """
        found = [key for key in self.keys() if key.startswith(prefix)]
        if len(found) != 1:
            raise ArtifactError(f"{self.folder}: {len(found)} entries start with {prefix!r}, expected one")
        return self.entry(found[0])

    def peek(self, key: str) -> Entry:
        """The entry by its manifest alone: sizes are checked, contents are not hashed."""
        return self._verified.get(key) or self._checked(self.entry_folder(key), key, hashes=False)

    def entry(self, key: str) -> Entry:
        """The entry, hashed on first use in this process; a damaged one is moved to ``quarantine``.

        Raises:
            ArtifactError: missing or damaged.
        """
        if key not in self._verified:
            try:
                self._verified[key] = self._checked(self.entry_folder(key), key, hashes=True)
            except ArtifactError as error:
                moved = self._quarantine(key)
                raise ArtifactError(f"{error}{moved}") from None
        return self._verified[key]

    def verify(self) -> Iterator[tuple[str, str | None]]:
        """Check every entry; yields (key, None) or (key, what is wrong). Damaged ones are moved to quarantine."""
        for key in self.keys():
            try:
                self._verified.pop(key, None)
                self.entry(key)
                yield key, None
            except ArtifactError as error:
                yield key, str(error)

    def adopt(self, folder: Path) -> Entry:
        """Copy an entry of another store into this one, under the same key, after verifying it."""
        found = self._checked(folder, None, hashes=True)
        if not self.has(found.key):
            with self.stage(found.key) as staging:
                for name in found.manifest["files"]:
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, staging / name)
                extra = {k: v for k, v in found.manifest.items() if k not in ("key", "spec", "files")}
                self.commit(found.key, found.spec, staging, extra)
        return self.entry(found.key)

    @contextlib.contextmanager
    def stage(self, key: str) -> Iterator[Path]:
        """A private folder for the files of one entry, removed on the way out unless it was committed."""
        folder = self.folder / "staging" / f"{key}.{uuid.uuid4().hex}"
        with disk_faults(self.folder):
            self._create()
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, key: str, spec: dict[str, Any], staging: Path, extra: dict[str, Any] | None = None) -> Entry:
        """Make a staged folder the entry of ``key``, or keep the entry that is there already.

        Raises:
            ResourceError: the disk is full or cannot be written; nothing is visible then.
        """
        target = self.entry_folder(key)
        with disk_faults(self.folder):
            seal(staging, {"key": key, "spec": spec, **(extra or {})})
            target.parent.mkdir(parents=True, exist_ok=True)
            failpoint("commit:before-rename")
            publish(staging, target)
            failpoint("commit:after-rename")
        return self.entry(key)

    def work(self, key: str) -> Path:
        """Folder of an unfinished phase's checkpoints."""
        return self.folder / "work" / key

    @property
    def states(self) -> Path:
        """Folder of hidden states that are kept for later phases; all of it can be computed again."""
        return self.folder / "cache" / "states"

    @property
    def vectors(self) -> Path:
        """Folder of sentence vectors that are kept for later searches; all of it can be computed again."""
        return self.folder / "cache" / "vectors"

    @contextlib.contextmanager
    def lease(self, key: str) -> Iterator[bool]:
        """Say that this process works on ``key``; yields False when another live process says so already."""
        with contextlib.ExitStack() as stack:
            with disk_faults(self.folder):
                self._create()
                (self.folder / "leases").mkdir(exist_ok=True)
                mine = stack.enter_context(leases.held(self.folder / "leases" / key))
            yield mine

    def holder(self, key: str) -> str | None:
        """``host:pid`` of the live process that works on a key."""
        return leases.holder(self.folder / "leases" / key)

    def garbage(self) -> list[Path]:
        """Folders nobody needs: of dead processes and finished phases, and what is kept but can be computed again."""
        found = [path for path in (self.folder / "staging").glob("*") if self._dead(path)]
        found += [path for path in (self.folder / "work").glob("*") if self.has(path.name)]
        found += [path for path in (self.folder / "leases").glob("*") if not self.holder(path.name)]
        found += self.states.glob("*")
        found += [p for p in self.vectors.glob("*") if not self.holder(f"vectors.{p.name.removesuffix('.part')}")]
        return sorted(found)

    def _dead(self, staging: Path) -> bool:
        with contextlib.suppress(OSError):
            age = time.time() - staging.stat().st_mtime
            return age > 24 * 3600 and not self.holder(staging.name.partition(".")[0])
        return False

    def _create(self) -> None:
        mark = self.folder / "format"
        if not mark.is_file():
            replace_text(mark, FORMAT + "\n")

    def _quarantine(self, key: str) -> str:
        folder = self.entry_folder(key)
        if not folder.is_dir():
            return ""
        target = self.folder / "quarantine" / f"{key}.{uuid.uuid4().hex[:8]}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        except OSError:
            return "; it could not be moved to quarantine"
        return f"; moved to {target.relative_to(self.folder)}, run again to compute it anew"

    def _checked(self, folder: Path, key: str | None, hashes: bool) -> Entry:
        manifest = read_manifest(folder)
        held = manifest.get("key")
        if not isinstance(held, str) or not _KEY.fullmatch(held) or (key is not None and held != key):
            raise ArtifactError(f"{folder / MANIFEST}: the key {held!r} is not that of the entry")
        try:
            same = hashing.of(manifest.get("spec")) == held
        except (ValueError, RecursionError):
            same = False
        if not same:
            raise ArtifactError(f"{folder / MANIFEST}: the key is not the digest of the spec")
        check_files(folder, manifest, hashes)
        return Entry(folder, manifest)
