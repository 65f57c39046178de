"""Measure how often the answer to a question is right, on simulated studies whose truth is known.

Every scenario of a question is simulated on grids with several numbers of sizes and seeds, and analysed as a real study
is. The result says how many intervals contain the truth, how often an effect is claimed although there is none, how
often an effect of 1.2 times the smallest detectable size is found, and how often the question refuses if nothing was
learned.

    python benchmarks/questions.py [--runs 500] [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

from adaptstilts import questions
from adaptstilts.questions.base import Arm, Design, Noise
from adaptstilts.questions.rehearse import Rehearsal, rehearse

RESULTS = Path(__file__).resolve().parent / "results" / "questions.json"
SIZES = {  # parameters without embeddings
    4: {"nano": 100_000, "micro": 600_000, "mini": 1_800_000, "small": 7_400_000},
    7: {f"size {number}": int(100_000 * 2**number) for number in range(7)},
}
SEEDS = (3, 5)
MODEL_SDS = (0.3, 1.5)  # points between models, in what an intermediate task changes
LANGUAGES = ("en", "de", "ru", "sw", "tr")
BOUNDS = (93.0, 97.0)


def setting(name: str, sizes: int, seeds: int, model_sd: float, runs: int, items: int) -> list[dict[str, Any]]:
    """Rehearse a question on one grid, and return one row per scenario.

    Args:
        name: name of the question.
        sizes: number of encoders.
        seeds: number of seeds.
        model_sd: standard deviation between models of the effect of an intermediate task, in points.
        runs: simulated studies per scenario.
        items: test items per language.
    """
    arms = (Arm("full", "none"), Arm("full", "squad"))
    design = Design(SIZES[sizes], ["panx"], arms, LANGUAGES, seeds, items=items)
    rows = []
    for result in rehearse(questions.get(name), design, Noise(1.0, model_sd), runs):
        rows.append({"question": name, "sizes": sizes, "seeds": seeds, "model_sd": model_sd, **_row(result)})
    return rows


def _row(result: Rehearsal) -> dict[str, Any]:
    row: dict[str, Any] = {"scenario": result.scenario.name, "truth": round(result.scenario.effect, 2)}
    row["refused"] = round(100 * result.refused / result.runs, 1)
    if result.answered and not result.scenario.is_refused:
        row |= {"coverage": round(result.coverage, 1), "claimed": round(result.claims, 1)}
        row["bias"] = None if result.bias is None else round(result.bias, 3)
    return row


def main() -> None:
    """Simulate every setting, print it and write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="simulated studies per scenario")
    parser.add_argument("--items", type=int, default=400, help="test items per language")
    parser.add_argument("--quick", action="store_true", help="few runs and items: these figures mean nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    runs, items = (10, 40) if arguments.quick else (arguments.runs, arguments.items)
    rows: list[dict[str, Any]] = []
    for name, sizes, seeds, model_sd in itertools.product(questions.known(), SIZES, SEEDS, MODEL_SDS):
        measured = setting(name, sizes, seeds, model_sd, runs, items)
        for row in measured:
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        rows += measured
    answered = [row["coverage"] for row in rows if "coverage" in row]
    within = sum(BOUNDS[0] <= share <= BOUNDS[1] for share in answered)
    print(f"in {within} of {len(answered)} settings, 93 to 97 % of the intervals contain the truth")
    report = {"runs": runs, "items": items, "languages": len(LANGUAGES), "within_93_97": within, "rows": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
