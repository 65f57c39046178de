"""Mining in both directions: one pass in 8 bits against FAISS searched twice, other programs' ways, and one product.

    python benchmarks/retrieval.py [--rows 20000 --rows 50000] [--growth 10000 --growth 200000] [--device cuda]

Vectors are random, of length one and 768 entries, with planted noisy pairs; ``k`` is 4, the margin ratio. All ways must
find the same; the floor is one float32 product of all pairs, block by block, of which nothing is kept. With ``--device
cuda`` ours is a flat index on the GPUs, in float32 and in float16 with exact products, and the floor is theirs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import mining_peers as peers
import numpy as np
import torch
from common import QUICK, RESULTS, arguments, machine, now, verdict, write

from adaptstilts.runtime.meter import ProcessMemory
from adaptstilts.search import bucc, mutual_neighbours, neighbours
from adaptstilts.search.base import Vectors
from adaptstilts.search.margin import best_pairs
from adaptstilts.search.products import normalize

WIDTH = 768
NEIGHBOURS = 4
NOISE = 0.9  # of a planted pair, against a vector of length one
ROUNDS = 3
BLOCK = 1024
FASTER = {20_000: 3.5, 50_000: 5.0}  # than FAISS searched twice, at least
FLOOR = {20_000: 0.6, 50_000: 0.35}  # of the time of one float32 product, at most
MEGABYTES = {100_000: 500}  # beside the vectors, at most
EXPONENT = 2.05  # of the time in the number of rows, at most
GROWTH = (10_000, 20_000, 50_000, 100_000, 200_000, 400_000)
Ways = dict[str, Callable[[], Any]]


def planted(rows: int, width: int) -> tuple[Vectors, Vectors]:
    """Two sides whose rows are pairs, in another order."""
    source = np.random.default_rng(0)
    english = normalize(source.standard_normal((rows, width), np.float32))
    noise = normalize(source.standard_normal((rows, width), np.float32))
    return normalize(english + NOISE * noise), np.ascontiguousarray(english[source.permutation(rows)])


def floor(foreign: Vectors, english: Vectors, device: torch.device) -> None:
    """One float32 product of all pairs."""
    x, y = torch.from_numpy(foreign).to(device), torch.from_numpy(english).to(device)
    held = torch.empty(BLOCK, len(y), device=device)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        torch.mm(block, y.T, out=held[: len(block)])


def both(foreign: Vectors, english: Vectors, device: torch.device) -> Any:
    """Our search, in both directions."""
    backend = "one-pass" if device.type == "cpu" else "faiss"
    return mutual_neighbours(foreign, english, NEIGHBOURS, backend)


def mined(found: Any) -> peers.Pairs:
    """The pairs that neighbours give."""
    pairs = bucc.one_to_one(best_pairs(*found), -math.inf)
    return set(zip(pairs.foreign.tolist(), pairs.english.tolist(), strict=True))


def ways(foreign: Vectors, english: Vectors, device: torch.device) -> tuple[Ways, Ways]:
    """Searches, and whole mining."""
    sides = foreign, english
    searches: Ways = {
        "ours": lambda: both(*sides, device),
        "faiss twice": lambda: peers.faiss_twice(*sides, NEIGHBOURS),
        "floor": lambda: floor(*sides, device),
    }
    if device.type != "cpu":
        searches["ours, float16 index"] = lambda: mutual_neighbours(*sides, NEIGHBOURS, "faiss-float16")
    mining: Ways = {
        "ours": lambda: mined(both(*sides, device)),
        "sentence-transformers": lambda: peers.sentence_transformers(*sides, NEIGHBOURS),
        "laser": lambda: peers.laser(*sides, NEIGHBOURS),
    }
    return searches, mining


def timed(named: Ways, rounds: int, device: torch.device) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Every way in turn, so many rounds: seconds, and what each gave."""
    times: dict[str, list[float]] = {name: [] for name in named}
    gave = {}
    for _ in range(rounds):
        for name, work in named.items():
            start = now(device)
            gave[name] = work()
            times[name].append(now(device) - start)
    return times, gave


