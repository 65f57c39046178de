"""Speed of sentence encoding, compared with the method of XTREME's retrieval scripts.

    python benchmarks/encoding.py [--sentences 400]

Ours sorts sentences by length and stops at the layer that is pooled. Theirs, written from its description, takes
sentences in file order, 100 to a batch, pads each batch to its longest sentence, computes all layers in float32 and
keeps every hidden state to pool one of them. Tokenization is not timed. On a CPU, ratios are of processor seconds,
which other processes on the machine disturb less than wall time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    BASE,
    QUICK,
    RESULTS,
    SMALL,
    Size,
    arguments,
    heading,
    lognormal_length,
    make_model,
    now,
    output_file,
    verdict,
    with_bar,
    write,
)
from numpy.typing import NDArray

from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.means import masked_mean
from adaptstilts.retrieval import pooling
from adaptstilts.retrieval.encode import encode
from adaptstilts.runtime.hardware import half_precision

DEFAULT = RESULTS / "encoding.json"
# tokens of a sentence, special ones included: lognormal with median 21 and mean 25.7; at most 128
LENGTHS = {"mu": 3.045, "sigma": 0.636, "shortest": 4, "longest": 128}
PEER_BATCH = 100
PAD = 1
BARS = {"speed": 8.0, "sweep": 1.15, "cosine": 0.999}
Vectors = NDArray[np.float32]
Way = Callable[[], Vectors]


def draw(count: int, size: Size) -> list[Feature]:
    """Draw sentences of random tokens.

    Args:
        count: how many.
        size: its vocabulary is the one tokens are drawn from.
    """
    generator = random.Random(0)
    sentences = []
    for i in range(count):
        length = lognormal_length(generator, LENGTHS)
        words = [generator.randrange(4, size.vocabulary) for _ in range(length - 2)]
        sentences.append(Feature(i, ([0, *words, 2],), None))
    return sentences


def peer(encoder: Encoder, features: Sequence[Feature], layer: int) -> Vectors:
    """Encode by the method of XTREME's scripts.

    Args:
        encoder: the encoder.
        features: sentences in file order.
        layer: the layer to pool.

    Returns:
        Mean hidden states (sentences, hidden).
    """
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(features), PEER_BATCH):
            batch = collate(features[start : start + PEER_BATCH], PAD, encoder.device)
            output = encoder.trunk(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True)
            pooled = masked_mean(output.hidden_states[layer], batch.mask)
            vectors.append(pooled.cpu().numpy())
    return np.concatenate(vectors)


def ours(encoder: Encoder, features: Sequence[Feature], layers: Sequence[int], bf16: bool) -> Vectors:
    """Encode with the package, longest sentences first.

    Args:
        encoder: the encoder.
        features: sentences.
        layers: the layers to pool.
        bf16: compute in bfloat16.

    Returns:
        Mean hidden states (layers, sentences, hidden), sentences in the order given.
    """
    order = sorted(range(len(features)), key=lambda i: (-features[i].length, i))
    by_length = encode(encoder, [features[i] for i in order], layers, pooling.mean, PAD, bf16)
    vectors = np.empty_like(by_length)
    vectors[:, order] = by_length
    return vectors


def measure(encoder: Encoder, features: Sequence[Feature], rounds: int, bf16: bool) -> dict[str, Any]:
    """Time all ways and compare their vectors.

    Args:
        encoder: the encoder.
        features: sentences in file order.
        rounds: times that every way has its turn.
        bf16: let ours compute in bfloat16.
    """
    depth = encoder.depth
    layer = round(depth * 2 / 3)
    ways: dict[str, Way] = {
        "script": lambda: peer(encoder, features, layer),
        "ours": lambda: ours(encoder, features, (layer,), bf16)[0],
        "ours fp32": lambda: ours(encoder, features, (layer,), False)[0],
        "one full pass": lambda: ours(encoder, features, (depth,), bf16)[0],
        "layer sweep": lambda: ours(encoder, features, range(1, depth + 1), bf16)[layer - 1],
    }
    for half in (False, bf16):
        ours(encoder, features[:PEER_BATCH], (depth,), half)  # warm-up
    seconds, vectors = _time(ways, rounds, encoder.device)
    clock = "cpu" if encoder.device.type == "cpu" else "wall"
    median = {}
    for name, times in seconds.items():
        median[name] = statistics.median(each[clock] for each in times)
    speed = median["script"] / median["ours"]
    sweep = median["layer sweep"] / median["one full pass"]
    cosine = float(cosines(vectors["ours"], vectors["script"]).min())
    return {
        "layer": layer,
        "of": depth,
        "seconds": seconds,
        "counted": clock,
        "sentences_per_second": {name: len(features) / value for name, value in median.items()},
        "speed": _judged("speed", speed, ">="),
        "sweep": _judged("sweep", sweep, "<="),
        "cosine": _judged("cosine", cosine, ">="),
        "cosine_fp32": float(cosines(vectors["ours fp32"], vectors["script"]).min()),
        "sweep_equals_alone": bool(np.array_equal(vectors["layer sweep"], vectors["ours"])),
    }


def _time(
    ways: dict[str, Way], rounds: int, device: torch.device
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Vectors]]:
    """Run the ways in turn; return the seconds of each round, and the vectors of the last one."""
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    vectors = {}
    for _ in range(rounds):
        for name, work in ways.items():
            wall_start = now(device)
            cpu_start = time.process_time()
            vectors[name] = work()
            cpu = time.process_time() - cpu_start
            wall = now(device) - wall_start
            seconds[name].append({"wall": wall, "cpu": cpu})
            print(f"  {name:14} {wall:7.1f} s, {cpu:7.1f} s of processor time", flush=True)
    return seconds, vectors


def cosines(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """Return the cosine of each row of one matrix with the same row of another.

    Args:
        a: vectors (n, width).
        b: vectors (n, width).
    """
    left = a.astype(np.float64)
    right = b.astype(np.float64)
    products: NDArray[np.float64] = (left * right).sum(1)
    return products / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def _judged(name: str, value: float, sign: str) -> dict[str, Any]:
    return with_bar({"value": value}, "value", sign, BARS[name])


def _count(options: argparse.Namespace) -> int:
    """Return the number of sentences to encode."""
    if options.sentences:
        return int(options.sentences)
    if options.quick:
        return 120
    return 400 if torch.device(options.device).type == "cpu" else 20_000


def _print(result: dict[str, Any]) -> None:
    for name, rate in result["sentences_per_second"].items():
        print(f"{name:14} {rate:9.1f} sentences per {result['counted']} second", flush=True)
    speed, sweep, cosine = result["speed"], result["sweep"], result["cosine"]
    print(f"ours / script     {speed['value']:7.2f}{verdict(speed, '>=')}")
    print(f"sweep / full pass {sweep['value']:7.3f}{verdict(sweep, '<=')}")
    print(f"smallest cosine   {cosine['value']:7.5f}{verdict(cosine, '>=')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the figures and write them."""
    parser = arguments("Speed of sentence encoding.", DEFAULT)
    parser.add_argument("--sentences", type=int, help="sentences to encode; default 400, on a GPU 20000")
    parser.add_argument("--rounds", type=int, default=3, help="times that every way has its turn; default 3")
    options = parser.parse_args(argv)
    size = BASE
    rounds = options.rounds
    if options.quick:
        size, rounds = SMALL, 1
    device = torch.device(options.device)
    features = draw(_count(options), size)
    lengths = [feature.length for feature in features]
    bf16 = half_precision("auto", device)
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(make_model(Path(folder) / "model", size), device=device)
        figures = measure(encoder, features, rounds, bf16)
    result = {
        **heading("encoding", options),
        "sentences": len(features),
        "tokens": {"median": statistics.median(lengths), "mean": statistics.mean(lengths), "max": max(lengths)},
        "bf16": bf16,
        **figures,
    }
    _print(result)
    write(result, output_file(options, DEFAULT))
    if options.quick:
        print(QUICK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
