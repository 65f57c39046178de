"""Speed and memory of mining in both directions, compared with FAISS and with the methods of two other programs.

    python benchmarks/retrieval.py [--rows 20000 --rows 50000] [--growth 10000 --growth 200000] [--device cuda]

Vectors are random unit vectors of 768 entries with planted noisy pairs; ``k`` is 4, the score is the ratio margin. Ours
is one pass in 8 bits. The floor is one float32 product of all pairs, block by block, with nothing kept of it. All
methods must find the same. With ``--device cuda`` ours is a flat index on the GPUs, in float32 and in float16 with
exact products, and the floor is computed there too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import mining_peers as peers
import numpy as np
import torch
from common import QUICK, RESULTS, arguments, heading, now, output_file, verdict, with_bar, write

from adaptstilts.runtime.meter import ProcessMemory
from adaptstilts.search import bucc, mutual_neighbours, neighbours
from adaptstilts.search.base import Vectors
from adaptstilts.search.margin import best_pairs
from adaptstilts.search.products import normalize

DEFAULT = RESULTS / "retrieval.json"
WIDTH = 768
NEIGHBOURS = 4
NOISE = 0.9  # norm of the noise of a planted pair, before normalization
ROUNDS = 3
BLOCK = 1024
CHECKED = 2000  # rows compared with brute force
ROWS = (20_000, 50_000, 100_000)
FASTER = {20_000: 3.5, 50_000: 5.0}  # times as fast as FAISS searched twice, at least
FLOOR = {20_000: 0.6, 50_000: 0.35}  # share of the time of one float32 product, at most
MEGABYTES = {100_000: 500}  # beside the vectors, at most
EXPONENT = 2.05  # of the time as a power of the rows, at most
GROWTH = (10_000, 20_000, 50_000, 100_000, 200_000, 400_000)
BARS = {  # key of a result -> sign, bar for each number of rows
    "faster than faiss twice": (">=", FASTER),
    "time over floor": ("<=", FLOOR),
    "megabytes beside the vectors": ("<=", MEGABYTES),
}
Ways = dict[str, Callable[[], Any]]


def planted(rows: int, width: int) -> tuple[Vectors, Vectors]:
    """Draw two sides whose rows are noisy pairs, in different orders.

    Args:
        rows: vectors of a side.
        width: entries of a vector.
    """
    source = np.random.default_rng(0)
    english = normalize(source.standard_normal((rows, width), np.float32))
    noise = normalize(source.standard_normal((rows, width), np.float32))
    foreign = normalize(english + NOISE * noise)
    return foreign, np.ascontiguousarray(english[source.permutation(rows)])


def floor(foreign: Vectors, english: Vectors, device: torch.device) -> None:
    """Compute one float32 product of all pairs and keep nothing.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        device: where to compute.
    """
    x = torch.from_numpy(foreign).to(device)
    y = torch.from_numpy(english).to(device)
    products = torch.empty(BLOCK, len(y), device=device)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        torch.mm(block, y.T, out=products[: len(block)])


def both(foreign: Vectors, english: Vectors, device: torch.device) -> Any:
    """Search in both directions with the package.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        device: a CPU takes the one-pass search, a GPU a flat index.
    """
    backend = "one-pass" if device.type == "cpu" else "faiss"
    return mutual_neighbours(foreign, english, NEIGHBOURS, backend)


def mined(mutual: Any) -> peers.Pairs:
    """Return the one-to-one pairs with the best margins among the neighbours of both directions."""
    pairs = bucc.one_to_one(best_pairs(*mutual), -math.inf)
    return set(zip(pairs.foreign.tolist(), pairs.english.tolist(), strict=True))


def searches(foreign: Vectors, english: Vectors, device: torch.device) -> Ways:
    """Return the searches to time.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        device: where ours and the floor compute.
    """
    ways: Ways = {
        "ours": lambda: both(foreign, english, device),
        "faiss twice": lambda: peers.faiss_twice(foreign, english, NEIGHBOURS),
        "floor": lambda: floor(foreign, english, device),
    }
    if device.type != "cpu":
        ways["ours, float16 index"] = lambda: mutual_neighbours(foreign, english, NEIGHBOURS, "faiss-float16")
    return ways


def miners(foreign: Vectors, english: Vectors, device: torch.device) -> Ways:
    """Return the methods of mining to time, from vectors to pairs.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        device: where ours computes.
    """
    return {
        "ours": lambda: mined(both(foreign, english, device)),
        "sentence-transformers": lambda: peers.sentence_transformers(foreign, english, NEIGHBOURS),
        "laser": lambda: peers.laser(foreign, english, NEIGHBOURS),
    }


def timed(ways: Ways, rounds: int, device: torch.device) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run all ways in turn.

    Args:
        ways: what to run.
        rounds: times that every way has its turn.
        device: the device to wait for.

    Returns:
        Seconds of every round, and the results of the last one.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(rounds):
        for name, work in ways.items():
            start = now(device)
            results[name] = work()
            times[name].append(now(device) - start)
    return times, results


def checks(results: dict[str, Any], pairs: dict[str, Any], foreign: Vectors, english: Vectors) -> dict[str, bool]:
    """Compare the results of all ways.

    Args:
        results: neighbours of each search.
        pairs: mined pairs of each method.
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).

    Returns:
        Whether ours equals brute force on the first rows, has FAISS's cosines, and whether all mine the same pairs.
    """
    mine = [directions for name, directions in results.items() if name.startswith("ours")]
    return {
        "brute force": all(_equals_brute_force(directions, foreign, english) for directions in mine),
        "faiss": _same_cosines(results["ours"], results["faiss twice"]),
        "pairs": all(each == pairs["ours"] for each in pairs.values()),
    }


def _equals_brute_force(directions: Any, foreign: Vectors, english: Vectors) -> bool:
    few = slice(0, min(len(foreign), CHECKED))
    sides = ((foreign, english), (english, foreign))
    for (rows, products), (queries, others) in zip(directions, sides, strict=True):
        plain_rows, plain_products = neighbours(queries[few], others, NEIGHBOURS, "numpy")
        if not np.array_equal(rows[few], plain_rows) or not np.array_equal(products[few], plain_products):
            return False
    return True


def _same_cosines(mine: Any, theirs: Any) -> bool:
    for (_, products), (faiss_products, _) in zip(mine, theirs, strict=True):
        if not np.allclose(products, faiss_products, atol=1e-5):
            return False
    return True


def measure(rows: int, width: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Measure one size.

    Args:
        rows: vectors of a side.
        width: entries of a vector.
        rounds: times that every search has its turn.
        device: where ours computes.
    """
    foreign, english = planted(rows, width)
    memory = ProcessMemory(device)
    both(foreign, english, device)
    megabytes = memory.peak / 2**20
    times, results = timed(searches(foreign, english, device), rounds, device)
    mining_times, pairs = timed(miners(foreign, english, device), 1, device)
    medians = {name: statistics.median(values) for name, values in times.items()}
    outcomes = checks(results, pairs, foreign, english)
    figures = {
        "faster than faiss twice": medians["faiss twice"] / medians["ours"],
        "time over floor": medians["ours"] / medians["floor"],
        "megabytes beside the vectors": megabytes,
    }
    judged = {}
    for key, (sign, bars) in BARS.items():
        judged[key] = with_bar({"value": figures[key]}, "value", sign, bars.get(rows))
    return {
        "seconds": times,
        "median": medians,
        "mining seconds": {name: values[0] for name, values in mining_times.items()},
        **judged,
        "found": len(pairs["ours"]),
        "checks": outcomes,
        "equal": all(outcomes.values()),
    }


