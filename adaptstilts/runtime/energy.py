"""Counters of energy: RAPL of processors and NVML of NVIDIA's GPUs, where the machine has them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Protocol

_RAPL = Path("/sys/class/powercap")
_NVML = "libnvidia-ml.so.1"


class Counter(Protocol):
    """A counter of energy."""

    def joules(self) -> float:
        """Return the energy since this counter was made."""


class Rapl:
    """The processor packages of this machine; all processes count.

    Args:
        zones: folders of the kernel, one for each package.
    """

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._before = [_number(zone / "energy_uj") for zone in zones]

    def joules(self) -> float:
        """Return the energy since this counter was made; one that ran over its end started again at zero."""
        total = 0
        for zone, before in zip(self._zones, self._before, strict=True):
            now = _number(zone / "energy_uj")
            total += now - before if now >= before else now + _number(zone / "max_energy_range_uj") - before
        return total / 1e6


class Nvml:
    """The first GPU; all processes count.

    Args:
        library: NVML, initialized.
        device: its handle of the GPU.
    """

    def __init__(self, library: ctypes.CDLL, device: ctypes.c_void_p) -> None:
        self._library, self._device = library, device
        self._before = self._millijoules()

    def joules(self) -> float:
        """Return the energy since this counter was made."""
        return (self._millijoules() - self._before) / 1e3

    def _millijoules(self) -> int:
        value = ctypes.c_ulonglong()
        if self._library.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(value)):
            raise OSError("the GPU has no counter of energy")
        return value.value


def counter(device: str, folder: Path = _RAPL) -> Counter | None:
    """Return a counter that starts now; None if there is none.

    Args:
        device: ``cuda`` for the GPU's, else the processor's.
        folder: where the kernel has those of processors.
    """
    try:
        return _nvml() if device == "cuda" else _rapl(folder)
    except (OSError, ValueError, AttributeError):
        return None


def _rapl(folder: Path) -> Rapl | None:
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
    return Rapl(zones) if zones else None


def _nvml() -> Nvml | None:
    library = ctypes.CDLL(_NVML)
    device = ctypes.c_void_p()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)):
        return None
    return Nvml(library, device)


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
