"""Measure how often the intervals of score differences contain the truth, compared with two bootstraps.

A simulated study has right and wrong answers of two systems on n items in five languages, by S seeds each. Every seed
has an effect of its own (sd in points), items are easier or harder for both systems, and languages share their rows
(parallel) or not. The share of 95 % intervals that contain the true difference is counted for

* ``crossed``: ``adaptstilts.metrics.intervals``: seeds and items as crossed random effects,
* ``items``: a percentile bootstrap over items of the mean over seeds, which this package printed before,
* ``both``: a percentile bootstrap over seeds and items (Sellam et al. 2021, arXiv 2106.16163).

    python benchmarks/intervals.py [--runs 2000] [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.intervals import LanguagesAs, number_items, paired_difference

RESULTS = Path(__file__).resolve().parent / "results" / "intervals.json"
LANGUAGES = 5
SEEDS = (1, 2, 3, 5, 10)
SEED_SDS = (0.0, 0.2, 1.0, 1.6, 2.0)
LANGUAGE_SDS = (1.0, 3.0)
RESAMPLES = 200
BOOTSTRAP_SHARE = 5  # every fifth simulated study is bootstrapped too, which takes far longer
BOUNDS = (93.0, 97.0)
Array = NDArray[np.float32]


def simulate(
    generator: np.random.Generator, seeds: int, n: int, seed_sd: float, language_sd: float, parallel: bool
) -> tuple[Array, float, float]:
    """Draw one study.

    Args:
        generator: source of chance.
        seeds: pairs of training runs.
        n: items per language.
        seed_sd: standard deviation of the differences between seeds, in points.
        language_sd: standard deviation of the differences between languages, in points.
        parallel: whether languages share their items.

    Returns:
        Differences (seeds, languages, items) in points, the true difference in these languages, and in languages
        like these.
    """
    of_language = generator.normal(2.0, language_sd, LANGUAGES)
    of_seed = generator.normal(0.0, seed_sd, seeds)
    easiness = np.clip(generator.beta(2.0, 1.0, (1, n) if parallel else (LANGUAGES, n)), 0.05, 0.95)
    shape = (seeds, LANGUAGES, n)
    gain = (of_language[None, :, None] + of_seed[:, None, None]) / 100
    chance = generator.random(shape, np.float32)  # both systems err on the same rows, mostly
    ours = chance < easiness.astype(np.float32) + gain.astype(np.float32)
    other_chance = np.where(generator.random(shape, np.float32) < 0.8, chance, generator.random(shape, np.float32))
    differences = 100 * (ours.astype(np.float32) - (other_chance < easiness))
    return differences.astype(np.float32), float(of_language.mean()), 2.0


def crossed(differences: Array, parallel: bool, languages_as: LanguagesAs = "fixed") -> tuple[float, float]:
    """Return the interval of the package.

    Args:
        differences: (seeds, languages, items) in points.
        parallel: whether languages share their items.
        languages_as: see :func:`adaptstilts.metrics.intervals.paired_difference`.
    """
    seeds, languages, n = differences.shape
    codes = [str(number) for number in range(languages)]
    key = (languages, n, parallel)
    if key not in _NUMBERS:
        _NUMBERS[key] = number_items({code: _ids(code, n, parallel) for code in codes})
    ours = [dict(zip(codes, of_seed, strict=True)) for of_seed in differences.astype(float)]
    zeros = [dict.fromkeys(codes, np.zeros(n))] * seeds
    interval = paired_difference(ours, zeros, _NUMBERS[key], languages_as)
    return interval.low, interval.high


def _ids(code: str, n: int, parallel: bool) -> list[Any]:
    """Return the ids of a language's items."""
    return [*range(n)] if parallel else [(code, place) for place in range(n)]


_NUMBERS: dict[tuple[int, int, bool], Any] = {}


class Bootstraps:
    """Percentile intervals over resampled items, without and with resampled seeds.

    Args:
        generator: source of chance; it draws the resamples once, for all studies of a setting.
        seeds: pairs of training runs.
        n: items per language.
        parallel: draw the same items in every language.
    """

    def __init__(self, generator: np.random.Generator, seeds: int, n: int, parallel: bool) -> None:
        shape = (RESAMPLES, 1 if parallel else LANGUAGES)
        counts = generator.multinomial(n, np.full(n, 1 / n), shape).astype(np.float32)
        self.items = np.broadcast_to(counts, (RESAMPLES, LANGUAGES, n)).reshape(RESAMPLES, -1) / (n * LANGUAGES)
        self.seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES).astype(np.float32) / seeds

    def intervals(self, differences: Array) -> dict[str, tuple[float, float]]:
        """Return the interval over items, and that over seeds and items."""
        by_seed = self.items @ differences.reshape(len(differences), -1).T  # (resamples, seeds)
        means = {"items": by_seed.mean(axis=1), "both": (by_seed * self.seeds).sum(axis=1)}
        return {name: tuple(np.percentile(values, (2.5, 97.5))) for name, values in means.items()}  # type: ignore[misc]


