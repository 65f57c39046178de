"""The store: an entry is whole and verified, or it is not there, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import hashing, leases
from adaptstilts.io.folders import MANIFEST
from adaptstilts.store import store
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store

SPEC = {"kind": "train", "seed": 1}
KEY = hashing.of(SPEC)
FILES = {"weights.bin": b"w" * 1000, "deep/er/report.json": b'{"loss": 1.5}', "ä.txt": b""}


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(where: Store, spec: dict[str, Any] = SPEC, files: dict[str, bytes] = FILES, **extra: Any) -> Entry:
    """Commit an entry."""
    key = hashing.of(spec)
    with where.stage(key) as staging:
        for name, data in files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(data)
        return where.commit(key, spec, staging, extra)


def fresh(where: Store) -> Store:
    """The same store as another process sees it: nothing is known to be verified."""
    return Store(where.folder)


def forge(where: Store, **changed: Any) -> Path:
    """Commit an entry and change its manifest; returns the entry's folder."""
    folder = put(where).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(changed)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def left(folder: Path) -> list[str]:
    """What is in a folder, if it is there."""
    return sorted(path.name for path in folder.glob("*"))


# Whole entries


def test_commit_and_read(here: Store) -> None:
    assert not here.has(KEY)
    assert here.keys() == []
    entry = put(here, title="a title", seconds=1.5)
    assert (here.has(KEY), here.keys()) == (True, [KEY])
    assert entry == fresh(here).entry(KEY) == fresh(here).peek(KEY)
    assert (entry.key, entry.spec, entry.bytes) == (KEY, SPEC, 1013)
    assert entry.manifest["title"] == "a title"
    assert entry.manifest["files"]["weights.bin"] == [1000, hashing.of_file(entry.folder / "weights.bin")]
    assert entry.json("deep/er/report.json") == {"loss": 1.5}
    assert entry.folder == here.folder / "entries" / KEY[:2] / KEY
    assert list(here.verify()) == [(KEY, None)]
    assert left(here.folder / "staging") == []
    assert (here.folder / "format").read_text() == store.FORMAT + "\n"


def test_opening_and_asking_creates_nothing(tmp_path: Path) -> None:
    opened = Store(tmp_path / "absent")
    assert not opened.has(KEY)
    assert (opened.keys(), list(opened.verify()), opened.garbage(), opened.holder(KEY)) == ([], [], [], None)
    with pytest.raises(ArtifactError):
        opened.entry(KEY)
    assert not (tmp_path / "absent").exists()


def test_an_entry_holds_no_path_or_host(here: Store) -> None:
    text = (put(here).folder / MANIFEST).read_text()
    assert str(here.folder) not in text
    assert platform.node() not in text


def test_the_first_commit_stays(here: Store) -> None:
    first = put(here, title="first")
    again = put(fresh(here), files={"other": b"x"}, title="second")
    assert again.manifest == first.manifest
    assert fresh(here).entry(KEY).manifest["title"] == "first"
    assert left(here.folder / "staging") == []


def test_a_stage_that_is_not_committed_leaves_nothing(here: Store) -> None:
    def fail() -> None:
        with here.stage(KEY) as staging:
            (staging / "half").write_bytes(b"x")
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        fail()
    assert left(here.folder / "staging") == []
    assert here.keys() == []


def test_a_store_can_be_moved_and_copied(here: Store, tmp_path: Path) -> None:
    put(here)
    copied = Store(shutil.copytree(here.folder, tmp_path / "ein ä copy"))
    assert list(copied.verify()) == [(KEY, None)]
    assert copied.entry(KEY).manifest == here.entry(KEY).manifest


def test_adopt(here: Store, tmp_path: Path) -> None:
    entry, other = put(here, title="t"), Store(tmp_path / "other")
    adopted = other.adopt(entry.folder)
    assert adopted.folder != entry.folder
    assert adopted.manifest == entry.manifest
    assert other.adopt(entry.folder) == adopted
    assert list(fresh(other).verify()) == [(KEY, None)]


