"""Leases: one small file that says which process works on something. Advisory only: correctness never rests on it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptstilts.io.files import replace_text

HEARTBEAT = 10.0


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lease within the block, renewed by a thread; yields False when another live process holds it."""
    if not _take(path):
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        stop.set()
        beat.join()
        path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """``host:pid`` of the live process that holds a lease."""
    found = _read_lease(path)
    return f"{found.get('host')}:{found.get('pid')}" if found and _alive(found) else None


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _born(pid: int) -> str | None:
    """When a process started, so that another one with the same number is not taken for it (containers reuse them)."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return None


def _read_lease(path: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return held if isinstance(held, dict) else None
    except (OSError, ValueError):
        return None


def _alive(held: dict[str, Any]) -> bool:
    """Whether a lease's process may still run: by pid and start time on this host, by missed heartbeats elsewhere."""
    if held.get("host") == platform.node():
        if held.get("boot") != _boot():
            return False
        pid = held.get("pid")
        if not isinstance(pid, int) or pid <= 0:
            return False
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        except (OSError, OverflowError):
            return False
        return held.get("born") in (None, _born(pid))
    beat = held.get("heartbeat")
    return isinstance(beat, int | float) and time.time() - beat < 3 * HEARTBEAT


def _take(path: Path) -> bool:
    for _ in range(3):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            held = _read_lease(path)
            if held and _alive(held):
                return False
            if held is None and _young(path):
                return False
            path.unlink(missing_ok=True)
            continue
        os.close(handle)
        _beat(path)
        return True
    return False


def _young(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime < HEARTBEAT
    return False


def _beat(path: Path) -> None:
    pid = os.getpid()
    held = {"host": platform.node(), "pid": pid, "born": _born(pid), "boot": _boot(), "heartbeat": time.time()}
    with contextlib.suppress(OSError):
        replace_text(path, json.dumps(held))


def _heartbeat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        _beat(path)
