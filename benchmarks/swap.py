"""Swapping the intermediate adapter under a target adapter, against loading everything again.

``AdapterPool`` keeps the encoder and every adapter in memory; a swap names another stack. Reloading reads the encoder's
weights and both adapters from disk into a fresh ``Encoder``. Both must give the same hidden states, bit for bit.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import BASE, QUICK, RESULTS, SMALL, Size, arguments, machine, make_model, now, spread, write
from torch import Tensor

from adaptstilts import methods
from adaptstilts.methods import Method
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model, locate
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.store.store import Store
from adaptstilts.study import Train

METHODS = ("bottleneck", "lora")
INTERMEDIATES = ("mnli", "social_i_qa", "commonsense_qa", "squad", "udpos", "panx", "copa", "xnli", "xquad")
TARGET = "xcopa"
BAR = 100.0
NAMES = ("intermediate", "target")


@dataclass(frozen=True)
class Amount:
    """How much is timed: ``swaps`` passes over all intermediates, and ``reloads`` fresh encoders."""

    intermediates: int = len(INTERMEDIATES)
    swaps: int = 20
    reloads: int = 10
    sentences: int = 4
    tokens: int = 32


@dataclass(frozen=True)
class Adapters:
    """Entries of one method: the target, and the intermediates that go under it."""

    method: Method
    target: str
    intermediates: tuple[str, ...]


# Inputs


def make_entry(store: Store, model: Model, method: Method, task: str, seed: int, stack: tuple[str, ...] = ()) -> str:
    """Commit an adapter with random weights as if a training phase had made it; returns its key."""
    phase = TrainPhase(
        task=task,
        rows=task,
        data={},
        model=model.fingerprint,
        method=method,
        settings=Train(),
        seed=seed,
        stack=stack,
    )
    encoder = Encoder(model.folder, method.backend, name=model.name)
    encoder.add(task, method, seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.delta(task).values():
            parameter.normal_(std=0.05)
    with store.stage(phase.key) as staging:
        encoder.save(task, staging / "adapter")
        store.commit(phase.key, phase.spec, staging)
    return phase.key


def make_adapters(store: Store, model: Model, kind: str, amount: Amount) -> Adapters:
    """A target adapter and the intermediates of one method."""
    method = methods.parse({"kind": kind})
    names = INTERMEDIATES[: amount.intermediates]
    under = tuple(make_entry(store, model, method, name, seed) for seed, name in enumerate(names))
    return Adapters(method, make_entry(store, model, method, TARGET, len(names), under[:1]), under)


def make_batch(size: Size, amount: Amount, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random token ids, and a mask under which the second half of one sentence is padding."""
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(4, size.vocabulary, (amount.sentences, amount.tokens), generator=generator)
    mask = torch.ones_like(ids)
    ids[-1, amount.tokens // 2 :], mask[-1, amount.tokens // 2 :] = 1, 0
    return ids.to(device), mask.to(device)


# Measuring


def reload(store: Store, model: Model, adapters: Adapters, key: str, device: torch.device) -> Encoder:
    """A fresh encoder from disk with two adapters acting."""
    encoder = Encoder(model.folder, adapters.method.backend, device, model.name)
    for name, entry in zip(NAMES, (key, adapters.target), strict=True):
        encoder.load(name, adapters.method, store.entry(entry).folder / "adapter")
    encoder.compose(NAMES)
    return encoder


def states(encoder: Encoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Hidden states of the batch."""
    with torch.no_grad():
        return encoder.states(*batch)


def time_swaps(resident: AdapterPool, adapters: Adapters, amount: Amount) -> list[float]:
    """Seconds of single swaps, every intermediate in turn; all are in memory before the first one counts."""
    seconds = []
    for turn in range(amount.swaps + 1):
        for key in adapters.intermediates:
            start = now(resident.device)
            resident.encoder(None, (key, adapters.target))
            if turn:
                seconds.append(now(resident.device) - start)
    return seconds


def time_reloads(store: Store, model: Model, adapters: Adapters, amount: Amount, device: torch.device) -> list[float]:
    """Seconds of fresh encoders, the first one (which fills the file cache) not counted."""
    seconds = []
    for turn in range(amount.reloads + 1):
        key = adapters.intermediates[turn % len(adapters.intermediates)]
        start = now(device)
        reload(store, model, adapters, key, device)
        if turn:
            seconds.append(now(device) - start)
    return seconds


def compare(
    resident: AdapterPool, store: Store, model: Model, adapters: Adapters, batch: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Whether every swap gives the hidden states of a fresh load, and every intermediate others."""
    swapped = [states(resident.encoder(None, (key, adapters.target)), batch) for key in adapters.intermediates]
    fresh = [states(reload(store, model, adapters, key, resident.device), batch) for key in adapters.intermediates]
    gap = min((a - b).abs().max().item() for i, a in enumerate(fresh) for b in fresh[:i])
    return {
        "bit_equal": all(torch.equal(a, b) for a, b in zip(swapped, fresh, strict=True)),
        "compared": len(fresh),
        "smallest_difference_between_intermediates": gap,
    }


def measure(
    store: Store, model: Model, adapters: Adapters, size: Size, amount: Amount, device: torch.device
) -> dict[str, Any]:
    """Swaps against reloads for one method, and whether their outputs are the same."""
    resident = AdapterPool(store, model, device)
    swaps = time_swaps(resident, adapters, amount)
    reloads = time_reloads(store, model, adapters, amount, device)
    ratio = statistics.median(reloads) / statistics.median(swaps)
    return {
        "method": adapters.method.label,
        "swap_ms": spread([1000 * seconds for seconds in swaps]),
        "reload_ms": spread([1000 * seconds for seconds in reloads]),
        "ratio": {"median": ratio, "bar": BAR, "met": ratio >= BAR},
        "adapter_bytes": store.entry(adapters.target).bytes,
        "adapters_read": resident.loads,
        "outputs": compare(resident, store, model, adapters, make_batch(size, amount, device)),
    }


# Results


def same(result: dict[str, Any]) -> bool:
    """Whether all outputs were bit-equal, and the intermediates really differed."""
    outputs = [held["outputs"] for held in result["methods"].values()]
    return all(held["bit_equal"] and held["smallest_difference_between_intermediates"] > 0 for held in outputs)


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'method':12} {'swap ms':>10} {'reload ms':>10} {'ratio':>8}   outputs"]
    for name, held in result["methods"].items():
        ratio, equal = held["ratio"], held["outputs"]["bit_equal"]
        lines.append(
            f"{name:12} {held['swap_ms']['median']:10.2f} {held['reload_ms']['median']:10.1f} x{ratio['median']:7.0f}"
            f"   {'bit-equal' if equal else 'DIFFERENT'}; bar >= {BAR:.0f}: {'met' if ratio['met'] else 'MISSED'}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON; 1 when outputs differ."""
    default = RESULTS / "swap.json"
    options = arguments("Swapping intermediate adapters against reloading", default).parse_args(argv)
    size, amount = BASE, Amount()
    if options.quick:
        size, amount = SMALL, replace(amount, intermediates=3, swaps=2, reloads=2)
    began, about, device = time.monotonic(), machine(options.device), torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = locate(str(make_model(work / "model", size)))
        store = Store(work / "store")
        found = {
            kind: measure(store, model, make_adapters(store, model, kind, amount), size, amount, device)
            for kind in METHODS
        }
    shape = {key: getattr(size, key) for key in ("hidden", "layers", "heads", "vocabulary")}
    result = {
        "benchmark": "swap",
        "quick": options.quick,
        "machine": about,
        "settings": {**shape, **asdict(amount), "parameters": model.shape["parameters"], "files": "in the page cache"},
        "methods": found,
        "seconds": time.monotonic() - began,
    }
    write(result, options.out or (None if options.quick else default))
    print(table(result) + (QUICK if options.quick else ""))
    return 0 if same(result) else 1


if __name__ == "__main__":
    raise SystemExit(main())
