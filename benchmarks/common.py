"""Code that the benchmarks share: random encoders and text, timing, bars, and writing results."""

from __future__ import annotations

import argparse
import json
import operator
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import XLMRobertaConfig, XLMRobertaModel

from adaptstilts.runtime.hardware import environment

RESULTS = Path(__file__).resolve().parent / "results"
QUICK = "\n\n--quick: a tiny encoder, so these figures and bars mean nothing"
LABELS = ("entailment", "neutral", "contradiction")
SIGNS = {">=": operator.ge, "<=": operator.le}
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
# tokens of a sentence pair: lognormal with p90 = 67 and p99 = 107, hence a mean of 42; at most 128
LENGTHS = {"mu": 3.63, "sigma": 0.448, "shortest": 8, "longest": 128}


@dataclass(frozen=True)
class Size:
    """Shape of the encoder, and how much is timed.

    Attributes:
        hidden: width of the hidden states.
        layers: blocks of the encoder.
        heads: attention heads of a block.
        vocabulary: tokens, special ones included.
        examples: sentence pairs of the training data.
        batch: pairs of a batch.
        rounds: times that every variant has its turn.
        batches: batches of a variant in one round.
        memory_steps: steps over which peak memory is measured.
    """

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    vocabulary: int = 30_000
    examples: int = 800
    batch: int = 16
    rounds: int = 5
    batches: int = 5
    memory_steps: int = 3


BASE = Size()
SMALL = Size(hidden=32, layers=2, heads=2, vocabulary=500, examples=64, batch=8, rounds=2, batches=2, memory_steps=2)


# Inputs


def make_model(folder: Path, size: Size) -> Path:
    """Write an XLM-R encoder with random weights and a tokenizer that gives one token per word.

    Args:
        folder: a new folder for the model.
        size: shape of the encoder.
    """
    words = list(SPECIAL)
    words += [f"w{i}" for i in range(size.vocabulary - len(SPECIAL))]
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    shape = XLMRobertaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.hidden,
        max_position_embeddings=514,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    XLMRobertaModel(shape, add_pooling_layer=False).save_pretrained(folder, safe_serialization=True)
    return folder


def make_data(root: Path, size: Size, lengths: Sequence[int]) -> Path:
    """Write an MNLI of random words in the layout of the hub.

    Args:
        root: folder to write to.
        size: its vocabulary is the one words are drawn from.
        lengths: tokens of each training pair, special tokens included; the other splits get six short pairs.
    """
    generator = random.Random(0)

    def words(count: int) -> str:
        return " ".join(f"w{generator.randrange(size.vocabulary - len(SPECIAL))}" for _ in range(count))

    def row(length: int, label: int) -> dict[str, Any]:
        count = length - 4  # the special tokens of a pair
        short = count // 3
        return {"premise": words(count - short), "hypothesis": words(short), "label": label}

    folder = root / "nyu-mll" / "glue" / "mnli"
    folder.mkdir(parents=True)
    few = [12] * 6
    lengths_of = {"train": lengths, "validation_matched": few, "validation_mismatched": few}
    for split, lengths_of_split in lengths_of.items():
        rows = [row(length, i % len(LABELS)) for i, length in enumerate(lengths_of_split)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00000-of-00001.parquet")
    return root


def draw_lengths(count: int) -> list[int]:
    """Draw token counts of sentence pairs as in natural language inference data; see ``LENGTHS``."""
    generator = random.Random(1)
    return [lognormal_length(generator, LENGTHS) for _ in range(count)]


def lognormal_length(generator: random.Random, settings: Mapping[str, float]) -> int:
    """Draw one token count from a lognormal distribution, clipped at both ends.

    Args:
        generator: source of randomness.
        settings: ``mu`` and ``sigma`` of the logarithm, ``shortest`` and ``longest``.
    """
    length = round(generator.lognormvariate(settings["mu"], settings["sigma"]))
    return int(min(max(length, settings["shortest"]), settings["longest"]))


# Measuring


def now(device: torch.device) -> float:
    """Return the clock in seconds after the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Divide pair by pair.

    Args:
        values: numerators.
        others: denominators, as many.
    """
    return [value / other for value, other in zip(values, others, strict=True)]


def peak_in_new_process(script: str, name: str, work: Path, device: str, quick: bool) -> int:
    """Run a script with ``--peak-of`` and return the bytes that it prints; peak memory needs a fresh process.

    Args:
        script: path of the script.
        name: the variant to measure.
        work: folder with the model and the data.
        device: torch device.
        quick: pass ``--quick`` on.
    """
    command = [sys.executable, script, "--device", device, "--peak-of", name, "--work", str(work)]
    if quick:
        command.append("--quick")
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return int(run.stdout.split()[-1])


# Bars


def with_bar(row: dict[str, Any], key: str, sign: str, bar: float | None) -> dict[str, Any]:
    """Add a bar to a measurement, and whether it is met.

    Args:
        row: the measurement; returned as it is if there is no bar.
        key: the figure in it that the bar is for.
        sign: ``>=`` or ``<=``, as in ``figure >= bar``.
        bar: the value to reach or to stay below.
    """
    if bar is None:
        return row
    met = SIGNS[sign](row[key], bar)
    return {**row, "bar": bar, "met": met}


def verdict(row: dict[str, Any], sign: str) -> str:
    """Say whether a bar is met; empty if there is no bar.

    Args:
        row: a measurement from :func:`with_bar`.
        sign: the sign of its bar.
    """
    if "bar" not in row:
        return ""
    outcome = "met" if row["met"] else "MISSED"
    return f"   bar {sign} {row['bar']}: {outcome}"


# Results


def machine(device: str) -> dict[str, object]:
    """Describe the machine: processor, versions, threads and load, but no names of hosts, users or paths."""
    return {**environment(torch.device(device)), "processor": _processor(), "load": os.getloadavg()[0]}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def heading(benchmark: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the first keys of every result.

    Args:
        benchmark: name of the script.
        options: of the command line.
    """
    return {"benchmark": benchmark, "quick": options.quick, "machine": machine(options.device)}


def rounded(value: Any) -> Any:
    """Round all floats in a nested value to four significant digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def write(result: dict[str, Any], out: Path | None) -> None:
    """Write a result as JSON.

    Args:
        result: what was measured.
        out: file to write; None writes nothing.
    """
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")


# Command line


def arguments(description: str, default: Path) -> argparse.ArgumentParser:
    """Return a parser with the options that benchmarks share.

    Args:
        description: first line of the help.
        default: where a result goes without ``--out``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--out", type=Path, help=f"JSON file; default results/{default.name}, none with --quick")
    parser.add_argument(
        "--quick", action="store_true", help="tiny inputs: shows that the script runs, measures nothing"
    )
    return parser


def output_file(options: argparse.Namespace, default: Path) -> Path | None:
    """Return the file to write: ``--out``, else the default; with ``--quick`` alone there is none.

    Args:
        options: of the command line.
        default: where a result goes without ``--out``.
    """
    if options.out or options.quick:
        return options.out
    return default
