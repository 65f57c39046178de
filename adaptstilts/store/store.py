"""The store: a content-addressed folder of entries. An entry is complete and verified, or it is not there.

To commit an entry, files are written to ``staging``, synced and hashed, the manifest comes last, and one rename makes
it visible. Correctness never depends on a lock: if two processes write the same key, the first rename wins, and the
other process verifies that entry and drops its own. Leases only keep two runs from doing the same work.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError, ConfigError, ResourceError
from adaptstilts.io import folders, hashing, leases
from adaptstilts.io.files import disk_faults, read_regular, replace_text
from adaptstilts.io.folders import MANIFEST
from adaptstilts.store.entries import Entry, parents

FORMAT = "adaptstilts-store 1"
_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}")
_ORPHAN_SECONDS = 24 * 3600  # a staging folder may belong to a live process on another host


class Store:
    """A store on disk. Opening it creates nothing; the first write does.

    Args:
        folder: the folder of the store, which need not exist.

    Raises:
        ResourceError: the path is not a folder.
        ArtifactError: the store was written by an incompatible version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._verified: dict[str, Entry] = {}
        self._peeked: dict[str, tuple[hashing.Stamp, Entry]] = {}
        if self.folder.exists() and not self.folder.is_dir():
            raise ResourceError(f"{self.folder}: the store must be a folder, found a file")
        if self.exists():
            self._check_format()

    @classmethod
    def open_existing(cls, folder: str | Path) -> Store:
        """Open a store that must exist, for commands that only read.

        Args:
            folder: the folder of the store.

        Raises:
            ConfigError: there is no store in this folder.
        """
        store = cls(folder)
        if not store.exists():
            state = "this folder is not a store" if store.folder.is_dir() else "no such folder"
            raise ConfigError(
                f"store {store.folder}: {state}; check --store (or ADAPTSTILTS_STORE), or run the study first:"
                f" adaptstilts run"
            )
        return store

    @property
    def _mark(self) -> Path:
        """The file that makes a folder a store."""
        return self.folder / "format"

    def exists(self) -> bool:
        """Return whether the store is on disk, with or without entries."""
        return self._mark.is_file()

    def _check_format(self) -> None:
        """Raise if another version, or something else, wrote the mark; after a power cut it may be empty."""
        try:
            text = read_regular(self._mark, 1000).decode("utf-8", "replace").strip("\0\n\r ")
        except ValueError as error:
            raise ArtifactError(f"{self._mark}: expected {FORMAT!r}, found a file {error}") from None
        if text == FORMAT or (not text and self._has_folders()):
            return
        raise ArtifactError(f"{self._mark}: expected {FORMAT!r}, found {text!r}; use the version that wrote it")

    def _has_folders(self) -> bool:
        """Return whether the folder has what only a store has."""
        return any((self.folder / name).is_dir() for name in ("entries", "staging", "leases"))

    def entry_folder(self, key: str) -> Path:
        """Return the folder of the entry of a key, which need not exist."""
        return self.folder / "entries" / key[:2] / key

    def has(self, key: str) -> bool:
        """Return whether an entry is there (its manifest was renamed into place with it).

        Raises:
            ResourceError: its folder cannot be read now.
        """
        path = self.entry_folder(key) / MANIFEST
        with folders.reading(path):
            return path.is_file()

    def set_aside(self, key: str) -> str | None:
        """Move an entry to ``quarantine`` whose manifest, or names and sizes of files, are damaged.

        Returns:
            What was wrong; None if the entry is missing or looks whole.

        Raises:
            ArtifactError: it is damaged and cannot be moved.
            ResourceError: it cannot be read now, and stays where it is.
        """
        if not self.has(key):
            return None
        try:
            self.peek(key)
        except ArtifactError as error:
            outcome = self._quarantine(key)
            if self.has(key):
                raise ArtifactError(f"{error}{outcome}") from None
            return str(error)
        return None

    def keys(self) -> list[str]:
        """Return the keys of all entries, sorted."""
        return sorted(path.parent.name for path in self.folder.glob(f"entries/??/*/{MANIFEST}"))

    def peek(self, key: str) -> Entry:
        """Return an entry after checking names and sizes of its files, but not their contents.

        It is checked once in this process, and again if its manifest was written or replaced.

        Raises:
            ArtifactError: missing or damaged.
        """
        if key in self._verified:
            return self._verified[key]
        folder, state = self.entry_folder(key), None
        with contextlib.suppress(OSError):  # the check says what is wrong
            state = hashing.stamp(folder / MANIFEST)
        if key in self._peeked and self._peeked[key][0] == state:
            return self._peeked[key][1]
        entry = _checked(folder, key, hashes=False)
        if state is not None:
            self._peeked[key] = state, entry
        return entry

    def entry(self, key: str) -> Entry:
        """Return an entry, hashed on first use in this process; a damaged one is moved to ``quarantine``.

        Raises:
            ArtifactError: missing or damaged.
            ResourceError: a file cannot be read now; the entry stays where it is.
        """
        if key not in self._verified:
            try:
                self._verified[key] = _checked(self.entry_folder(key), key, hashes=True)
            except ArtifactError as error:
                outcome = self._quarantine(key)
                raise ArtifactError(f"{error}{outcome}") from None
        return self._verified[key]

    def verify(self, keys: Iterable[str] | None = None) -> Iterator[tuple[str, str | None]]:
        """Check entries; yield each key with None or with the problem. Damaged entries are moved to quarantine.

        Args:
            keys: only these, and the entries of this store that they were computed from; None for all.
        """
        waiting = self.keys() if keys is None else list(keys)
        checked: set[str] = set()
        while waiting:
            key = waiting.pop(0)
            if key in checked:
                continue
            checked.add(key)
            self._verified.pop(key, None)
            try:
                entry = self.entry(key) if self.has(key) else None
            except (ArtifactError, ResourceError) as error:
                yield key, str(error)
                continue
            if entry is not None:
                yield key, None
            if entry is not None and keys is not None:
                waiting += parents(entry.spec)

    def adopt(self, folder: Path) -> Entry:
        """Verify an entry of another store and copy it into this one under the same key.

        Raises:
            ArtifactError: the entry is damaged.
        """
        source = _checked(folder, None, hashes=True)
        if not self.has(source.key):
            with self.stage(source.key) as staging:
                for name in source.manifest["files"]:
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, staging / name)
                extra = {name: value for name, value in source.manifest.items() if name not in ("key", "spec", "files")}
                self.commit(source.key, source.spec, staging, extra)
        return self.entry(source.key)

    @contextlib.contextmanager
    def stage(self, key: str) -> Iterator[Path]:
        """Yield a private folder for the files of an entry; it is removed at the end unless it was committed."""
        with contextlib.ExitStack() as stack:
            with disk_faults(self.folder):
                self._create()
                staging = stack.enter_context(folders.temporary(self.folder / "staging", f"{key}."))
            yield staging

    def commit(self, key: str, spec: Mapping[str, Any], staging: Path, extra: Mapping[str, Any] | None = None) -> Entry:
        """Make a staged folder the entry of a key, or keep the entry that exists already.

        Args:
            key: sha256 of the spec.
            spec: what was computed.
            staging: the folder from :meth:`stage`, with all files.
            extra: more fields of the manifest.

        Returns:
            The entry, verified.

        Raises:
            ResourceError: the disk is full or cannot be written; nothing is visible then.
        """
        target = self.entry_folder(key)
        with disk_faults(self.folder):
            folders.seal(staging, {"key": key, "spec": spec, **(extra or {})})
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.publish(staging, target)
        return self.entry(key)

    def work(self, key: str) -> Path:
        """Return the folder for the checkpoints of an unfinished phase."""
        return self.folder / "work" / key

    @property
    def states(self) -> Path:
        """Folder of cached hidden states; all of it can be computed again."""
        return self.folder / "cache" / "states"

    @property
    def vectors(self) -> Path:
        """Folder of cached sentence vectors; all of it can be computed again."""
        return self.folder / "cache" / "vectors"

    @property
    def prepared(self) -> Path:
        """Folder of models in the form in which they are read; all of it can be converted again."""
        return self.folder / "cache" / "models"

    @property
    def digests(self) -> Path:
        """File of remembered hashes of inputs."""
        return self.folder / "cache" / "digests.json"

    @property
    def checked_rows(self) -> Path:
        """The memory of data whose rows were found right."""
        return self.folder / "cache" / "checked-rows.json"

    @property
    def pins(self) -> Path:
        """Folder that records the digests of every data set when it was first loaded."""
        return self.folder / "pins"

    @contextlib.contextmanager
    def lease(self, key: str) -> Iterator[bool]:
        """Announce that this process works on a key; yield False if another live process already does."""
        path = self._lease_file(key)
        with contextlib.ExitStack() as stack:
            with disk_faults(self.folder):
                self._create()
                path.parent.mkdir(exist_ok=True)
                is_ours = stack.enter_context(leases.hold(path))
            yield is_ours

    def holder(self, key: str) -> str | None:
        """Return ``host:pid`` of the live process that works on a key, if any."""
        return leases.holder(self._lease_file(key))

    def garbage(self) -> list[Path]:
        """List what is no longer needed: leftovers of dead processes and finished phases, and caches not in use."""
        orphans = [path for path in self.folder.glob("staging/*") if self._is_orphan(path, path.name.partition(".")[0])]
        for path in self.folder.glob("work/*/staging-*"):
            if self._is_orphan(path, path.parent.name):
                orphans.append(path)
        orphans += [path for path in self._temporary_files() if self._is_old(path)]
        finished = [path for path in self.folder.glob("work/*") if self.has(path.name)]
        stale = [path for path in self.folder.glob("leases/*") if not self.holder(path.name)]
        vectors = [path for path in self.vectors.glob("*") if not self.holder(_vectors_lease(path))]
        is_running = any(self.holder(path.name) for path in self.folder.glob("leases/*"))
        states = [] if is_running else self.states.glob("*")  # a running phase may be using them
        prepared = [] if is_running else self.prepared.glob("*")
        return sorted([*orphans, *finished, *stale, *vectors, *states, *prepared])

    def _lease_file(self, key: str) -> Path:
        return self.folder / "leases" / key

    def _is_orphan(self, staging: Path, key: str) -> bool:
        """Return whether a staging folder was left by a process that died.

        Args:
            staging: the folder.
            key: what was computed in it.
        """
        if self.holder(key):
            return False
        return leases.is_abandoned(self._lease_file(key)) or self.has(key) or self._is_old(staging)

    def _is_old(self, path: Path) -> bool:
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > _ORPHAN_SECONDS
        return False

    def _temporary_files(self) -> Iterator[Path]:
        """Yield the files that were to replace others in one step."""
        for pattern in (".*", "cache/.*", "pins/**/.*"):
            for path in self.folder.glob(pattern):
                if _TEMPORARY.fullmatch(path.name) and path.is_file():
                    yield path

    def _create(self) -> None:
        if not self.exists() or not self._mark.stat().st_size:
            replace_text(self._mark, FORMAT + "\n", durable=True)

    def _quarantine(self, key: str) -> str:
        """Move a damaged entry away; return how an error message ends about that."""
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


def _vectors_lease(folder: Path) -> str:
    """Return the key of the lease on a folder of sentence vectors."""
    return f"vectors.{folder.name.removesuffix('.part')}"


def _checked(folder: Path, key: str | None, hashes: bool) -> Entry:
    """Return the entry in a folder after comparing it with its manifest.

    Args:
        folder: the folder of the entry.
        key: the key that it must have; None for any.
        hashes: compare the contents of files too.

    Raises:
        ArtifactError: missing or damaged, or the key is not the digest of the spec.
    """
    manifest = folders.read_manifest(folder)
    actual = manifest.get("key")
    if not isinstance(actual, str) or not _KEY.fullmatch(actual) or key not in (None, actual):
        raise ArtifactError(f"{folder / MANIFEST}: the key {actual!r} is not that of the entry")
    try:
        digest = hashing.of(manifest.get("spec"))
    except (ValueError, RecursionError):  # no canonical JSON
        digest = ""
    if digest != actual:
        raise ArtifactError(f"{folder / MANIFEST}: the key is not the digest of the spec")
    folders.check_files(folder, manifest, hashes)
    return Entry(folder, manifest)
