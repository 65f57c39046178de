"""Seconds and memory that a phase takes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Work:
    """Some work of a phase, described by what its memory depends on.

    Attributes:
        sort: kind of work, such as the steps of one task.
        load: sizes with which its memory grows.
    """

    sort: str
    load: tuple[int, ...] = ()


class Meter:
    """Wall seconds, CPU seconds and peak memory of one phase.

    The peak is that of tensors: weights, optimizer state, gradients and activations. Neither the libraries nor what
    earlier phases of the process left behind count, so a phase has the same peak wherever it runs in a plan. On a GPU,
    torch's allocator measures it. On the CPU every allocation is recorded, but only during the heaviest work so far.

    Args:
        device: device of the phase.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._seconds = self._cpu_seconds = 0.0
        self._peak = 0
        self._heaviest: dict[tuple[str, int], tuple[int, ...]] = {}
        self._gpu = ProcessMemory(device) if device.type == "cuda" else None
        self.start()

    def start(self) -> None:
        """Start the clocks; what came before, such as loading a model, does not count."""
        self._start, self._cpu_start = time.monotonic(), time.process_time()

    def carry(self, seconds: float, cpu_seconds: float, peak: int) -> None:
        """Add what was measured before an interruption.

        Args:
            seconds: wall time.
            cpu_seconds: CPU time.
            peak: bytes.
        """
        self._seconds, self._cpu_seconds, self._peak = seconds, cpu_seconds, peak

    @property
    def seconds(self) -> float:
        """Return the wall seconds so far, those before an interruption included."""
        return self._seconds + time.monotonic() - self._start

    @property
    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far of all threads of the process, those before an interruption included."""
        return self._cpu_seconds + time.process_time() - self._cpu_start

    @property
    def peak(self) -> int:
        """Return the largest number of bytes so far."""
        return max(self._peak, self._gpu.peak) if self._gpu else self._peak

    @contextlib.contextmanager
    def watch(self, work: Work, tensors: Callable[[], Iterable[Tensor]]) -> Iterator[None]:
        """Measure the memory of some work, unless work of its sort was measured that is at least as heavy.

        Args:
            work: the work.
            tensors: returns the tensors that are in memory before and after it, such as weights.
        """
        if self._gpu or torch._C._autograd._profiler_enabled():
            yield
            return
        stays, load = tensor_bytes(tensors()), work.load
        before = self._heaviest.get((work.sort, stays))
        if before is not None and all(new <= old for new, old in zip(load, before, strict=True)):
            yield
            return
        self._heaviest[work.sort, stays] = tuple(map(max, load, before or load))
        with _recorded() as largest:
            yield
        self._peak = max(self._peak, stays + largest())


class ProcessMemory:
    """Peak memory of this process above what it used at the start; for a process that does nothing else.

    Args:
        device: on a GPU its memory is measured, else the resident memory of the process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_peak()
        self._before = self._now()

    @property
    def peak(self) -> int:
        """Return the peak bytes above those at the start."""
        return self._at_peak() - self._before

    def _at_peak(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return _process_bytes("VmHWM")

    def _now(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return _process_bytes("VmRSS")


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors; of those at the same address only the largest counts."""
    sizes: dict[int, int] = {}
    for tensor in tensors:
        address = tensor.data_ptr()
        sizes[address] = max(tensor.nbytes, sizes.get(address, 0))
    return sum(sizes.values())


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """Yield the tensors of an optimizer's state."""
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))


@contextlib.contextmanager
def _recorded() -> Iterator[Callable[[], int]]:
    """Record allocations of tensors on the CPU.

    Yields:
        A function that returns, afterwards, the most bytes that were allocated at a time.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # otherwise the recorder announces itself on stderr
    recorder = torch.autograd.profiler.profile(use_cpu=True, profile_memory=True, use_kineto=True)
    with recorder:
        yield lambda: _largest(recorder)


def _largest(recorder: torch.autograd.profiler.profile) -> int:
    """Return the most bytes that were allocated at a time while a recorder was on."""
    results = recorder.kineto_results
    events: list[Any] = results.events() if results else []
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _reset_peak() -> None:
    """Give freed memory back and restart the kernel's high-water mark."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except (OSError, AttributeError):  # not on Linux
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
