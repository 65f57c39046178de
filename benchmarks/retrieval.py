"""Searching both directions for mining: one pass in 8 bits against FAISS searched twice, and against one plain product.

    python benchmarks/retrieval.py [--rows 20000 --rows 50000]

Vectors are random, of length one and 768 entries, with planted noisy pairs; ``k`` is 4. All searches must give the
same neighbours; the floor is one float32 product of all pairs, block by block, of which nothing is kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from common import QUICK, RESULTS, arguments, machine, write

from adaptstilts.retrieval import onepass
from adaptstilts.retrieval.search import Vectors, neighbours, unit

WIDTH = 768
NEIGHBOURS = 4
NOISE = 0.9  # of a planted pair, against a vector of length one
ROUNDS = 3
BLOCK = 1024


def planted(rows: int, width: int) -> tuple[Vectors, Vectors]:
    """Two sides whose rows are pairs, in another order."""
    source = np.random.default_rng(0)
    english = unit(source.standard_normal((rows, width)).astype(np.float32))
    noise = unit(source.standard_normal((rows, width)).astype(np.float32))
    return unit(english + NOISE * noise), np.ascontiguousarray(english[source.permutation(rows)])


def twice(foreign: Vectors, english: Vectors) -> Any:
    """FAISS's flat index, searched in both directions, as mining scripts do it."""
    import faiss

    found = []
    for queries, rows in ((foreign, english), (english, foreign)):
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        found.append(index.search(queries, NEIGHBOURS)[1])
    return found


def floor(foreign: Vectors, english: Vectors) -> None:
    """One float32 product of all pairs."""
    x, y = torch.from_numpy(foreign), torch.from_numpy(english)
    held = torch.empty(BLOCK, len(y))
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        torch.mm(block, y.T, out=held[: len(block)])


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rows: int, width: int, rounds: int) -> dict[str, Any]:
    """Every search in turn, so many rounds; medians, ratios, and whether the answers are equal."""
    foreign, english = planted(rows, width)
    ways: dict[str, Callable[[], Any]] = {
        "one pass": lambda: onepass.mutual(foreign, english, NEIGHBOURS),
        "faiss twice": lambda: twice(foreign, english),
        "floor": lambda: floor(foreign, english),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(seconds(work))
    medians = {name: statistics.median(values) for name, values in times.items()}
    (ahead, _), (back, _) = onepass.mutual(foreign, english, NEIGHBOURS)
    few = slice(0, min(rows, 2000))
    exact = [neighbours(a[few], b, NEIGHBOURS)[0] for a, b in ((foreign, english), (english, foreign))]
    return {
        "seconds": times,
        "median": medians,
        "faiss twice / one pass": medians["faiss twice"] / medians["one pass"],
        "one pass / floor": medians["one pass"] / medians["floor"],
        "equal": bool(np.array_equal(ahead[few], exact[0]) and np.array_equal(back[few], exact[1])),
    }


def main(given: Sequence[str] | None = None) -> int:
    """Measure at every size and write the result."""
    parser = arguments("Searching both directions for mining.", RESULTS / "retrieval.json")
    parser.add_argument("--rows", type=int, action="append", help="rows of a side; may be repeated")
    options = parser.parse_args(given)
    sizes = [300] if options.quick else options.rows or [20_000, 50_000]
    width, rounds = (64, 1) if options.quick else (WIDTH, ROUNDS)
    result: dict[str, Any] = {"benchmark": "retrieval", "quick": options.quick, "machine": machine(options.device)}
    result["mining"] = {}
    for rows in sizes:
        held = measure(rows, width, rounds)
        result["mining"][str(rows)] = held
        print(f"{rows} rows, equal: {held['equal']}")
        for name, taken in held["median"].items():
            print(f"  {name:12} {taken:8.2f} s, {taken / held['median']['one pass']:6.2f} times one pass", flush=True)
    write(result, options.out or (None if options.quick else RESULTS / "retrieval.json"))
    if options.quick:
        print(QUICK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
