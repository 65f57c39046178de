"""What every phase works with: the workspace, the model, its tokenizer, features read once, and how to report."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.sources import Split
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.models.batching import Features
from adaptstilts.models.locate import Model
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.runtime.adapter_pool import Resident
from adaptstilts.runtime.loggers import Logger, select
from adaptstilts.store.cache import StateCache
from adaptstilts.study import Precision
from adaptstilts.tasks import Source, Task, kind_specs
from adaptstilts.workspace import Workspace

CACHED_FEATURES = 256
CACHE_GIB = 8.0


class Runtime:
    """Shared by the phases of one process.

    Args:
        workspace: store, data and models.
        model: the base model; None where no phase has one.
        report: called with one line of progress and, while counting, how much of how much is done.
        stop: asked at every step; True makes a phase write a checkpoint and stop.
        checkpoint_every: steps between two checkpoints; None for one per ``checkpoint_seconds``.
        cache_gib: how much the hidden states that are kept for later phases may take on disk.
        loggers: what receives the curves of training phases, by name or as instances; ``jsonl`` is always on.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: Model | None,
        report: Callable[[str, int, int], None] = lambda line, done, total: None,
        stop: Callable[[], bool] = lambda: False,
        checkpoint_every: int | None = None,
        checkpoint_seconds: float = 60.0,
        device: str | None = None,
        cache_gib: float = CACHE_GIB,
        loggers: Sequence[str | Logger] = (),
    ) -> None:
        self.workspace, self.report, self.stop = workspace, report, stop
        self._model, self._cache_gib = model, cache_gib
        self.checkpoint_every, self.checkpoint_seconds = checkpoint_every, checkpoint_seconds
        self.device = _device(device)
        self.loggers = select(loggers)
        self._labelled: dict[str, Task] = {}
        self._features: OrderedDict[tuple[object, ...], tuple[Examples, Features]] = OrderedDict()

    @property
    def model(self) -> Model:
        """The base model."""
        assert self._model is not None  # noqa: S101
        return self._model

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the base model."""
        return Tokenizer(self.model.folder, self.model.architecture.text_format)

    @cached_property
    def adapter_pool(self) -> Resident:
        """The encoder and the adapters that phases of this process share; made at first use."""
        return Resident(self.workspace.store, self.model, self.device)

    @cached_property
    def trunk_cache(self) -> StateCache:
        """Hidden states of frozen lower layers."""
        about = {**environment(self.device), "instructions": torch.backends.cpu.get_cpu_capability()}
        return StateCache(self.workspace.store.states, self._cache_gib, about)

    def split(self, task: Task, source: Source, expected: str) -> Split:
        """A split whose content is the one that the phase's key was made from.

        Raises:
            DataError: it is not.
        """
        split = self.workspace.sources.get(source)
        if split.identity(task.version) != expected:
            raise DataError(f"{source}: the files changed since the plan was made; run the command again")
        return split

    def task(self, name: str) -> Task:
        """A task as declared; where its labels are open, with those that its rows have, in alphabetical order."""
        task = tasks.get(name)
        if not task.open_labels:
            return task
        if name not in self._labelled:
            self._labelled[name] = replace(task, labels=tuple(sorted(self._labels_in_rows(task))))
        return self._labelled[name]

    def _labels_in_rows(self, task: Task) -> set[str]:
        """Return the labels that the training and dev rows of a task have."""
        field = kind_specs.get(task.kind).label_field
        labels: set[str] = set()
        for source in (task.train, task.dev):
            if source is None or field is None:
                continue
            split = self.workspace.sources.get(task.fill(source))
            for row in read(split, task, kinds.get(task.kind).check).rows:
                labels.update(row[field] if isinstance(row[field], list) else [row[field]])
        return labels

    def rows(
        self,
        task: Task,
        source: Source,
        expected: str,
        max_length: int,
        limit: int | None = None,
        seed: object = "subset",
    ) -> tuple[Examples, Features]:
        """Examples and features of a split, kept for the next phase that asks for the same; see :meth:`split`."""
        split = self.split(task, source, expected)
        key = (task.name, *task.columns.values(), split.digest, split.source, max_length, limit, seed)
        if key not in self._features:
            kind = kinds.trainable(task.kind)
            examples = read(split, task, kind.check, limit, seed)
            self._features[key] = examples, kind.features(examples.rows, self.tokenizer, task, max_length)
            while len(self._features) > CACHED_FEATURES:
                self._features.popitem(last=False)
        self._features.move_to_end(key)
        return self._features[key]


def _device(name: str | None) -> torch.device:
    """A torch device by its name, the GPU where there is one for None.

    Raises:
        ConfigError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r}: expected cpu, or cuda where torch sees a GPU ({told})") from None
    return found


def half_precision(precision: Precision, device: torch.device) -> bool:
    """Whether bf16 autocast is used: always for ``bf16``, where the hardware has it for ``auto``."""
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
    return precision == "bf16"


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


class Meter:
    """Wall seconds (monotonic) and peak memory of one phase, above what the process held when it was made."""

    def __init__(self, device: torch.device) -> None:
        self.device, self._before, self._peak = device, 0.0, 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _release()
        self._held = self._now()
        self.start()

    def start(self) -> None:
        """Start the clock: what came before (loading a model, say) counts for memory only."""
        self._start = time.monotonic()

    def carry(self, seconds: float, peak: int) -> None:
        """Add what was measured before an interruption."""
        self._before, self._peak = seconds, peak

    @property
    def seconds(self) -> float:
        """Seconds so far, those before an interruption included."""
        return self._before + time.monotonic() - self._start

    @property
    def peak(self) -> int:
        """Peak bytes above those at the start: GPU memory on a GPU, else resident memory."""
        top = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _status("VmHWM")
        return max(self._peak, top - self._held)

    def _now(self) -> int:
        return torch.cuda.memory_allocated(self.device) if self.device.type == "cuda" else _status("VmRSS")


def _release() -> None:
    """Give freed memory back and restart the kernel's high-water mark, so that a peak is this phase's own."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except (OSError, AttributeError):
        return


def _status(name: str) -> int:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def environment(device: torch.device) -> dict[str, object]:
    """What results may depend on beside the spec: versions, device, threads. No names of hosts, users or paths."""
    import platform
    from importlib.metadata import version

    names = ("adaptstilts", "torch", "transformers", "adapters", "peft", "datasets")
    return {
        "versions": {name: version(name) for name in names},
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