def coverage(seeds: int, seed_sd: float, parallel: bool, runs: int, n: int, number: int) -> dict[str, Any]:
    """Count how often each interval contains the truth in one setting, with fixed languages.

    Args:
        seeds: pairs of training runs.
        seed_sd: standard deviation of the differences between seeds, in points.
        parallel: whether languages share their items.
        runs: simulated studies.
        n: items per language.
        number: number of the setting, which seeds the simulation.
    """
    generator = np.random.default_rng([number, seeds])
    bootstraps = Bootstraps(generator, seeds, n, parallel)
    hits: dict[str, list[bool]] = {"crossed": [], "items": [], "both": []}
    for run in range(runs):
        differences, truth, _ = simulate(generator, seeds, n, seed_sd, 1.0, parallel)
        intervals = {"crossed": crossed(differences, parallel)}
        if run % BOOTSTRAP_SHARE == 0:
            intervals |= bootstraps.intervals(differences)
        for name, (low, high) in intervals.items():
            hits[name].append(low <= truth <= high)
    row: dict[str, Any] = {"seeds": seeds, "seed_sd": seed_sd, "items": "parallel" if parallel else "own"}
    names = {"crossed": "crossed", "items": "bootstrap_items", "both": "bootstrap_both"}
    return row | {names[name]: round(100 * float(np.mean(each)), 1) for name, each in hits.items()}


def language_coverage(seeds: int, language_sd: float, parallel: bool, runs: int, n: int, number: int) -> dict[str, Any]:
    """Count how often intervals contain the truth about languages like these, which are a sample.

    Args:
        seeds: pairs of training runs.
        language_sd: standard deviation of the differences between languages, in points.
        parallel: whether languages share their items.
        runs: simulated studies.
        n: items per language.
        number: number of the setting, which seeds the simulation.
    """
    generator = np.random.default_rng([number, seeds, 1])
    hits = {"fixed": 0, "sample": 0}
    for _ in range(runs):
        differences, _, truth = simulate(generator, seeds, n, 1.0, language_sd, parallel)
        for name in hits:
            low, high = crossed(differences, parallel, name)  # type: ignore[arg-type]
            hits[name] += low <= truth <= high
    row: dict[str, Any] = {"seeds": seeds, "language_sd": language_sd, "items": "parallel" if parallel else "own"}
    return row | {name: round(100 * count / runs, 1) for name, count in hits.items()}


def main() -> None:
    """Simulate every setting, print both tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="simulated studies per setting")
    parser.add_argument("--items", type=int, default=1000, help="items per language")
    parser.add_argument("--quick", action="store_true", help="few runs and items: these figures mean nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    runs, n = (20, 40) if arguments.quick else (arguments.runs, arguments.items)
    fixed = []
    for number, (parallel, sd, seeds) in enumerate(itertools.product((True, False), SEED_SDS, SEEDS)):
        fixed.append(coverage(seeds, sd, parallel, runs, n, number))
        _show(fixed[-1])
    sampled = []
    for number, (parallel, sd, seeds) in enumerate(itertools.product((True, False), LANGUAGE_SDS, SEEDS[2:])):
        sampled.append(language_coverage(seeds, sd, parallel, runs // 2, n, number))
        _show(sampled[-1])
    within = all(BOUNDS[0] <= row["crossed"] <= BOUNDS[1] for row in fixed if row["seeds"] >= 3)
    within &= all(BOUNDS[0] <= row["sample"] <= BOUNDS[1] for row in sampled)
    print(f"with three seeds or more, the package's intervals contain the truth in 93 to 97 %: {within}")
    report = {"runs": runs, "bootstrap_runs": -(-runs // BOOTSTRAP_SHARE), "language_runs": runs // 2, "items": n}
    report |= {"languages": LANGUAGES, "within_93_97": within, "fixed": fixed, "languages_as_sample": sampled}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _show(row: dict[str, Any]) -> None:
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