def growth(sizes: Sequence[int], width: int, device: torch.device) -> dict[str, Any]:
    """Time our search at every size and fit time = c rows^exponent (least squares on logarithms).

    Args:
        sizes: vectors of a side.
        width: entries of a vector.
        device: where to compute.
    """
    seconds = {}
    for rows in sizes:
        foreign, english = planted(rows, width)
        start = now(device)
        both(foreign, english, device)
        taken = now(device) - start
        seconds[str(rows)] = taken
        print(f"{rows} rows: {taken:.2f} s", flush=True)
    slope = float(np.polyfit(np.log(sizes), np.log(list(seconds.values())), 1)[0])
    return {"seconds": seconds, "exponent": with_bar({"value": slope}, "value", "<=", EXPONENT)}


def _print(rows: int, result: dict[str, Any]) -> None:
    print(f"{rows} rows: {result['found']} pairs, equal: {result['equal']} {result['checks']}")
    median = result["median"]
    for name, seconds in median.items():
        print(f"  {name:24} {seconds:8.2f} s, {seconds / median['ours']:6.2f} times ours", flush=True)
    for name, seconds in result["mining seconds"].items():
        print(f"  mining, {name:16} {seconds:8.2f} s")
    for name, (sign, _) in BARS.items():
        print(f"  {name}: {result[name]['value']:.2f}{verdict(result[name], sign)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every size and write the result; return 1 if results differ."""
    parser = arguments("Speed and memory of mining in both directions.", DEFAULT)
    parser.add_argument("--rows", type=int, action="append", help="rows of a side; may be repeated")
    parser.add_argument("--growth", type=int, action="append", help="sizes to measure the growth of the time; 0: none")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of every search; default {ROUNDS}")
    options = parser.parse_args(argv)
    device = torch.device(options.device)
    sizes = options.rows or ROWS
    growth_sizes = [size for size in options.growth or GROWTH if size]
    width, rounds = WIDTH, options.rounds
    if options.quick:
        sizes, growth_sizes, width, rounds = [300], [100, 200], 64, 1
    result: dict[str, Any] = {**heading("retrieval", options), "mining": {}}
    out = output_file(options, DEFAULT)
    for rows in sizes:
        measured = measure(rows, width, rounds, device)
        result["mining"][str(rows)] = measured
        _print(rows, measured)
        write(result, out)
    if growth_sizes:
        result["growth"] = growth(growth_sizes, width, device)
        exponent = result["growth"]["exponent"]
        print(f"exponent {exponent['value']:.3f}{verdict(exponent, '<=')}")
    write(result, out)
    if options.quick:
        print(QUICK)
    return 0 if all(measured["equal"] for measured in result["mining"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
