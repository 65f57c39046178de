"""What measured times depend on besides the work, as content keys have it: device, processor, threads, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Device = Literal["cpu", "cuda"]

_LIBRARIES = ("adaptstilts", "torch", "transformers", "adapters", "peft")
_NVIDIA = Path("/proc/driver/nvidia")


def machine(device: Device | None, threads: int | None) -> dict[str, str]:
    """Return what a measure phase is about beside its target; torch is not imported.

    Args:
        device: as the study has it; None for the GPU if there is one.
        threads: as the study has them; None for all that this process may use.
    """
    chosen = device or ("cuda" if (_NVIDIA / "version").exists() else "cpu")
    facts = {"device": chosen, "processor": _gpu() if chosen == "cuda" else _processor()}
    facts["threads"] = str(threads or usable_threads())
    for name in _LIBRARIES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def usable_threads() -> int:
    """Return the threads that torch would use: those that the environment asks for, else all processors."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else len(os.sched_getaffinity(0))


def _processor() -> str:
    return _line(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine()


def _gpu() -> str:
    places = sorted((_NVIDIA / "gpus").glob("*/information"))
    return _line(places[0], "Model") if places else "unknown"


def _line(path: Path, name: str) -> str:
    """Return the value of a line ``name : value`` of one of the kernel's files; empty if there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return values[0] if values else ""