def test_a_damaged_entry_is_not_adopted(here: Store, tmp_path: Path) -> None:
    entry, other = put(here), Store(tmp_path / "other")
    (entry.folder / "weights.bin").write_bytes(b"v" * 1000)
    with pytest.raises(ArtifactError, match="sha256"):
        other.adopt(entry.folder)
    assert other.keys() == []
    assert entry.folder.is_dir(), "somebody else's entry is not moved"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_weights_have_the_permissions_that_the_umask_gives(here: Store, umask: int, tmp_path: Path) -> None:
    """The library that writes them makes them readable by their owner alone."""
    from safetensors.numpy import save_file

    before = os.umask(umask)
    try:
        with here.stage(KEY) as staging:
            save_file({"a": np.zeros(3)}, str(staging / "weights.safetensors"))
            entry = here.commit(KEY, SPEC, staging)
        copied = Store(tmp_path / "other").adopt(entry.folder)
    finally:
        os.umask(before)
    for folder in (entry.folder, copied.folder):
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~umask}
        assert folder.stat().st_mode & 0o777 == 0o777 & ~umask


# Damage


def flip(folder: Path) -> None:
    data = bytearray((folder / "weights.bin").read_bytes())
    data[500] ^= 1
    (folder / "weights.bin").write_bytes(bytes(data))


def link_file(folder: Path) -> None:
    (folder / "weights.bin").rename(folder.parent / "weights.bin")
    (folder / "weights.bin").symlink_to(folder.parent / "weights.bin")


def link_folder(folder: Path) -> None:
    (folder / "deep").rename(folder.parent / "deep")
    (folder / "deep").symlink_to(folder.parent / "deep")


DAMAGE = {
    "flipped bit": flip,
    "truncated": lambda folder: (folder / "weights.bin").write_bytes(b"w" * 999),
    "missing file": lambda folder: (folder / "weights.bin").unlink(),
    "extra file": lambda folder: (folder / "extra").write_bytes(b""),
    "extra file below": lambda folder: (folder / "deep" / ".hidden").write_bytes(b""),
    "file is a folder": lambda folder: ((folder / "ä.txt").unlink(), (folder / "ä.txt").mkdir()),
    "linked file": link_file,
    "linked folder": link_folder,
    "dangling link": lambda folder: (folder / "extra").symlink_to("nowhere"),
    "manifest empty": lambda folder: (folder / MANIFEST).write_text(""),
    "manifest half": lambda folder: (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:150]),
    "manifest binary": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe\x00"),
    "manifest a list": lambda folder: (folder / MANIFEST).write_text("[]"),
    "manifest deep": lambda folder: (folder / MANIFEST).write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_entry_is_refused_and_moved_away(here: Store, damage: Any) -> None:
    damage(put(here).folder)
    again = fresh(here)
    with pytest.raises(ArtifactError, match=r"moved to quarantine.*run again"):
        again.entry(KEY)
    assert not again.has(KEY)
    assert [name.partition(".")[0] for name in left(here.folder / "quarantine")] == [KEY]
    assert list(fresh(put_again(again)).verify()) == [(KEY, None)]


def test_verify_sees_what_happened_since_an_entry_was_read(here: Store) -> None:
    flip(put(here).folder)
    ((key, problem),) = here.verify()
    assert key == KEY
    assert problem is not None
    assert "moved to quarantine" in problem
    assert list(here.verify()) == []


def test_a_json_file_is_compared_with_its_digest(here: Store) -> None:
    entry = put(here)
    (entry.folder / "deep/er/report.json").write_text('{"loss": 0.5}')
    with pytest.raises(ArtifactError, match=r"report\.json: not the content that the manifest lists"):
        entry.json("deep/er/report.json")
    with pytest.raises(ArtifactError, match="not the content that the manifest lists"):
        entry.json(f"../{KEY}/{MANIFEST}")


def put_again(where: Store) -> Store:
    """What a second run does."""
    put(where)
    return where


FORGED: dict[str, dict[str, Any]] = {
    "traversal": {"files": {"../../../format": [21, "0" * 64]}},
    "absolute": {"files": {"/etc/hostname": [1, "0" * 64]}},
    "no files": {"files": None},
    "files a list": {"files": ["weights.bin"]},
    "a size alone": {"files": {name: len(data) for name, data in FILES.items()}},
    "three values": {"files": {name: [len(data), "", ""] for name, data in FILES.items()}},
    "size as text": {"files": {name: [str(len(data)), ""] for name, data in FILES.items()}},
    "another key": {"key": "a" * 64},
    "no key": {"key": None},
    "key a path": {"key": "../../x"},
    "another spec": {"spec": {"kind": "train", "seed": 2}},
    "spec with NaN": {"spec": float("nan")},
    "spec with half a character": {"spec": "\ud800"},
}


