"""How often the answer to the question of retention is right, on simulated studies whose truth is known.

Backward transfer: how many intervals hold the truth, how often a change is claimed where there is none, how often one
of 1.2 times the smallest detectable size is found, and how often the question refuses where nothing was learned. Shares
of the gain: how many of Fieller's intervals hold the planted share of 70 %, and how many are refused, by the size of
the gain.

    python benchmarks/retention.py [--runs 500] [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adaptstilts.questions.base import Arm, Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.contrasts import difference
from adaptstilts.questions.rehearse import rehearse
from adaptstilts.questions.retained import share_left
from adaptstilts.questions.retention import RETENTION, Retention, learned, stages_of
from adaptstilts.reports.page.parts.results import judge

RESULTS = Path(__file__).resolve().parent / "results" / "retention.json"
SIZES = {"nano": 100_000, "micro": 600_000, "mini": 1_800_000}
ARM = Arm("full", "tagging")
LANGUAGES = ("en", "de", "ru", "sw", "tr")
SEEDS = (3, 5)
GAINS = (30.0, 7.0, 1.0, 0.0)  # points that the intermediate phase adds
SHARE = 0.7  # of the gain that is left
NOISE = Noise(seed=1.0, model=0.3)


class MainNumberOfRetention(Retention):
    """The question without its tables and figures, which take most of its time; the main number is the same."""

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question."""
        _, usable = learned(outcomes)
        stages = stages_of(usable, english=False)
        main = difference([(1.0, stages.head_after), (-1.0, stages.head_learned)])
        return Findings("", main, margin, judge(main, margin) if main else "not resolved", "")


def design_of(seeds: int, items: int) -> Design:
    """Return the grid that is simulated."""
    return Design(SIZES, ["nli"], [ARM], LANGUAGES, seeds, items=items)


def changes(seeds: int, runs: int, items: int) -> list[dict[str, Any]]:
    """Rehearse the main number; one row for each scenario."""
    rows = []
    for result in rehearse(MainNumberOfRetention(), design_of(seeds, items), NOISE, runs):
        scenario = result.scenario
        row: dict[str, Any] = {"seeds": seeds, "scenario": scenario.name, "truth": round(scenario.effect, 2)}
        row["refused"] = round(100 * result.refused / result.runs, 1)
        if result.answered and not scenario.is_refused:
            row |= {"coverage": round(result.coverage, 1), "claimed": round(result.claims, 1)}
        rows.append(row)
    return rows


def shares(seeds: int, runs: int, items: int) -> list[dict[str, Any]]:
    """Simulate a share that is left of gains of several sizes; one row for each gain."""
    rows = []
    for gain in GAINS:
        scenario = Scenario("a share is left", 0.0, {"gain": gain, "probe": -(1 - SHARE) * gain})
        held, widths = 0, []
        for run in range(runs):
            outcomes = RETENTION.simulate(design_of(seeds, items), NOISE, scenario, 7000 + run)
            stages = stages_of(outcomes, english=False)
            share = share_left(stages.probe_before, stages.probe_learned, stages.probe_after)
            if share is not None:
                held += share.low <= SHARE <= share.high
                widths.append(share.high - share.low)
        row: dict[str, Any] = {"seeds": seeds, "gain": gain, "refused": round(100 - 100 * len(widths) / runs, 1)}
        if widths and gain:
            width = sorted(widths)[len(widths) // 2]
            row |= {"coverage": round(100 * held / len(widths), 1), "median_width": round(width, 2)}
        rows.append(row)
    return rows


def main() -> None:
    """Simulate every setting, print it and write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="simulated studies a scenario")
    parser.add_argument("--items", type=int, default=400, help="items of a language")
    parser.add_argument("--quick", action="store_true", help="few runs and items: these figures mean nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    runs, items = (10, 40) if arguments.quick else (arguments.runs, arguments.items)
    report: dict[str, Any] = {"runs": runs, "items": items, "models": len(SIZES), "languages": len(LANGUAGES)}
    report |= {"seed_sd": NOISE.seed, "model_sd": NOISE.model, "changes": [], "shares": []}
    for seeds in SEEDS:
        report["changes"] += changes(seeds, runs, items)
        report["shares"] += shares(seeds, runs, items)
    for row in (*report["changes"], *report["shares"]):
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
