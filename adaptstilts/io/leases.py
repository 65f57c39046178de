"""Leases: small files that say which process works on something. Advice only: correctness never depends on them."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.files import replace_text
from adaptstilts.io.json import read_object, to_text

HEARTBEAT = 10.0  # seconds between renewals


@contextlib.contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Hold a lease within the block, renewed by a thread; yield False if another live process holds it."""
    if not _take(path):
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_renew, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        stop.set()
        beat.join()
        path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """Return ``host:pid`` of the live process that holds a lease; None if there is none."""
    lease = _read(path)
    if lease is None or not _is_alive(lease):
        return None
    return f"{lease.get('host')}:{lease.get('pid')}"


def _boot() -> str:
    """Return what identifies this boot of this machine; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _born(pid: int) -> str | None:
    """Return the start time of a process, which tells it from a later one with the same number."""
    with contextlib.suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    return None


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(ArtifactError):
        return read_object(path, "lease")
    return None


def _is_alive(lease: dict[str, Any]) -> bool:
    """Return whether the process of a lease may still run.

    On this host its number and start time decide; elsewhere, whether its heartbeat is recent.
    """
    if lease.get("host") != platform.node():
        beat = lease.get("heartbeat")
        return isinstance(beat, int | float) and time.time() - beat < 3 * HEARTBEAT
    pid = lease.get("pid")
    if lease.get("boot") != _boot() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return lease.get("born") in (None, _born(pid))


def _take(path: Path) -> bool:
    """Create a lease, after removing one that nobody holds any more; False if it is taken."""
    for _ in range(3):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            if _is_taken(path):
                return False
            path.unlink(missing_ok=True)
            continue
        os.close(handle)
        _write(path)
        return True
    return False


def _is_taken(path: Path) -> bool:
    lease = _read(path)
    if lease is None:
        return _is_young(path)  # it may be one that is being written
    return _is_alive(lease)


def _is_young(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime < HEARTBEAT
    return False


def _write(path: Path) -> None:
    pid = os.getpid()
    lease = {"host": platform.node(), "pid": pid, "born": _born(pid), "boot": _boot(), "heartbeat": time.time()}
    with contextlib.suppress(OSError):
        replace_text(path, to_text(lease, ascii_only=True))


def _renew(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        _write(path)