@pytest.mark.parametrize("changed", FORGED.values(), ids=FORGED.keys())
def test_a_forged_manifest_is_refused(here: Store, changed: dict[str, Any]) -> None:
    folder = forge(here, **changed)
    with pytest.raises(ArtifactError):
        fresh(here).peek(KEY)
    with pytest.raises(ArtifactError):
        Store(here.folder.parent / "other").adopt(folder)
    with pytest.raises(ArtifactError, match="moved to quarantine"):
        fresh(here).entry(KEY)


def test_a_traversing_name_reads_nothing_outside(here: Store) -> None:
    """Even when the manifest tells the truth about the file outside."""
    outside = here.folder / "entries" / KEY[:2] / "outside"
    folder = put(here).folder
    outside.write_bytes(b"secret")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../outside"] = [6, hashing.of_file(outside)]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"'\.\./outside' is in the manifest, but not in the folder"):
        fresh(here).entry(KEY)
    assert outside.read_bytes() == b"secret"


def test_an_entry_under_another_key_is_refused(here: Store) -> None:
    folder, other = put(here).folder, hashing.of({"seed": 2})
    here.entry_folder(other).parent.mkdir(parents=True)
    shutil.copytree(folder, here.entry_folder(other))
    with pytest.raises(ArtifactError, match="is not that of the entry"):
        here.entry(other)
    assert here.entry(KEY).key == KEY


def test_peek_checks_sizes_and_entry_checks_contents(here: Store) -> None:
    flip(put(here).folder)
    assert fresh(here).peek(KEY).key == KEY
    with pytest.raises(ArtifactError, match="sha256"):
        fresh(here).entry(KEY)


def test_one_damaged_entry_does_not_hide_the_others(here: Store) -> None:
    for seed in range(4):
        put(here, {"seed": seed})
    bad = hashing.of({"seed": 2})
    flip(here.entry_folder(bad))
    found = dict(fresh(here).verify())
    assert [key for key, problem in found.items() if problem] == [bad]
    assert len(found) == 4


def test_a_damaged_winner_is_not_taken_for_ours(here: Store) -> None:
    """A second commit of a key verifies the entry that is there, not the one it brought."""
    flip(put(here).folder)
    with pytest.raises(ArtifactError, match="moved to quarantine"):
        put(fresh(here))
    assert list(fresh(put_again(fresh(here))).verify()) == [(KEY, None)]


@pytest.mark.parametrize("text", [b"adaptstilts-store 2\n", b"", b"\xff\xfe", b"something else", b"x" * 2000])
def test_a_store_of_another_format(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "format").write_bytes(text)
    with pytest.raises(ArtifactError, match="adaptstilts-store 1"):
        Store(tmp_path)


# Two writers, sudden death


