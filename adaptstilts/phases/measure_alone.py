"""Measure a trained target in this process: ``python -m adaptstilts.phases.measure_alone`` reads a job, writes JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from adaptstilts import kinds
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.kinds.base import Trainable
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.base import MergesIntoEncoder
from adaptstilts.models.batching import Features
from adaptstilts.models.building import load_encoder
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.phases.evaluate import target_encoder, train_settings
from adaptstilts.plan.measures import MeasurePhase
from adaptstilts.plan.phases import parse
from adaptstilts.runtime import energy
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.meter import ProcessMemory
from adaptstilts.store.contents import Latency, Measured
from adaptstilts.workspace import Workspace

_COUNTED = 16  # rows whose operations are counted


class Loaded:
    """A target that is ready to run.

    Args:
        phase: says which.
        runtime: with its store and model.
    """

    def __init__(self, phase: MeasurePhase, runtime: Runtime) -> None:
        self.runtime = runtime
        target = runtime.workspace.store.entry(phase.target)
        self.encoder: Encoder = target_encoder(phase, target, runtime.adapter_pool, phase.language)
        self.head: nn.Module = runtime.adapter_pool.head(self.encoder, phase.target, runtime.task(phase.task))
        if phase.merged and isinstance(phase.method, MergesIntoEncoder):
            phase.method.merge_into(self.encoder.host)
        self.bf16 = half_precision(phase.settings.precision, runtime.device)
        self.kind: Trainable = kinds.trainable(runtime.task(phase.task).kind)

    def run(self, features: Features) -> list[Any]:
        """Return the outputs for some features, when they are there."""
        pad = self.runtime.tokenizer.pad
        outputs = predict(self.encoder, self.head, self.kind, features, pad, self.bf16)
        if self.runtime.device.type == "cuda":
            torch.cuda.synchronize(self.runtime.device)
        return outputs


def measure_alone(phase: MeasurePhase, runtime: Runtime) -> Measured:
    """Measure a target in this process.

    Args:
        phase: names the target and the rows.
        runtime: of this process, which has loaded nothing yet.
    """
    busy = os.getloadavg()[0]
    rows = _rows(phase, runtime)
    _load_libraries(phase, runtime)
    memory = ProcessMemory(runtime.device)
    loaded, seconds, cpu_seconds = _timed(lambda: Loaded(phase, runtime))
    load_bytes = max(0, memory.peak)
    whole = _joined(rows)
    loaded.run(whole)  # warm-up
    single = _single_stream(loaded, rows)
    times = _offline(loaded, whole, len(rows), phase)
    peak = max(0, memory.peak)
    return {
        "load_seconds": seconds,
        "load_cpu_seconds": cpu_seconds,
        "load_bytes": load_bytes,
        "peak_bytes": peak,
        "single": single,
        "rows_per_second": times["rows"] / times["seconds"],
        "cpu_seconds_per_1000": 1000 * times["cpu_seconds"] / times["rows"],
        "flops_per_row": _operations(loaded, rows[:_COUNTED]),
        "joules_per_1000": 1000 * times["joules"] / times["rows"] if "joules" in times else None,
        "rows": len(rows),
        "tokens": int(sum(whole.lengths)),
        "load_average": busy,
    }


def _load_libraries(phase: MeasurePhase, runtime: Runtime) -> None:
    """Load the base model once and forget it, so that neither the time nor the memory of libraries counts."""
    if isinstance(phase.method, AdapterMethod) and phase.method.backend in ("adapters", "peft"):
        importlib.import_module(phase.method.backend)
    load_encoder(runtime.model.checked_folder())


def _rows(phase: MeasurePhase, runtime: Runtime) -> list[Features]:
    """Return the features of every row by itself."""
    task = runtime.task(phase.task)
    assert task.test is not None  # noqa: S101
    target = runtime.workspace.store.entry(phase.target)
    length = phase.max_length or train_settings(runtime.workspace.store, target).max_length
    source = task.fill(task.test, phase.language)
    examples, _ = runtime.rows(task, source, phase.data[phase.language], length, phase.settings.rows)
    kind = kinds.trainable(task.kind)
    return [kind.features([row], runtime.tokenizer, task, length) for row in examples.rows]


def _joined(rows: Sequence[Features]) -> Features:
    """Return the features of all rows together."""
    first, *others = rows
    items = [*first.items]
    for other in others:
        items += other.items
    return Features(items, sum(row.truncated for row in rows), {})


def _timed(work: Callable[[], Loaded]) -> tuple[Loaded, float, float]:
    """Return the result of some work, and its seconds by the clock and of the processor."""
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - cpu_start


def _single_stream(loaded: Loaded, rows: Sequence[Features]) -> Latency:
    """Return how long rows take one by one, in milliseconds."""
    walls, cpu_start = [], time.process_time()
    for row in rows:
        start = time.perf_counter()
        loaded.run(row)
        walls.append(1000 * (time.perf_counter() - start))
    p50, p90, p99 = np.quantile(walls, [0.5, 0.9, 0.99])
    return {
        "p50": float(p50),
        "p90": float(p90),
        "p99": float(p99),
        "cpu": 1000 * (time.process_time() - cpu_start) / len(rows),
    }


def _offline(loaded: Loaded, whole: Features, count: int, phase: MeasurePhase) -> dict[str, float]:
    """Run all rows in batches until the time is up, and return rows, seconds, CPU seconds and joules if counted."""
    counter = energy.counter(phase.machine.get("device", "cpu"))
    start, cpu_start = time.perf_counter(), time.process_time()
    done = 0
    while done == 0 or time.perf_counter() - start < phase.settings.seconds:
        loaded.run(whole)
        done += count
    times = {"rows": float(done), "seconds": time.perf_counter() - start}
    times["cpu_seconds"] = time.process_time() - cpu_start
    if counter is not None:
        times["joules"] = counter.joules()
    return times


def _operations(loaded: Loaded, rows: Sequence[Features]) -> float:
    """Return the mean floating-point operations of single rows."""
    with FlopCounterMode(display=False) as counter:
        for row in rows:
            loaded.run(row)
    return float(counter.get_total_flops()) / len(rows)


def _runtime(job: Mapping[str, Any], phase: MeasurePhase) -> Runtime:
    threads = phase.machine.get("threads")
    if threads:
        torch.set_num_threads(int(threads))
    workspace = Workspace(job["store"], job["data_root"], offline=job["offline"], create=False)
    model = locate(job["model"], offline=True, memory=workspace.memory, cache=workspace.prepared)
    return Runtime(workspace, model, device=phase.machine.get("device"))


def main() -> None:
    """Read a job from the standard input, and write what was measured to the standard output."""
    job = json.load(sys.stdin)
    try:
        phase = parse(job["spec"])
        assert isinstance(phase, MeasurePhase)  # noqa: S101
        measured = measure_alone(phase, _runtime(job, phase))
    except AdaptstiltsError as error:
        sys.exit(str(error))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
