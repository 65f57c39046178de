"""Training speed and peak memory: our default adapter training, full fine-tuning as it is usually run, and a peer.

One process times every variant, one batch of each in turn, so that a slow minute of the machine affects all of them.
Our variants run through the package: a study is expanded, and the step function of its training phase is called. The
peer is ``AdapterTrainer`` of the ``adapters`` library with its defaults. Its own ``train()`` runs; after each of its
steps a callback stops the clock and lets the others do a batch. Peak memory is measured in one process per variant.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from training_peer import make_peer, random_width

from adaptstilts import study as config
from adaptstilts.data.batches import epoch_order
from adaptstilts.phases.train import Trainer
from adaptstilts.plan.expand import expand
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.loop import Loop
from adaptstilts.runtime.meter import ProcessMemory
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class Variant:
    """One of our training variants.

    Attributes:
        method: the method as in a study file.
        train: training settings that differ from the defaults.
        note: remark for the reader of the result.
        stacked: train it over an intermediate adapter of the same method, which is trained for one step.
    """

    method: str | dict[str, Any]
    train: dict[str, Any]
    note: str
    stacked: bool = False


PEER = "AdapterTrainer"
VARIANTS = {
    "ours": Variant("bottleneck", {}, "default adapter training: bucketed, auto precision"),
    "full padded fp32": Variant("full", {"padding": "fixed", "precision": "fp32"}, "every batch padded to 128"),
    "ours fp32": Variant("bottleneck", {"precision": "fp32"}, "bucketed; what is left without bf16"),
    "full bucketed": Variant("full", {}, "full fine-tuning with our defaults"),
}
QUICKLY = ("ours", "full padded fp32")  # what --quick runs
BARS = {"full padded fp32": 4.5, PEER: 2.0}
MEMORY = {
    "bottleneck fp32": Variant("bottleneck", {"padding": "fixed", "precision": "fp32"}, ""),
    "bottleneck bf16": Variant("bottleneck", {"padding": "fixed", "precision": "bf16"}, ""),
    "full fp32": Variant("full", {"padding": "fixed", "precision": "fp32"}, ""),
    "full bf16": Variant("full", {"padding": "fixed", "precision": "bf16"}, ""),
}
MEMORY_BAR = 0.75
MEMORY_RATIOS = {
    "adapter fp32 / full fp32": ("bottleneck fp32", "full fp32"),
    "adapter bf16 / full bf16": ("bottleneck bf16", "full bf16"),
    "adapter default / full fp32": ("bottleneck auto", "full fp32"),
}


def make_trainer(variant: Variant, size: Size, work: Path, data: str, device: str) -> Trainer:
    """Return the trainer of the last training phase of a study with this variant.

    Args:
        variant: what is trained.
        size: gives the batch size.
        work: folder with the model and the data.
        data: name of the data folder in it.
        device: torch device.
    """
    train = {"batch_size": size.batch, "epochs": 1, **variant.train}
    study = {"name": "benchmark", "model": str(work / "model"), "targets": ["mnli"], "languages": ["en"]}
    if variant.stacked:
        study["intermediates"] = [{"task": "mnli", "train": {"max_steps": 1}}]
    workspace = Workspace(work / f"store of {data}", work / data, offline=True)
    plan = expand(config.parse(json.dumps({**study, "methods": [variant.method], "train": train})), workspace)
    *before, phase = [phase for phase in plan.order() if isinstance(phase, TrainPhase)]
    runtime = Runtime(workspace, plan.model, device=device)
    for other in before:
        if not workspace.store.has(other.key):
            perform(other, runtime)
    return Trainer(phase, runtime)


# Our variants


def sample(widths: Sequence[int], size: Size) -> list[list[int]]:
    """Draw the batches of an epoch that each round times, none twice.

    The batches are ordered by width and cut into as many strata as batches are timed. One batch is drawn from each
    stratum, and every round gets one of each ``rounds`` neighbouring strata. So the timed batches of every round are as
    wide as those of the epoch.

    Args:
        widths: padded length of every batch of the epoch.
        size: number of rounds, and of batches in each.
    """
    generator = random.Random(2)
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    total = size.rounds * size.batches
    cuts = [len(order) * i // total for i in range(total + 1)]
    drawn = [generator.choice(order[a:b]) for a, b in itertools.pairwise(cuts)]
    classes = [drawn[i : i + size.rounds] for i in range(0, total, size.rounds)]
    for batches in classes:
        generator.shuffle(batches)
    rounds = [[batches[i] for batches in classes] for i in range(size.rounds)]
    for batches in rounds:
        generator.shuffle(batches)
    return rounds


class Timed:
    """One of our variants, ready to time single batches of its first epoch."""

    def __init__(self, variant: Variant, size: Size, work: Path, device: str) -> None:
        self.variant, self.batch = variant, size.batch
        self.trainer = make_trainer(variant, size, work, "data", device)
        self.loop = Loop(self.trainer)
        settings, lengths = self.trainer.settings, self.trainer.streams[0].features.lengths
        bucket = settings.padding == "bucket"
        order = epoch_order(lengths, size.batch, self.trainer.phase.seed, 0, bucket)
        self.widths = []
        for rows in order:
            longest = max(map(lengths.__getitem__, rows))
            self.widths.append(longest if bucket else settings.max_length)
        self.batches = [*itertools.chain.from_iterable(sample(self.widths, size))]
        self.seconds: list[float] = []

    def warm(self) -> None:
        """Take one step whose time does not count."""
        self._step(self.batches[0])

    def time(self, number: int) -> None:
        """Time the sampled batch of this number."""
        self.seconds.append(self._step(self.batches[number]))

    def _step(self, index: int) -> float:
        self.loop.done = index
        start = now(self.trainer.encoder.device)
        self.loop.step()
        return now(self.trainer.encoder.device) - start

    def describe(self) -> dict[str, Any]:
        """Return what was run, and how many tokens its batches had."""
        settings = self.trainer.settings
        return {
            "method": self.variant.method,
            "padding": settings.padding,
            "precision": "bf16 autocast" if self.trainer.bf16 else "fp32",
            "trainable": sum(p.numel() for p in self.trainer.parameters.values()),
            "tokens_per_example": statistics.mean(self.widths[i] for i in self.batches),
            "tokens_per_example_of_epoch": statistics.mean(self.widths),
        }


# Speed


def speed(size: Size, work: Path, device: str, names: Sequence[str]) -> dict[str, Any]:
    """Measure the examples per second of our variants and the peer, and the ratios that have a bar.

    Args:
        size: how much is timed.
        work: folder with the model and the data.
        device: torch device.
        names: variants.
    """
    ours = {name: Timed(VARIANTS[name], size, work, device) for name in names}
    lengths = ours["ours"].trainer.streams[0].features.lengths
    peer = make_peer(size, work, ours["ours"].trainer.streams[0].features.items, device)
    for timed in ours.values():
        timed.warm()

    def others(number: int) -> None:
        for timed in ours.values():
            timed.time(number)

    seconds = {PEER: peer.run(others)} | {name: timed.seconds for name, timed in ours.items()}
    descriptions = {name: {**timed.describe(), "note": timed.variant.note} for name, timed in ours.items()}
    descriptions[PEER] = {
        "method": "seq_bn",
        "padding": "longest of the batch, random order",
        "precision": "fp32",
        "optimizer": str(peer.trainer.args.optim.value),
        "trainable": sum(p.numel() for p in peer.trainer.model.parameters() if p.requires_grad),
        "tokens_per_example": statistics.mean(peer.widths[1 : 1 + size.rounds * size.batches]),
        "tokens_per_example_of_epoch": random_width(lengths, size.batch),
        "note": "AdapterTrainer of the adapters library with its defaults",
    }
    rates = {name: by_round(values, size) for name, values in seconds.items()}
    variants = {}
    for name in (*names, PEER):
        measured = {"examples_per_second": spread(rates[name]), "seconds_of_batches": seconds[name]}
        variants[name] = {**descriptions[name], **measured}
    compared = {}
    for name in rates:
        if name != "ours":
            row = spread(ratios(rates["ours"], rates[name]))
            compared[f"ours / {name}"] = with_bar(row, "median", ">=", BARS.get(name))
    return {"variants": variants, "ratios": compared}


def by_round(seconds: Sequence[float], size: Size) -> list[float]:
    """Return the examples per second of each round.

    Args:
        seconds: of every timed batch, round after round.
        size: rounds, batches of a round, and examples of a batch.
    """
    n = size.batches
    return [n * size.batch / sum(seconds[i * n : (i + 1) * n]) for i in range(size.rounds)]


# Memory


def peak(name: str, size: Size, work: Path, device: str) -> int:
    """Return the peak bytes above those before the first step, over some steps on batches of full length.

    Args:
        name: a variant of :data:`MEMORY`.
        size: number of steps and batch size.
        work: folder with the model and the data.
        device: torch device.
    """
    trainer = make_trainer(MEMORY[name], size, work, "long", device)
    memory, loop = ProcessMemory(trainer.encoder.device), Loop(trainer)
    for _ in range(size.memory_steps):
        loop.step()
    return memory.peak


def memory(size: Size, work: Path, device: str, quick: bool) -> dict[str, Any]:
    """Measure the peak memory of adapter and full training on the same batches, in one process each.

    Args:
        size: batch size.
        work: folder with the model and the data.
        device: torch device.
        quick: leave out bf16, and pass ``--quick`` on.
    """
    uses_bf16 = half_precision("auto", torch.device(device)) and not quick
    names = [name for name in MEMORY if uses_bf16 or not name.endswith("bf16")]
    peaks = {name: peak_in_new_process(__file__, name, work, device, quick) / 2**20 for name in names}
    default = {"bottleneck auto": "bottleneck bf16" if uses_bf16 else "bottleneck fp32"}
    compared = {}
    for title, pair in MEMORY_RATIOS.items():
        one, other = default.get(pair[0], pair[0]), pair[1]
        if one in peaks and other in peaks:
            compared[title] = with_bar({"ratio": peaks[one] / peaks[other]}, "ratio", "<=", MEMORY_BAR)
    return {"peak_mib": peaks, "ratios": compared, "batch": f"{size.batch} x {LENGTHS['longest']} tokens"}


# Results


def table(result: dict[str, Any]) -> str:
    """Format the result for people."""
    lines = [f"{'variant':20} {'precision':14} {'tokens':>6} {'examples/s':>10}   range"]
    for name, row in result["speed"]["variants"].items():
        rate = row["examples_per_second"]
        lines.append(
            f"{name:20} {row['precision']:14} {row['tokens_per_example']:6.1f} {rate['median']:10.2f}"
            f"   {rate['min']:.2f} to {rate['max']:.2f}"
        )
    lines.append("")
    for name, row in result["speed"]["ratios"].items():
        lines.append(f"{name:34} x{row['median']:.2f} ({row['min']:.2f} to {row['max']:.2f}){verdict(row, '>=')}")
    lines.append("")
    lines += [f"{name:20} {mib:8.0f} MiB" for name, mib in result["memory"]["peak_mib"].items()]
    for name, row in result["memory"]["ratios"].items():
        lines.append(f"{name:34} x{row['ratio']:.2f}{verdict(row, '<=')}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON."""
    default = RESULTS / "training.json"
    parser = arguments("Training speed and peak memory", default)
    parser.add_argument("--peak-of", choices=list(MEMORY), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    size = SMALL if options.quick else BASE
    if options.peak_of:
        print(peak(options.peak_of, size, options.work, options.device))
        return 0
    began = time.monotonic()
    first_keys = heading("training", options)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_model(work / "model", size)
        make_data(work / "data", size, draw_lengths(size.examples))
        make_data(work / "long", size, [int(LENGTHS["longest"])] * size.batch * size.memory_steps)
        result = {
            **first_keys,
            "settings": {**asdict(size), "lengths": LENGTHS},
            "memory": memory(size, work, options.device, options.quick),
            "speed": speed(size, work, options.device, QUICKLY if options.quick else tuple(VARIANTS)),
            "seconds": time.monotonic() - began,
        }
    write(result, output_file(options, default))
    print(table(result))
    if options.quick:
        print(QUICK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
