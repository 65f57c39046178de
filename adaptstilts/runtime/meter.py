"""Seconds and memory that a phase takes."""

from __future__ import annotations

import ctypes
import gc
import resource
import time

import torch


class Meter:
    """Wall seconds and peak memory of one phase, above what the process used before.

    Args:
        device: of the phase; on a GPU its memory is measured, else the resident memory of the process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._earlier_seconds, self._earlier_peak = 0.0, 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_peak()
        self._bytes_before = self._bytes_now()
        self.start()

    def start(self) -> None:
        """Start the clock; what came before, such as loading a model, counts for memory only."""
        self._start = time.monotonic()

    def carry(self, seconds: float, peak: int) -> None:
        """Add what was measured before an interruption.

        Args:
            seconds: wall time.
            peak: bytes.
        """
        self._earlier_seconds, self._earlier_peak = seconds, peak

    @property
    def seconds(self) -> float:
        """Return the seconds so far, those before an interruption included."""
        return self._earlier_seconds + time.monotonic() - self._start

    @property
    def peak(self) -> int:
        """Return the peak bytes above those at the start."""
        return max(self._earlier_peak, self._bytes_at_peak() - self._bytes_before)

    def _bytes_at_peak(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return _process_bytes("VmHWM")

    def _bytes_now(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return _process_bytes("VmRSS")


def _reset_peak() -> None:
    """Give freed memory back and restart the kernel's high-water mark, so that a peak belongs to this phase."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except (OSError, AttributeError):  # not Linux
        return


def _process_bytes(name: str) -> int:
    """Return a memory figure of this process from the kernel's status file, else the peak that the system reports."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
