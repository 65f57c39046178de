"""Time to swap the intermediate adapter under a target adapter, compared with loading everything again.

``AdapterPool`` keeps the encoder and every adapter in memory, so a swap only activates another stack. A reload reads
the encoder's weights and both adapters from disk into a fresh ``Encoder``. Both must give the same hidden states, bit
for bit.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import (
    BASE,
    QUICK,
    RESULTS,
    SMALL,
    Size,
    arguments,
    heading,
    make_model,
    now,
    output_file,
    spread,
    with_bar,
    write,
)
from torch import Tensor

from adaptstilts import methods
from adaptstilts.methods import Method
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model, locate
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.store.store import Store
from adaptstilts.study import Train

DEFAULT = RESULTS / "swap.json"
METHODS = ("bottleneck", "lora")
INTERMEDIATES = ("mnli", "social_i_qa", "commonsense_qa", "squad", "udpos", "panx", "copa", "xnli", "xquad")
TARGET = "xcopa"
BAR = 100.0
NAMES = ("intermediate", "target")


@dataclass(frozen=True)
class Amount:
    """How much is timed.

    Attributes:
        intermediates: adapters that go under the target.
        swaps: passes over all of them.
        reloads: fresh encoders.
        sentences: sentences of the batch that is compared.
        tokens: tokens of a sentence.
    """

    intermediates: int = len(INTERMEDIATES)
    swaps: int = 20
    reloads: int = 10
    sentences: int = 4
    tokens: int = 32


@dataclass(frozen=True)
class Adapters:
    """Entries of one method.

    Attributes:
        method: the method.
        target: key of the target adapter.
        intermediates: keys of those that go under it.
    """

    method: Method
    target: str
    intermediates: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where adapters are read from and used.

    Attributes:
        store: folder of the adapters.
        model: the encoder.
        device: where it computes.
    """

    store: Store
    model: Model
    device: torch.device


# Inputs


def make_entry(store: Store, model: Model, method: Method, task: str, seed: int, stack: tuple[str, ...] = ()) -> str:
    """Commit an adapter with random weights as if a training phase had produced it.

    Args:
        store: where it goes.
        model: the encoder.
        method: the method.
        task: what it claims to be trained on.
        seed: of its weights.
        stack: keys of the adapters below it.

    Returns:
        Its key.
    """
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


def make_adapters(place: Place, kind: str, amount: Amount) -> Adapters:
    """Commit the intermediate adapters of one method, and a target adapter over the first.

    Args:
        place: store and encoder.
        kind: name of the method.
        amount: how many intermediates.
    """
    method = methods.parse({"kind": kind})
    intermediates: list[str] = []
    for seed, task in enumerate(INTERMEDIATES[: amount.intermediates]):
        intermediates.append(make_entry(place.store, place.model, method, task, seed))
    first = (intermediates[0],)
    target = make_entry(place.store, place.model, method, TARGET, len(intermediates), first)
    return Adapters(method, target, tuple(intermediates))


