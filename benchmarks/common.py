"""What the benchmarks share: their inputs (a random encoder, random words), and how results are told and written."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Sequence
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
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
# Tokens per sentence pair: lognormal through p90 = 67 and p99 = 107, so mean 42; cut at 128.
LENGTHS = {"mu": 3.63, "sigma": 0.448, "shortest": 8, "longest": 128}


@dataclass(frozen=True)
class Size:
    """Shape of the encoder and how much is timed: ``rounds`` rounds of ``batches`` batches for every variant."""

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
    """Write an XLM-R encoder with random weights and a tokenizer that gives one token per word."""
    words = [*SPECIAL, *(f"w{i}" for i in range(size.vocabulary - len(SPECIAL)))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
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
    """Write MNLI with random words: pairs of these lengths for training, a few for its other splits."""
    generator = random.Random(0)

    def words(n: int) -> str:
        return " ".join(f"w{generator.randrange(size.vocabulary - len(SPECIAL))}" for _ in range(n))

    def row(length: int, label: int) -> dict[str, Any]:
        own = length - 4  # the special tokens of a pair
        return {"premise": words(own - own // 3), "hypothesis": words(own // 3), "label": label}

    folder = root / "nyu-mll" / "glue" / "mnli"
    folder.mkdir(parents=True)
    few = [12] * 6
    for split, wanted in (("train", lengths), ("validation_matched", few), ("validation_mismatched", few)):
        rows = [row(length, i % len(LABELS)) for i, length in enumerate(wanted)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00000-of-00001.parquet")
    return root


def draw_lengths(n: int) -> list[int]:
    """Lengths of sentence pairs as in natural language inference data; see ``LENGTHS``."""
    generator = random.Random(1)
    drawn = [round(generator.lognormvariate(LENGTHS["mu"], LENGTHS["sigma"])) for _ in range(n)]
    return [int(min(max(length, LENGTHS["shortest"]), LENGTHS["longest"])) for length in drawn]


# Results


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine(device: str) -> dict[str, object]:
    """Processor, versions and threads; no names of hosts, users or paths."""
    return {**environment(torch.device(device)), "processor": _processor(), "load": os.getloadavg()[0]}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def rounded(value: Any) -> Any:
    """The same with floats to four significant digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def write(result: dict[str, Any], out: Path | None) -> None:
    """Write a result as JSON, where it is asked for."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")


def verdict(held: dict[str, Any], sign: str) -> str:
    """The bar, and whether it is met."""
    return f"   bar {sign} {held['bar']}: {'met' if held['met'] else 'MISSED'}" if "bar" in held else ""


def arguments(description: str, default: Path) -> argparse.ArgumentParser:
    """The options that benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--out", type=Path, help=f"JSON file; default results/{default.name}, with --quick none")
    parser.add_argument("--quick", action="store_true", help="a tiny encoder: shows that it runs, measures nothing")
    return parser
