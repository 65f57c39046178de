"""Training speed and peak memory: our default adapter training, full fine-tuning as it is usually run, and a peer.

One process times every variant, a batch of each in turn, so that a slow minute of the machine hits all of them. Our
variants go through the package: a study is expanded, and the step function of its training phase is called. The peer
is ``AdapterTrainer`` of the ``adapters`` library with its defaults; its ``train()`` really runs, and after each of
its steps a callback stops its clock and lets the others do a batch. Peak memory needs one process per variant.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from common import (
    BASE,
    LABELS,
    LENGTHS,
    QUICK,
    RESULTS,
    SMALL,
    Size,
    arguments,
    draw_lengths,
    machine,
    make_data,
    make_model,
    now,
    spread,
    verdict,
    write,
)
from transformers import TrainerCallback, TrainingArguments, XLMRobertaTokenizerFast

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
    """One of our training variants: a method, and training settings that differ from the defaults.

    ``stacked`` puts it over an intermediate adapter of the same method, trained for one step.
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
BARS = {"full padded fp32": 4.5, PEER: 2.0}
MEMORY = {
    f"{method} {precision}": Variant(method, {"padding": "fixed", "precision": precision}, "")
    for method in ("bottleneck", "full")
    for precision in ("fp32", "bf16")
}
MEMORY_BAR = 0.75
MEMORY_RATIOS = {
    "adapter fp32 / full fp32": ("bottleneck fp32", "full fp32"),
    "adapter bf16 / full bf16": ("bottleneck bf16", "full bf16"),
    "adapter default / full fp32": ("bottleneck auto", "full fp32"),
}


def make_trainer(variant: Variant, size: Size, work: Path, data: str, device: str) -> Trainer:
    """The trainer of the last training phase of a study with this variant."""
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
    """Which batches of an epoch each round times, none twice.

    Batches ordered by width are cut into as many strata as batches are timed, and one is drawn from each; a round gets
    one of every run of ``rounds`` strata. So the timed batches are as wide as those of the epoch, in every round.
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
        self.widths = [max(lengths[row] for row in rows) if bucket else settings.max_length for rows in order]
        self.batches = [i for batches in sample(self.widths, size) for i in batches]
        self.seconds: list[float] = []

    def warm(self) -> None:
        """One step whose time does not count."""
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
        """What was run, and how much padding it had."""
        settings = self.trainer.settings
        return {
            "method": self.variant.method,
            "padding": settings.padding,
            "precision": "bf16 autocast" if self.trainer.bf16 else "fp32",
            "trainable": sum(p.numel() for p in self.trainer.parameters.values()),
            "tokens_per_example": statistics.mean(self.widths[i] for i in self.batches),
            "tokens_per_example_of_epoch": statistics.mean(self.widths),
        }


# The peer


class Turns(TrainerCallback):  # type: ignore[misc]
    """After each step of the peer: note its seconds, let the others do one batch, start its clock again."""

    def __init__(self, others: Callable[[int], None], device: torch.device) -> None:
        self.others, self.device = others, device
        self.seconds: list[float] = []
        self.steps = 0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.start = now(self.device)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The first step is the warm-up."""
        seconds = now(self.device) - self.start
        if self.steps:
            self.seconds.append(seconds)
            self.others(self.steps - 1)
        self.steps += 1
        self.start = now(self.device)


@dataclass
class Peer:
    """``AdapterTrainer`` with a note of how wide its batches were."""

    trainer: Any
    widths: list[int]

    def run(self, others: Callable[[int], None]) -> list[float]:
        """Train; returns the seconds of each step but the first."""
        turns = Turns(others, self.trainer.args.device)
        self.trainer.add_callback(turns)
        self.trainer.train()
        return turns.seconds


