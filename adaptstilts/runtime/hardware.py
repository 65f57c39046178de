"""The device that phases run on, its precision, and other facts that results may depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from adaptstilts.errors import ConfigError
from adaptstilts.study import Precision

_LIBRARIES = ("adaptstilts", "torch", "transformers", "adapters", "peft", "datasets")


def find_device(name: str | None) -> torch.device:
    """Return a torch device by its name; None for the GPU if there is one, else the CPU.

    Raises:
        ConfigError: torch has no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r}: expected cpu, or cuda where torch sees a GPU ({reason})") from None
    return device


def half_precision(precision: Precision, device: torch.device) -> bool:
    """Return whether to use bf16 autocast: always for ``bf16``, and for ``auto`` if the hardware has it.

    Args:
        precision: as study files give it.
        device: where the phase runs.
    """
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
    return precision == "bf16"


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


def environment(device: torch.device) -> dict[str, object]:
    """Return versions, device and threads, which results may depend on; no names of hosts, users or paths."""
    return {
        "versions": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