def make_batch(size: Size, amount: Amount, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw random token ids, and mask the second half of the last sentence as padding.

    Args:
        size: its vocabulary is the one tokens are drawn from.
        amount: sentences and tokens.
        device: where the batch goes.

    Returns:
        Token ids and mask (sentences, tokens).
    """
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(4, size.vocabulary, (amount.sentences, amount.tokens), generator=generator)
    mask = torch.ones_like(ids)
    half = amount.tokens // 2
    ids[-1, half:] = 1
    mask[-1, half:] = 0
    return ids.to(device), mask.to(device)


# Measuring


def reload(place: Place, adapters: Adapters, key: str) -> Encoder:
    """Read an encoder and two adapters from disk and activate the adapters.

    Args:
        place: store and encoder.
        adapters: the target is taken from these.
        key: of the intermediate adapter.
    """
    model = place.model
    encoder = Encoder(model.folder, adapters.method.backend, place.device, model.name)
    for name, entry in zip(NAMES, (key, adapters.target), strict=True):
        encoder.load(name, adapters.method, place.store.entry(entry).folder / "adapter")
    encoder.compose(NAMES)
    return encoder


def states(encoder: Encoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the hidden states of a batch.

    Args:
        encoder: the encoder, with its active adapters.
        batch: token ids and mask (sentences, tokens).
    """
    with torch.no_grad():
        return encoder.states(*batch)


def time_swaps(pool: AdapterPool, adapters: Adapters, amount: Amount) -> list[float]:
    """Time single swaps, each intermediate in turn; the first pass, which loads the adapters, does not count.

    Args:
        pool: encoder and adapters in memory.
        adapters: target and intermediates.
        amount: passes over the intermediates.

    Returns:
        Seconds of every swap.
    """
    seconds = []
    for turn in range(amount.swaps + 1):
        for key in adapters.intermediates:
            start = now(pool.device)
            pool.encoder(None, (key, adapters.target))
            if turn:
                seconds.append(now(pool.device) - start)
    return seconds


def time_reloads(place: Place, adapters: Adapters, amount: Amount) -> list[float]:
    """Time fresh encoders; the first, which fills the file cache, does not count.

    Args:
        place: store and encoder.
        adapters: target and intermediates.
        amount: how many reloads.

    Returns:
        Seconds of every reload.
    """
    seconds = []
    for turn in range(amount.reloads + 1):
        key = adapters.intermediates[turn % len(adapters.intermediates)]
        start = now(place.device)
        reload(place, adapters, key)
        if turn:
            seconds.append(now(place.device) - start)
    return seconds


def compare(pool: AdapterPool, place: Place, adapters: Adapters, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Compare hidden states after a swap with those of a reload, and those of the intermediates with each other.

    Args:
        pool: encoder and adapters in memory.
        place: store and encoder.
        adapters: target and intermediates.
        batch: token ids and mask (sentences, tokens).
    """
    swapped = [states(pool.encoder(None, (key, adapters.target)), batch) for key in adapters.intermediates]
    fresh = [states(reload(place, adapters, key), batch) for key in adapters.intermediates]
    gaps = [(a - b).abs().max().item() for a, b in itertools.combinations(fresh, 2)]
    return {
        "bit_equal": all(torch.equal(a, b) for a, b in zip(swapped, fresh, strict=True)),
        "compared": len(fresh),
        "smallest_difference_between_intermediates": min(gaps),
    }


def measure(place: Place, adapters: Adapters, size: Size, amount: Amount) -> dict[str, Any]:
    """Time swaps and reloads of one method, and compare their outputs.

    Args:
        place: store and encoder.
        adapters: target and intermediates.
        size: shape of the encoder.
        amount: how much is timed.
    """
    pool = AdapterPool(place.store, place.model, place.device)
    swaps = time_swaps(pool, adapters, amount)
    reloads = time_reloads(place, adapters, amount)
    ratio = {"median": statistics.median(reloads) / statistics.median(swaps)}
    return {
        "method": adapters.method.label,
        "swap_ms": spread([1000 * seconds for seconds in swaps]),
        "reload_ms": spread([1000 * seconds for seconds in reloads]),
        "ratio": with_bar(ratio, "median", ">=", BAR),
        "adapter_bytes": place.store.entry(adapters.target).bytes,
        "adapters_read": pool.loads,
        "outputs": compare(pool, place, adapters, make_batch(size, amount, place.device)),
    }


# Results


def same(result: dict[str, Any]) -> bool:
    """Return whether all outputs are bit-equal and the intermediates really differ."""
    outputs = [of_method["outputs"] for of_method in result["methods"].values()]
    return all(each["bit_equal"] and each["smallest_difference_between_intermediates"] > 0 for each in outputs)


def table(result: dict[str, Any]) -> str:
    """Format the result as text."""
    lines = [f"{'method':12} {'swap ms':>10} {'reload ms':>10} {'ratio':>8}   outputs"]
    for name, row in result["methods"].items():
        swap, load, ratio = row["swap_ms"]["median"], row["reload_ms"]["median"], row["ratio"]["median"]
        outputs = "bit-equal" if row["outputs"]["bit_equal"] else "DIFFERENT"
        outcome = "met" if row["ratio"]["met"] else "MISSED"
        times = f"{name:12} {swap:10.2f} {load:10.1f} x{ratio:7.0f}"
        lines.append(f"{times}   {outputs}; bar >= {BAR:.0f}: {outcome}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table and write JSON; return 1 if outputs differ."""
    options = arguments("Time to swap intermediate adapters, compared with reloading.", DEFAULT).parse_args(argv)
    size, amount = BASE, Amount()
    if options.quick:
        size, amount = SMALL, replace(amount, intermediates=3, swaps=2, reloads=2)
    start = time.monotonic()
    result = heading("swap", options)
    of_method = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = locate(str(make_model(work / "model", size)))
        place = Place(Store(work / "store"), model, torch.device(options.device))
        for kind in METHODS:
            adapters = make_adapters(place, kind, amount)
            of_method[kind] = measure(place, adapters, size, amount)
    shape = {key: getattr(size, key) for key in ("hidden", "layers", "heads", "vocabulary")}
    parameters = model.shape["parameters"]
    result |= {
        "settings": {**shape, **asdict(amount), "parameters": parameters, "files": "in the page cache"},
        "methods": of_method,
        "seconds": time.monotonic() - start,
    }
    write(result, output_file(options, DEFAULT))
    print(table(result) + (QUICK if options.quick else ""))
    return 0 if same(result) else 1


if __name__ == "__main__":
    raise SystemExit(main())
