"""Compare every method with full fine-tuning: time of a step, peak memory, and what cached hidden states save.

One process times the steps, in groups that fit into memory. In every round of a group, the variants take one step each,
full fine-tuning first, and a ratio compares two steps of the same round. All rows have the same length. Peak memory is
measured in one process per variant.

Two comparisons run end to end. Training with everything the package offers (rows of similar length together, bf16, the
lower half of the layers computed once) is compared with full fine-tuning as it is usually run. Evaluating a target
adapter over nine intermediate ones, with the lower half of the layers computed once, is compared with nine separate
passes.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from common import (
    BASE,
    LENGTHS,
    QUICK,
    RESULTS,
    SMALL,
    Size,
    arguments,
    draw_lengths,
    heading,
    make_data,
    make_model,
    now,
    output_file,
    peak_in_new_process,
    ratios,
    spread,
    verdict,
    with_bar,
    write,
)
from training import Timed, Variant, by_round, make_trainer

from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.models.batching import Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.train import Trainer
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.layer_cache import FrozenLayers
from adaptstilts.runtime.loop import Loop
from adaptstilts.runtime.meter import ProcessMemory
from adaptstilts.store.cache import StateCache

FP32 = {"precision": "fp32"}
KEPT = {**FP32, "cache": True}


def bottleneck(layers: int = 0, **settings: Any) -> dict[str, Any]:
    """Return the settings of a bottleneck adapter that leaves out a number of the lowest layers."""
    return {"kind": "bottleneck", "leave_out": list(range(layers)), **settings}


FULL = "full"
VARIANTS = {
    FULL: Variant("full", FP32, "every weight"),
    "full, embeddings frozen": Variant({"kind": "full", "freeze_embeddings": True}, FP32, ""),
    "full, 6 layers frozen": Variant({"kind": "full", "freeze_embeddings": True, "freeze_layers": 6}, FP32, ""),
    "head": Variant("head", FP32, "nothing of the encoder"),
    "bottleneck seq": Variant(bottleneck(), FP32, ""),
    "bottleneck double": Variant(bottleneck(placement="double"), FP32, ""),
    "bottleneck parallel": Variant(bottleneck(placement="parallel"), FP32, ""),
    "compacter": Variant("compacter", FP32, ""),
    "lora": Variant("lora", FP32, ""),
    "lora dora": Variant({"kind": "lora", "dora": True}, FP32, ""),
    "ia3": Variant("ia3", FP32, ""),
    "prefix": Variant("prefix", FP32, ""),
    "bitfit": Variant("bitfit", FP32, ""),
    "layernorm": Variant("layernorm", FP32, ""),
    "stack of two": Variant(bottleneck(), FP32, "over a frozen intermediate adapter", stacked=True),
    "leave out 6": Variant(bottleneck(6), FP32, "no adapter in the lower 6 layers"),
    "leave out 6, kept": Variant(bottleneck(6), KEPT, "whose hidden states are computed once"),
    "leave out 9, kept": Variant(bottleneck(9), KEPT, "the same with 9 layers"),
}
BARS = {"leave out 6": 0.48, "leave out 6, kept": 0.36, "leave out 9, kept": 0.18}
GROUP = 5
QUICKLY = (FULL, "stack of two", "leave out 6, kept")  # what --quick runs
WHOLE = {
    "full": Variant("full", {**FP32, "padding": "fixed"}, "every batch padded to 128, fp32"),
    "kept": Variant(bottleneck(6), {"cache": True}, "bucketed, auto precision, lower 6 layers computed once"),
}
EPOCHS = 3
INCLUDED = "kept, first pass included"
WHOLE_BAR = 15.0
INTERMEDIATES, FEW = 9, 2  # the latter with --quick
SHARED_BAR = 0.55
STEPS = replace(BASE, batch=8, rounds=5, batches=1, memory_steps=2)
TINY = replace(SMALL, hidden=128, layers=12, batches=1)


# Time and memory of a step


def step(trainer: Trainer, number: int) -> float:
    """Take one training step and return its seconds.

    Args:
        trainer: the variant.
        number: number of the step.
    """
    loop = Loop(trainer)
    loop.done = number
    start = now(trainer.encoder.device)
    loop.step()
    return now(trainer.encoder.device) - start


def times(size: Size, work: Path, device: str, names: Sequence[str]) -> dict[str, Any]:
    """Time a step of every variant, as seconds and as a share of full fine-tuning's in the same round.

    Args:
        size: number of rounds and batch size.
        work: folder with the model and the data.
        device: torch device.
        names: variants.
    """
    rows: dict[str, Any] = {}
    others = [name for name in names if name != FULL]
    for i in range(0, len(others), GROUP):
        group = (FULL, *others[i : i + GROUP])
        trainers = {name: make_trainer(VARIANTS[name], size, work, "even", device) for name in group}
        seconds: dict[str, list[float]] = {name: [] for name in trainers}
        for number in range(1 + size.rounds):
            for name, trainer in trainers.items():
                seconds[name].append(step(trainer, number))
        for name, trainer in trainers.items():
            taken, full = seconds[name][1:], seconds[FULL][1:]  # the first step is the warm-up, and fills caches
            row = {
                "seconds": spread(taken),
                "of_full": with_bar(spread(ratios(taken, full)), "median", "<=", BARS.get(name)),
                "trainable": sum(p.numel() for p in trainer.parameters.values()),
                "note": VARIANTS[name].note,
            }
            rows.setdefault(name, row)
        del trainers, trainer
        gc.collect()
    return rows


def peak(name: str, size: Size, work: Path, device: str) -> int:
    """Return the peak bytes above those before the first step; cached hidden states are computed before it.

    Args:
        name: a variant.
        size: number of steps and batch size.
        work: folder with the model and the data.
        device: torch device.
    """
    trainer = make_trainer(VARIANTS[name], size, work, "even", device)
    trainer.lower_states(trainer.streams[0])
    memory, loop = ProcessMemory(trainer.encoder.device), Loop(trainer)
    for _ in range(size.memory_steps):
        loop.step()
    return memory.peak


def memory(work: Path, device: str, names: Sequence[str], quick: bool) -> dict[str, Any]:
    """Measure the peak memory of every variant in one process each, and its share of full fine-tuning's.

    With ``quick``, only of the first and the last one.

    Args:
        work: folder with the model and the data.
        device: torch device.
        names: variants.
        quick: pass ``--quick`` on.
    """
    names = (names[0], names[-1]) if quick else names
    peaks = {name: peak_in_new_process(__file__, name, work, device, quick) for name in names}
    full = max(peaks[FULL], 1)
    return {name: {"mib": size / 2**20, "of_full": size / full} for name, size in peaks.items()}


# End to end


def whole(size: Size, work: Path, device: str) -> dict[str, Any]:
    """Measure examples per second of training; the pass that computes hidden states is spread over the default epochs.

    Args:
        size: how much is timed.
        work: folder with the model and the data.
        device: torch device.
    """
    timed = {name: Timed(variant, size, work, device) for name, variant in WHOLE.items()}
    trainer = timed["kept"].trainer
    start = now(trainer.encoder.device)
    trainer.lower_states(trainer.streams[0])
    built = now(trainer.encoder.device) - start
    for variant in timed.values():
        variant.warm()
    for number in range(size.rounds * size.batches):
        for variant in timed.values():
            variant.time(number)
    rates = {name: by_round(variant.seconds, size) for name, variant in timed.items()}
    examples = len(trainer.streams[0].features.items)
    extra = built / examples / EPOCHS
    rates[INCLUDED] = [1 / (1 / rate + extra) for rate in rates["kept"]]
    of_full = {name: spread(ratios(values, rates["full"])) for name, values in rates.items() if name != "full"}
    of_full[INCLUDED] = with_bar(of_full[INCLUDED], "median", ">=", WHOLE_BAR)
    return {
        "variants": {name: variant.describe() for name, variant in timed.items()},
        "examples_per_second": {name: spread(values) for name, values in rates.items()},
        "first_pass": {"seconds": built, "examples": examples, "epochs": EPOCHS},
        "of_full": of_full,
    }


# Evaluation


def make_encoder(work: Path, device: str, number: int) -> tuple[Encoder, list[str]]:
    """Return an encoder with a target adapter and different intermediate ones, none in the lower 6 layers.

    Args:
        work: folder with the model.
        device: torch device.
        number: intermediate adapters.

    Returns:
        The encoder, and the names of the intermediate adapters.
    """
    encoder = Encoder(work / "model", "adapters", device)
    names = [f"intermediate{i}" for i in range(number)]
    noise = torch.Generator().manual_seed(4)
    for name in (*names, "target"):
        encoder.add(name, Bottleneck(leave_out=tuple(range(6))), name)
        with torch.no_grad():
            for value in encoder.delta(name).values():
                value.add_(0.02 * torch.randn(value.shape, generator=noise).to(value.device))
    return encoder, names


def shared(size: Size, work: Path, device: str, number: int) -> dict[str, Any]:
    """Evaluate a target over intermediates, each in a separate pass and in one that shares the lower layers.

    Args:
        size: number of rounds and batch size.
        work: folder with the model and the data.
        device: torch device.
        number: intermediate adapters.
    """
    trainer = make_trainer(WHOLE["kept"], size, work, "data", device)
    stream, pad = trainer.streams[0], trainer.runtime.tokenizer.pad
    features = Features(stream.features.items[: 8 * size.batch])
    encoder, names = make_encoder(work, device, number)
    del trainer
    shares, equal, seconds = [], True, {"separate": 0.0, "shared": 0.0}
    for turn in range(1 + (size.rounds > 2)):
        cache = StateCache(work / f"states {turn}", 8.0, {})
        took = {"separate": 0.0, "shared": 0.0}
        for name in names:
            encoder.compose([name, "target"])
            outputs = []
            for way in took:
                frozen = FrozenLayers(
                    cache, encoder, "base", encoder.first_active_block(), bf16=False, exact=True, remark=None
                )
                start = now(encoder.device)
                if way == "separate":
                    outputs.append(predict(encoder, stream.head, stream.kind, features, pad, False))
                else:
                    with frozen.states_of(features) as below:
                        outputs.append(predict(encoder, stream.head, stream.kind, features, pad, False, start_of=below))
                took[way] += now(encoder.device) - start
            equal &= outputs[0] == outputs[1]
        shares.append(took["shared"] / took["separate"])
        seconds = {way: seconds[way] + took[way] for way in took}
    about = {"intermediates": number, "examples": len(features.items), "precision": "fp32", "equal": equal}
    return {**about, "seconds": seconds, "of_separate": with_bar(spread(shares), "median", "<=", SHARED_BAR)}


# Results


def table(result: dict[str, Any]) -> str:
    """Format the result for people."""
    lines = [f"{'variant':26} {'of a full step':>14}   {'range':16} {'peak MiB':>9} {'of full':>8}"]
    for name, row in result["steps"].items():
        ratio, memory = row["of_full"], result["memory"].get(name)
        sizes = f"{memory['mib']:9.0f} {memory['of_full']:8.2f}" if memory else ""
        reach = f"{ratio['min']:.3f} to {ratio['max']:.3f}"
        lines.append(f"{name:26} {ratio['median']:14.3f}   {reach}   {sizes}{verdict(ratio, '<=')}")
    lines.append("")
    for name, row in result["whole"]["of_full"].items():
        lines.append(f"{name} / full padded fp32: x{row['median']:.2f}{verdict(row, '>=')}")
    row = result["shared"]["of_separate"]
    number = result["shared"]["intermediates"]
    lines.append(f"{number} intermediates, lower 6 layers shared / separate: x{row['median']:.3f}{verdict(row, '<=')}")
    lines.append(f"outputs of the two: {'equal' if result['shared']['equal'] else 'DIFFERENT'}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table and write JSON; return 1 if outputs differ."""
    default = RESULTS / "methods.json"
    parser = arguments("Every method beside full fine-tuning", default)
    parser.add_argument("--peak-of", choices=list(VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    size = TINY if options.quick else STEPS
    if options.peak_of:
        print(peak(options.peak_of, size, options.work, options.device))
        return 0
    began = time.monotonic()
    first_keys = heading("methods", options)
    names = QUICKLY if options.quick else tuple(VARIANTS)
    usual = TINY if options.quick else replace(BASE, rounds=3, batches=4)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_model(work / "model", size)
        make_data(work / "data", size, draw_lengths(size.examples))
        make_data(work / "even", size, [int(LENGTHS["longest"])] * size.batch * (1 + size.rounds))
        result = {
            **first_keys,
            "settings": {"steps": asdict(size), "whole": asdict(usual), "lengths": LENGTHS},
            "steps": times(size, work, options.device, names),
            "whole": whole(usual, work, options.device),
            "shared": shared(usual, work, options.device, FEW if options.quick else INTERMEDIATES),
            "memory": memory(work, options.device, names, options.quick),
            "seconds": time.monotonic() - began,
        }
    write(result, output_file(options, default))
    print(table(result))
    if options.quick:
        print(QUICK)
    return 0 if result["shared"]["equal"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
