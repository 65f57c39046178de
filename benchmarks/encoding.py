"""Sentences to vectors: the encoder cut at the layer that is pooled, against the way of XTREME's retrieval scripts.

    python benchmarks/encoding.py [--sentences 400]

That way, written from its description: sentences in the order of the file, 100 to a batch, each batch padded to its
longest, all layers computed in float32 and all hidden states kept, one of them pooled. Tokenizing is in nobody's time.
On a CPU ratios are of processor seconds, which another process on the machine changes less than wall time.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import BASE, QUICK, RESULTS, SMALL, Size, arguments, machine, make_model, now, verdict, write
from numpy.typing import NDArray

from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder, masked_mean
from adaptstilts.retrieval import pooling
from adaptstilts.retrieval.encode import encode
from adaptstilts.runtime.hardware import half_precision

# Tokens per sentence, special tokens included: lognormal, median 21, mean 25.7; cut at 128.
LENGTHS = {"mu": 3.045, "sigma": 0.636, "shortest": 4, "longest": 128}
PEER_BATCH = 100
PAD = 1
BARS = {"speed": 8.0, "sweep": 1.15, "cosine": 0.999}
Way = Callable[[], NDArray[np.float32]]


def draw(count: int, size: Size) -> list[Feature]:
    """Sentences of random tokens, in the order of a file."""
    generator = random.Random(0)
    found = []
    for i in range(count):
        length = round(generator.lognormvariate(LENGTHS["mu"], LENGTHS["sigma"]))
        length = int(min(max(length, LENGTHS["shortest"]), LENGTHS["longest"]))
        words = [generator.randrange(4, size.vocabulary) for _ in range(length - 2)]
        found.append(Feature(i, ([0, *words, 2],), None))
    return found


def peer(encoder: Encoder, features: Sequence[Feature], layer: int) -> NDArray[np.float32]:
    """The script's way; see above."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(features), PEER_BATCH):
            batch = collate(features[start : start + PEER_BATCH], PAD, encoder.device)
            held = encoder.trunk(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True)
            found.append(masked_mean(held.hidden_states[layer], batch.mask).cpu().numpy())
    return np.concatenate(found)


def ours(encoder: Encoder, features: Sequence[Feature], layers: Sequence[int], bf16: bool) -> NDArray[np.float32]:
    """The package's way, longest first as it has them: (layers, sentences, hidden) in the order given."""
    order = sorted(range(len(features)), key=lambda i: (-features[i].length, i))
    made = encode(encoder, [features[i] for i in order], layers, pooling.mean, PAD, bf16)
    found = np.empty_like(made)
    found[:, order] = made
    return found


def measure(encoder: Encoder, features: Sequence[Feature], rounds: int, bf16: bool) -> dict[str, Any]:
    """Every way in turn, so many rounds."""
    depth, layer = encoder.depth, round(encoder.depth * 2 / 3)
    ways: dict[str, Way] = {
        "script": lambda: peer(encoder, features, layer),
        "ours": lambda: ours(encoder, features, (layer,), bf16)[0],
        "ours fp32": lambda: ours(encoder, features, (layer,), False)[0],
        "one full pass": lambda: ours(encoder, features, (depth,), bf16)[0],
        "layer sweep": lambda: ours(encoder, features, range(1, depth + 1), bf16)[layer - 1],
    }
    for half in (False, bf16):
        ours(encoder, features[:PEER_BATCH], (depth,), half)  # warm
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    made: dict[str, NDArray[np.float32]] = {}
    for _ in range(rounds):
        for name, work in ways.items():
            wall, cpu = now(encoder.device), time.process_time()
            made[name] = work()
            cpu = time.process_time() - cpu
            seconds[name].append({"wall": now(encoder.device) - wall, "cpu": cpu})
            print(f"  {name:14} {seconds[name][-1]['wall']:7.1f} s, {cpu:7.1f} of the processor", flush=True)
    counted = "cpu" if encoder.device.type == "cpu" else "wall"
    taken = {name: statistics.median(each[counted] for each in held) for name, held in seconds.items()}
    return {
        "layer": layer,
        "of": depth,
        "seconds": seconds,
        "counted": counted,
        "sentences_per_second": {name: len(features) / value for name, value in taken.items()},
        "speed": _bar("speed", taken["script"] / taken["ours"]),
        "sweep": _bar("sweep", taken["layer sweep"] / taken["one full pass"], smaller=True),
        "cosine": _bar("cosine", float(cosines(made["ours"], made["script"]).min())),
        "cosine_fp32": float(cosines(made["ours fp32"], made["script"]).min()),
        "sweep_equals_alone": bool(np.array_equal(made["layer sweep"], made["ours"])),
    }


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of every row with its like."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    found: NDArray[np.float64] = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    return found


def _bar(name: str, value: float, smaller: bool = False) -> dict[str, Any]:
    return {"value": value, "bar": BARS[name], "met": value <= BARS[name] if smaller else value >= BARS[name]}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and write the result."""
    parser = arguments("Sentences to vectors.", RESULTS / "encoding.json")
    parser.add_argument("--sentences", type=int, help="default 400, on a GPU 20000")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(given)
    size, device = (SMALL if options.quick else BASE), torch.device(options.device)
    count = options.sentences or (120 if options.quick else 400 if device.type == "cpu" else 20_000)
    features = draw(count, size)
    lengths = [feature.length for feature in features]
    bf16 = half_precision("auto", device)
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(make_model(Path(folder) / "model", size), device=device)
        held = measure(encoder, features, 1 if options.quick else options.rounds, bf16)
    result: dict[str, Any] = {
        "benchmark": "encoding",
        "quick": options.quick,
        "machine": machine(options.device),
        "sentences": count,
        "tokens": {"median": statistics.median(lengths), "mean": statistics.mean(lengths), "max": max(lengths)},
        "bf16": bf16,
        **held,
    }
    for name, rate in held["sentences_per_second"].items():
        print(f"{name:14} {rate:9.1f} sentences per {held['counted']} second", flush=True)
    print(f"ours / script     {held['speed']['value']:7.2f}{verdict(held['speed'], '>=')}")
    print(f"sweep / full pass {held['sweep']['value']:7.3f}{verdict(held['sweep'], '<=')}")
    print(f"smallest cosine   {held['cosine']['value']:7.5f}{verdict(held['cosine'], '>=')}")
    write(result, options.out or (None if options.quick else RESULTS / "encoding.json"))
    if options.quick:
        print(QUICK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
