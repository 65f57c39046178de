"""Leases: small files that say which process works on something. They are advice: correctness never depends on them.

A process is identified by the boot of its kernel, its namespace of process numbers, its number and start time, and a
random token for each lease. If the kernel that runs it can be asked, its answer decides; otherwise the heartbeat does.
Clocks of hosts may disagree, so a heartbeat from the future counts only as long as it changes while this process looks.
Whatever goes wrong with a lease, the worst consequence is repeated work.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text

HEARTBEAT = 10.0  # seconds between renewals
_SILENCE = 3  # heartbeats that may be missing
_DISAGREEMENT = 3600.0  # seconds by which clocks may differ; a heartbeat further in the future is ignored
_LARGEST = 100_000  # bytes; a lease has a few hundred

_first_looks: dict[Path, tuple[str, float]] = {}  # lease -> its heartbeat, and when this process first saw it


@contextlib.contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Hold a lease within the block, renewed by a thread; yield False if another live process holds it."""
    token = uuid.uuid4().hex
    if not _take(path, token):
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_renew, args=(path, token, stop), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        stop.set()
        beat.join()
        with contextlib.suppress(OSError):
            if _is_ours(path, token):
                path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """Return ``host:pid`` of the live process that holds a lease; None if there is none."""
    lease = _read(path)
    if lease is None or not _is_alive(path, lease):
        return None
    return f"{lease.get('host')}:{lease.get('pid')}"


def is_abandoned(path: Path) -> bool:
    """Return whether the kernel says that the process of a lease does not run; False if it cannot be asked."""
    lease = _read(path)
    return lease is not None and _is_of_this_kernel(lease) and not _is_alive(path, lease)


def _boot() -> str:
    """Return an identifier of this boot of the machine; empty if the system does not give one."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _namespace() -> str:
    """Return an identifier of this container's process numbers; empty if it is not known."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _status(pid: int) -> tuple[str, str] | None:
    """Return the state of a process and its start time, which differs from that of a later one with the same number."""
    with contextlib.suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = status.rpartition(")")[2].split()
        return fields[0], fields[19]
    return None


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(ArtifactError):
        return read_object(path, "lease", max_bytes=_LARGEST)
    return None


def _is_ours(path: Path, token: str) -> bool:
    lease = _read(path)
    return lease is not None and lease.get("token") == token


def _is_alive(path: Path, lease: dict[str, Any]) -> bool:
    """Return whether the process of a lease may still run.

    Args:
        path: path of the lease.
        lease: its content.
    """
    if _is_of_this_kernel(lease):
        return lease.get("boot") == _boot() and _runs_here(lease)
    return _beats(path, lease.get("heartbeat"))


def _is_of_this_kernel(lease: dict[str, Any]) -> bool:
    """Return whether a lease is of this host and its process numbers, perhaps before it was started again."""
    return lease.get("host") == platform.node() and lease.get("namespace", _namespace()) == _namespace()


def _runs_here(lease: dict[str, Any]) -> bool:
    """Return whether the process of a lease runs on this kernel; a zombie does not count."""
    pid = lease.get("pid")
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    status = _status(pid)
    if status is None:
        return True
    state, born = status
    return state not in "ZX" and lease.get("born") in (None, born)


def _beats(path: Path, beat: Any) -> bool:
    """Return whether a heartbeat of another host is recent or, if it lies in the future, still changes.

    Args:
        path: path of the lease.
        beat: seconds since the epoch, by the clock of the other host.
    """
    if type(beat) not in (int, float):
        return False
    age = time.time() - beat
    if age >= 0 or age < -_DISAGREEMENT:
        return bool(0 <= age < _SILENCE * HEARTBEAT)
    now = time.monotonic()
    last, since = _first_looks.get(path, ("", now))
    if last != repr(beat):
        since = now
    _first_looks[path] = (repr(beat), since)
    return now - since < _SILENCE * HEARTBEAT


def _take(path: Path, token: str) -> bool:
    """Create a lease, after removing one that nobody holds any more; False if it is taken.

    Args:
        path: path of the lease.
        token: random text that identifies it.
    """
    for _ in range(3):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            if _is_taken(path):
                return False
            try:
                path.unlink(missing_ok=True)
            except OSError:
                return True  # nobody works on it, so the work can be done without a lease
            continue
        os.close(handle)
        _write(path, token)
        return True
    return False


def _is_taken(path: Path) -> bool:
    lease = _read(path)
    if lease is None:
        return _is_young(path)  # another process may be writing it
    return _is_alive(path, lease)


def _is_young(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return 0 <= time.time() - path.stat().st_mtime + 1 < HEARTBEAT  # file times are coarse
    return False


def _write(path: Path, token: str) -> None:
    pid = os.getpid()
    status = _status(pid)
    born = status[1] if status else None
    lease = {"host": platform.node(), "pid": pid, "born": born, "boot": _boot(), "namespace": _namespace()}
    with contextlib.suppress(OSError):
        replace_text(path, to_text({**lease, "token": token, "heartbeat": time.time()}, ascii_only=True))


def _renew(path: Path, token: str, stop: threading.Event) -> None:
    """Write the heartbeat until ``stop`` is set, unless somebody else took the lease over.

    Args:
        path: path of the lease.
        token: token of our lease.
        stop: ends it.
    """
    while not stop.wait(HEARTBEAT):
        lease = _read(path)
        if lease is None or lease.get("token") == token:
            _write(path, token)