def script(folder: Path, body: str, **env: str) -> subprocess.Popen[str]:
    """A process that runs some code with a store and the entry of this module."""
    head = f"""
import sys, time
from pathlib import Path
from adaptstilts.io import hashing
from adaptstilts.store.store import Store
from adaptstilts.errors import AdaptstiltsError
here, spec, key = Store({str(folder)!r}), {SPEC!r}, {KEY!r}
def put(size=1000):
    with here.stage(key) as staging:
        (staging / "weights.bin").write_bytes(b"w" * size)
        return here.commit(key, spec, staging, {{"title": "t"}})
"""
    return subprocess.Popen(
        [sys.executable, "-c", head + body],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_writers_racing_for_one_key(here: Store) -> None:
    """All of them succeed, all see the same entry, and nothing is left behind."""
    body = """
while time.time() < {at}:
    pass
print(put().manifest["files"]["weights.bin"][0])
"""
    at = time.time() + 1.0
    sizes = [1000, 1001, 1002, 1003]
    running = [script(here.folder, body.format(at=at).replace("put()", f"put({size})")) for size in sizes]
    told = []
    for process in running:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        told.append(int(out))
    assert len(set(told)) == 1
    assert told[0] in sizes
    assert list(here.verify()) == [(KEY, None)]
    assert here.peek(KEY).bytes == told[0]
    assert left(here.folder / "staging") == []
    assert left(here.folder / "quarantine") == []


@pytest.mark.parametrize(
    ("failpoint", "there"),
    [
        ("commit:before-manifest", False),
        ("commit:after-manifest", False),
        ("commit:before-rename", False),
        ("commit:after-rename", True),
    ],
)
def test_death_in_the_middle_of_a_commit(here: Store, failpoint: str, there: bool) -> None:
    process = script(here.folder, "put()", ADAPTSTILTS_FAILPOINT=failpoint)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert fresh(here).has(KEY) is there
    assert list(fresh(here).verify()) == ([(KEY, None)] if there else [])
    entry = put(fresh(here), files={"weights.bin": b"w" * 1000})
    assert entry.bytes == 1000
    assert list(fresh(here).verify()) == [(KEY, None)]


def test_what_the_dead_left_behind_is_found(here: Store) -> None:
    process = script(here.folder, "put()", ADAPTSTILTS_FAILPOINT="commit:before-rename")
    process.wait(timeout=60)
    (orphan,) = (here.folder / "staging").iterdir()
    assert here.garbage() == [], "it is young: its owner may be alive on another host"
    os.utime(orphan, (1, 1))
    assert here.garbage() == [orphan]
    assert orphan.is_dir(), "garbage only lists"


def test_what_a_process_left_that_surely_died_is_garbage_at_once(here: Store) -> None:
    here._create()
    staged = [here.folder / "staging" / f"{KEY}.1", here.work(KEY) / "staging-1"]
    for folder in staged:
        folder.mkdir(parents=True)
    lease = write_lease(here)
    assert here.garbage() == [], "its process runs"
    write_lease(here, host="elsewhere", heartbeat=1)
    assert here.garbage() == [lease], "clocks may differ"
    write_lease(here, pid=2**22 + 1)
    assert here.garbage() == sorted([*staged, lease])
    lease.unlink()
    assert here.garbage() == []
    put(here)
    assert here.garbage() == sorted([*staged, here.work(KEY)]), "nobody needs what is done"


def test_half_written_files_are_garbage_when_they_are_old(here: Store) -> None:
    here._create()
    (here.pins / "owner").mkdir(parents=True)
    left = [here.folder / f".{'a' * 32}", here.pins / "owner" / f".{'b' * 32}"]
    for path in (*left, here.folder / ".kept", here.folder / f".{'c' * 32}"):
        path.touch()
    for path in left:
        os.utime(path, (1, 1))
    assert here.garbage() == sorted(left)


def test_an_empty_format_of_a_store_is_mended(here: Store) -> None:
    """A power cut may leave it, because the file system had its name and not yet its content."""
    put(here)
    mark = here.folder / "format"
    for content in (b"", b"\0" * 20):
        mark.write_bytes(content)
        assert fresh(here).keys() == [KEY]
    mark.write_bytes(b"")
    with fresh(here).stage(KEY):
        assert mark.read_text() == "adaptstilts-store 1\n"


def test_readers_see_all_or_nothing(here: Store) -> None:
    """A reader that polls while entries are committed never meets half of one."""
    seen, wrong, stop = 0, [], threading.Event()

    def watch() -> None:
        nonlocal seen
        while not stop.is_set():
            for key, problem in fresh(here).verify():
                seen += 1
                if problem:
                    wrong.append((key, problem))

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for seed in range(30):
            put(here, {"seed": seed})
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert seen > 0
    assert len(here.keys()) == 30


# Disks


@contextlib.contextmanager
def small_files() -> Iterator[int]:
    """Within the block no file of this process may grow beyond a few kilobytes: a full disk, portably.

    A block and not a fixture: pytest's own report may go to a file, and is written before fixtures end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield 4096
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_while_committing(here: Store) -> None:
    with (
        small_files() as limit,
        pytest.raises(ResourceError, match=r"cannot be written: File too large \(\d+ MiB free\)"),
    ):
        put(here, title="t" * 2 * limit)
    assert left(here.folder / "staging") == []
    assert here.keys() == []
    assert put(here).bytes == 1013


@pytest.mark.parametrize("what", ["stage", "lease"])
def test_a_store_that_cannot_be_created(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("x")
    nowhere = Store(tmp_path / "file" / "store")

    def enter() -> None:
        with getattr(nowhere, what)(KEY):
            pass

    with pytest.raises(ResourceError, match="cannot be written"):
        enter()
    assert (tmp_path / "file").read_text() == "x"


def test_the_path_of_a_store_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="the store must be a folder, found a file"):
        Store(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_store(here: Store) -> None:
    put(here)
    for path in [here.folder, *here.folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)
    try:
        assert fresh(here).entry(KEY).key == KEY
        with pytest.raises(ResourceError, match="cannot be written"):
            put(here, {"seed": 9})
    finally:
        for path in [here.folder, *here.folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


# Leases


def write_lease(where: Store, **changed: Any) -> Path:
    """Forge a lease: of this process unless changed."""
    path = where.folder / "leases" / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {"host": platform.node(), "pid": os.getpid(), "boot": leases._boot(), "heartbeat": time.time()}
    path.write_text(json.dumps({**held, **changed}))
    return path


def taken(where: Store) -> bool:
    """Whether a lease can be taken now."""
    with where.lease(KEY) as mine:
        return mine


def test_a_lease_is_held_once(here: Store) -> None:
    with here.lease(KEY) as mine:
        assert mine
        assert here.holder(KEY) == f"{platform.node()}:{os.getpid()}"
        assert not taken(fresh(here))
        assert here.holder(KEY), "a refused second does not take the lease of the first away"
        with here.lease(hashing.of(2)) as other:
            assert other
    assert here.holder(KEY) is None
    assert left(here.folder / "leases") == []
    assert taken(here)


def test_a_lease_that_cannot_be_written(here: Store) -> None:
    with pytest.raises(ResourceError, match="cannot be written: File name too long"), here.lease("x" * 300):
        pass


def test_a_lease_ends_with_an_error(here: Store) -> None:
    def fail() -> None:
        with here.lease(KEY):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert taken(here)


def test_the_lease_of_a_live_process_is_refused_until_it_dies(here: Store) -> None:
    process = script(here.folder, "with here.lease(key) as mine:\n    print(mine, flush=True)\n    time.sleep(60)\n")
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "True\n"
        assert here.holder(KEY) == f"{platform.node()}:{process.pid}"
        assert not taken(here)
    finally:
        process.kill()
        process.communicate()
    assert (here.folder / "leases" / KEY).exists()
    assert here.holder(KEY) is None
    assert here.garbage() == [here.folder / "leases" / KEY]
    assert taken(here)


DEAD = 2**22 + 1


@pytest.mark.parametrize(
    ("changed", "free"),
    [
        ({}, False),
        ({"pid": DEAD}, True),
        ({"pid": DEAD, "age": -3600}, True),
        ({"boot": "before the reboot"}, True),
        ({"heartbeat": 0}, False),
        ({"host": "elsewhere", "pid": DEAD}, False),
        ({"host": "elsewhere", "age": 2 * leases.HEARTBEAT}, False),
        ({"host": "elsewhere", "age": 4 * leases.HEARTBEAT}, True),
        ({"host": "elsewhere", "heartbeat": "x"}, True),
        ({"host": "elsewhere", "heartbeat": None}, True),
        ({"pid": None}, True),
        ({"pid": "x"}, True),
        ({"pid": 0}, True),
        ({"pid": -1}, True),
    ],
)
def test_forged_leases(here: Store, changed: dict[str, Any], free: bool) -> None:
    """On this host the process decides, elsewhere the heartbeat; what nobody can have written holds nothing."""
    changed = dict(changed)
    if "age" in changed:
        changed["heartbeat"] = time.time() - changed.pop("age")
    write_lease(here, **changed)
    assert (here.holder(KEY) is None) is free
    assert taken(here) is free


def test_a_process_of_another_user_is_alive(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    write_lease(here, pid=DEAD)
    monkeypatch.setattr(os, "kill", refuse)
    assert not taken(here)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_an_unreadable_lease_holds_for_a_moment_only(here: Store, text: str) -> None:
    """It may be one that is being written; an old one is nobody's."""
    path = write_lease(here)
    path.write_text(text)
    assert not taken(here)
    os.utime(path, (1, 1))
    assert taken(here)


def test_a_lease_is_advice(here: Store) -> None:
    """Correctness does not rest on it: a commit under somebody else's lease is as good."""
    write_lease(here)
    assert put(here).key == KEY


def test_garbage_is_what_nobody_needs(here: Store) -> None:
    put(here)
    unfinished = hashing.of("unfinished")
    for key in (KEY, unfinished):
        here.work(key).mkdir(parents=True)
    with here.stage(unfinished), here.lease(unfinished):
        assert here.garbage() == [here.work(KEY)]