def make_peer(size: Size, work: Path, features: Sequence[Any], device: str) -> Peer:
    """The peer with a fresh adapter and head, on the same token ids as ours."""
    from adapters import AdapterTrainer, AutoAdapterModel
    from transformers.trainer_callback import PrinterCallback

    for name in ("transformers", "adapters"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.manual_seed(1)
    model = AutoAdapterModel.from_pretrained(str(work / "model"))
    model.add_classification_head("mnli", num_labels=len(LABELS))
    model.add_adapter("mnli", config="seq_bn")
    model.train_adapter("mnli")
    arguments = TrainingArguments(
        output_dir=str(work / "peer"),
        per_device_train_batch_size=size.batch,
        max_steps=1 + size.rounds * size.batches,
        use_cpu=device == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    rows = [{"input_ids": f.sequences[0], "labels": f.target} for f in features]
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
    tokenizer = XLMRobertaTokenizerFast(tokenizer_file=str(work / "model" / "tokenizer.json"))
    trainer = AdapterTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    return Peer(trainer, _note_widths(trainer))


def _note_widths(trainer: Any) -> list[int]:
    widths: list[int] = []
    collate = trainer.data_collator

    def noting(rows: list[Any]) -> Any:
        batch = collate(rows)
        widths.append(int(batch["input_ids"].shape[1]))
        return batch

    trainer.data_collator = noting
    return widths


def random_width(lengths: Sequence[int], batch: int) -> float:
    """Mean width of batches in random order, over many orders."""
    generator = random.Random(3)
    return statistics.mean(max(generator.sample(list(lengths), batch)) for _ in range(4000))


# Speed


def speed(size: Size, work: Path, device: str) -> dict[str, Any]:
    """Examples per second of every variant, and the ratios that have a bar."""
    ours = {name: Timed(variant, size, work, device) for name, variant in VARIANTS.items()}
    lengths = ours["ours"].trainer.streams[0].features.lengths
    peer = make_peer(size, work, ours["ours"].trainer.streams[0].features.items, device)
    for timed in ours.values():
        timed.warm()

    def others(number: int) -> None:
        for timed in ours.values():
            timed.time(number)

    seconds = {PEER: peer.run(others)} | {name: timed.seconds for name, timed in ours.items()}
    told = {name: {**timed.describe(), "note": timed.variant.note} for name, timed in ours.items()}
    told[PEER] = {
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
    return {
        "variants": {
            name: {**told[name], "examples_per_second": spread(rates[name]), "seconds_of_batches": seconds[name]}
            for name in (*VARIANTS, PEER)
        },
        "ratios": {
            f"ours / {name}": versus(rates["ours"], rates[name], BARS.get(name)) for name in rates if name != "ours"
        },
    }


def by_round(seconds: Sequence[float], size: Size) -> list[float]:
    """Examples per second of each round."""
    n = size.batches
    return [n * size.batch / sum(seconds[i * n : (i + 1) * n]) for i in range(size.rounds)]


def versus(rates: Sequence[float], others: Sequence[float], bar: float | None) -> dict[str, Any]:
    """Ratio round by round, with the bar where there is one."""
    found: dict[str, Any] = spread([a / b for a, b in zip(rates, others, strict=True)])
    return found if bar is None else {**found, "bar": bar, "met": found["median"] >= bar}


# Memory


def peak(name: str, size: Size, work: Path, device: str) -> int:
    """Peak bytes above those before the first step, over some steps on batches of full length."""
    trainer = make_trainer(MEMORY[name], size, work, "long", device)
    memory, loop = ProcessMemory(trainer.encoder.device), Loop(trainer)
    for _ in range(size.memory_steps):
        loop.step()
    return memory.peak


def memory(size: Size, work: Path, device: str, quick: bool) -> dict[str, Any]:
    """Peak memory of adapter and full training on the same batches, one process each."""
    half = half_precision("auto", torch.device(device))
    found = {}
    for name in MEMORY:
        if not name.endswith("bf16") or (half and not quick):
            command = [sys.executable, __file__, "--device", device, "--peak-of", name, "--work", str(work)]
            run = subprocess.run([*command, "--quick"] if quick else command, check=True, stdout=subprocess.PIPE)
            found[name] = int(run.stdout.split()[-1]) / 2**20
    default = {"bottleneck auto": f"bottleneck {'bf16' if half and not quick else 'fp32'}"}
    ratios = {}
    for name, (one, other) in MEMORY_RATIOS.items():
        one = default.get(one, one)
        if one in found and other in found:
            ratio = found[one] / found[other]
            ratios[name] = {"ratio": ratio, "bar": MEMORY_BAR, "met": ratio <= MEMORY_BAR}
    return {"peak_mib": found, "ratios": ratios, "batch": f"{size.batch} x {LENGTHS['longest']} tokens"}


# Results


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'variant':20} {'precision':14} {'tokens':>6} {'examples/s':>10}   range"]
    for name, held in result["speed"]["variants"].items():
        rate = held["examples_per_second"]
        lines.append(
            f"{name:20} {held['precision']:14} {held['tokens_per_example']:6.1f} {rate['median']:10.2f}"
            f"   {rate['min']:.2f} to {rate['max']:.2f}"
        )
    lines.append("")
    for name, held in result["speed"]["ratios"].items():
        lines.append(f"{name:34} x{held['median']:.2f} ({held['min']:.2f} to {held['max']:.2f}){verdict(held, '>=')}")
    lines.append("")
    lines += [f"{name:20} {mib:8.0f} MiB" for name, mib in result["memory"]["peak_mib"].items()]
    for name, held in result["memory"]["ratios"].items():
        lines.append(f"{name:34} x{held['ratio']:.2f}{verdict(held, '<=')}")
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
    began, about = time.monotonic(), machine(options.device)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_model(work / "model", size)
        make_data(work / "data", size, draw_lengths(size.examples))
        make_data(work / "long", size, [int(LENGTHS["longest"])] * size.batch * size.memory_steps)
        result = {
            "benchmark": "training",
            "quick": options.quick,
            "machine": about,
            "settings": {**asdict(size), "lengths": LENGTHS},
            "memory": memory(size, work, options.device, options.quick),
            "speed": speed(size, work, options.device),
            "seconds": time.monotonic() - began,
        }
    write(result, options.out or (None if options.quick else default))
    print(table(result) + (QUICK if options.quick else ""))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