def equal(gave: dict[str, Any], pairs: dict[str, Any], foreign: Vectors, english: Vectors) -> dict[str, bool]:
    """Whether ours is what a plain search gives on some rows, FAISS's cosines are ours, and all mine the same."""
    few = slice(0, min(len(foreign), 2000))
    plain = [neighbours(a[few], b, NEIGHBOURS, "numpy") for a, b in ((foreign, english), (english, foreign))]
    ours = [name for name in gave if name.startswith("ours")]
    return {
        "brute force": all(
            np.array_equal(mine[part][few], theirs[part])
            for name in ours
            for mine, theirs in zip(gave[name], plain, strict=True)
            for part in (0, 1)
        ),
        "faiss": all(
            np.allclose(mine[1], theirs[0], atol=1e-5)
            for mine, theirs in zip(gave["ours"], gave["faiss twice"], strict=True)
        ),
        "pairs": all(found == pairs["ours"] for found in pairs.values()),
    }


def measure(rows: int, width: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """One size."""
    foreign, english = planted(rows, width)
    memory = ProcessMemory(device)
    both(foreign, english, device)
    megabytes = memory.peak / 2**20
    searches, mining = ways(foreign, english, device)
    times, gave = timed(searches, rounds, device)
    mining_times, pairs = timed(mining, 1, device)
    medians = {name: statistics.median(values) for name, values in times.items()}
    checks = equal(gave, pairs, foreign, english)
    return {
        "seconds": times,
        "median": medians,
        "mining seconds": {name: values[0] for name, values in mining_times.items()},
        "faster than faiss twice": _at_least(medians["faiss twice"] / medians["ours"], FASTER.get(rows)),
        "time over floor": _at_most(medians["ours"] / medians["floor"], FLOOR.get(rows)),
        "megabytes beside the vectors": _at_most(megabytes, MEGABYTES.get(rows)),
        "found": len(pairs["ours"]),
        "checks": checks,
        "equal": all(checks.values()),
    }


def growth(sizes: Sequence[int], width: int, device: torch.device) -> dict[str, Any]:
    """Seconds of our search at every size, and their exponent: the slope of logarithms (least squares)."""
    taken = {}
    for rows in sizes:
        foreign, english = planted(rows, width)
        start = now(device)
        both(foreign, english, device)
        taken[str(rows)] = now(device) - start
        print(f"{rows} rows: {taken[str(rows)]:.2f} s", flush=True)
    slope = float(np.polyfit(np.log(sizes), np.log(list(taken.values())), 1)[0])
    return {"seconds": taken, "exponent": _at_most(slope, EXPONENT)}


def _at_least(value: float, bar: float | None) -> dict[str, Any]:
    return {"value": value} if bar is None else {"value": value, "bar": bar, "met": value >= bar}


def _at_most(value: float, bar: float | None) -> dict[str, Any]:
    return {"value": value} if bar is None else {"value": value, "bar": bar, "met": value <= bar}


def _tell(rows: int, held: dict[str, Any]) -> None:
    print(f"{rows} rows: {held['found']} pairs, equal: {held['equal']} {held['checks']}")
    for name, taken in held["median"].items():
        print(f"  {name:24} {taken:8.2f} s, {taken / held['median']['ours']:6.2f} times ours", flush=True)
    for name, taken in held["mining seconds"].items():
        print(f"  mining, {name:16} {taken:8.2f} s")
    for name, sign in (
        ("faster than faiss twice", ">="),
        ("time over floor", "<="),
        ("megabytes beside the vectors", "<="),
    ):
        print(f"  {name}: {held[name]['value']:.2f}{verdict(held[name], sign)}")


def main(given: Sequence[str] | None = None) -> int:
    """Measure at every size and write the result."""
    parser = arguments("Mining in both directions.", RESULTS / "retrieval.json")
    parser.add_argument("--rows", type=int, action="append", help="rows of a side; may be repeated")
    parser.add_argument("--growth", type=int, action="append", help="sizes of which the growth is measured; 0 for none")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(given)
    device = torch.device(options.device)
    sizes = [300] if options.quick else options.rows or [20_000, 50_000, 100_000]
    grown = [100, 200] if options.quick else [size for size in options.growth or GROWTH if size]
    width, rounds = (64, 1) if options.quick else (WIDTH, options.rounds)
    result: dict[str, Any] = {"benchmark": "retrieval", "quick": options.quick, "machine": machine(options.device)}
    result["mining"] = {}
    out = options.out or (None if options.quick else RESULTS / "retrieval.json")
    for rows in sizes:
        result["mining"][str(rows)] = measure(rows, width, rounds, device)
        _tell(rows, result["mining"][str(rows)])
        write(result, out)
    if grown:
        result["growth"] = growth(grown, width, device)
        exponent = result["growth"]["exponent"]
        print(f"exponent {exponent['value']:.3f}{verdict(exponent, '<=')}")
    write(result, out)
    if options.quick:
        print(QUICK)
    return 0 if all(held["equal"] for held in result["mining"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
