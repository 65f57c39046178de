"""Measure how often the answer to a question is right, on simulated studies whose truth is known.

Every scenario of a question is simulated on grids with several numbers of sizes and seeds, and analysed as a real study
is. The result says how many intervals contain the truth, how often an effect is claimed although there is none, how
often an effect of 1.2 times the smallest detectable size is found, and how often the question refuses if nothing was
learned.

For tradeoff also: how often a dominated configuration is said to be surely on the front, by how far it is below the
front, beside how often the front of the measured scores alone has it.

    python benchmarks/questions.py [--question NAME] [--runs 500] [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts import questions
from adaptstilts.metrics import fronts
from adaptstilts.metrics.intervals import corrected
from adaptstilts.questions import contrasts, sequence, simulation
from adaptstilts.questions.base import Arm, Curriculum, Design, Findings, Noise, Outcome
from adaptstilts.questions.configurations import ENCODER, Group, configurations
from adaptstilts.questions.front_tables import shares
from adaptstilts.questions.rehearse import Rehearsal, rehearse
from adaptstilts.questions.sequence import SequenceQuestion
from adaptstilts.questions.tradeoff import Tradeoff, front_gain, learned_groups
from adaptstilts.reports.page.parts.results import judge

RESULTS = Path(__file__).resolve().parent / "results" / "questions.json"
SIZES = {  # parameters without embeddings
    1: {"mini": 1_800_000},
    4: {"nano": 100_000, "micro": 600_000, "mini": 1_800_000, "small": 7_400_000},
    7: {f"size {number}": int(100_000 * 2**number) for number in range(7)},
}
SEVERAL_SIZES = (4, 7)
SEEDS = (3, 5)
MODEL_SDS = (0.3, 1.5)  # points between models, in what an intermediate task changes
LANGUAGES = ("en", "de", "ru", "sw", "tr")
ONE_METHOD = (Arm("full", "none"), Arm("full", "squad"))
TWO_KINDS = ("classification", "question answering")
CHAINS = (
    Arm("full", "nli-qa", curriculum=Curriculum("chain", ("nli", "qa"), TWO_KINDS)),
    Arm("full", "qa-nli", curriculum=Curriculum("chain", ("qa", "nli"), TWO_KINDS[::-1])),
)
ARMS = {"tradeoff": (*ONE_METHOD, Arm("lora", "none"), Arm("lora", "squad")), "sequence": CHAINS}
TARGETS = {"sequence": ("xnli", "xquad", "paws_x")}  # two of the kind of one task, one of the other's
GRIDS = {  # sizes and model_sds, where not all: these answers are about the models of the study
    "tradeoff": ((4,), (0.0,)),
    "cost": ((4,), (0.0,)),
    "sequence": ((1,), (0.0,)),
}
RETENTION = "retention"  # which has a script of its own
FRONT_SDS = (0.5, 1.0, 1.5, 2.0)  # points between seeds
BELOW = (0.5, 1.0, 2.0)  # points that a configuration is below the front
BOUNDS = (93.0, 97.0)


class MainNumberOfSequence(SequenceQuestion):
    """The question without its other contrasts, tables and figures; the main number is the same."""

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question."""
        pairs, _, usable = sequence.learned(outcomes)
        scored = contrasts.away_from_english(usable.get(pairs[0], []))
        sides = [(1.0, contrasts.of_arm(scored, pairs[0].first)), (-1.0, contrasts.of_arm(scored, pairs[0].second))]
        main = contrasts.difference(sides)
        return Findings("", main, margin, judge(main, margin) if main else "not resolved", "")


class MainNumberOfTradeoff(Tradeoff):
    """The question without its tables and figures, which take most of its time; the main number is the same."""

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question."""
        groups, _ = learned_groups(outcomes)
        main = front_gain(groups[0].members, "squad") if groups else None
        main = main and corrected({"": main})[""]
        return Findings("", main, margin, judge(main, margin) if main else "not resolved", "")


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
    targets = TARGETS.get(name, ("panx",))
    design = Design(SIZES[sizes], targets, ARMS.get(name, ONE_METHOD), LANGUAGES, seeds, items=items)
    rows = []
    shortened: dict[str, questions.Question] = {
        "sequence": MainNumberOfSequence(),
        "tradeoff": MainNumberOfTradeoff(),
    }
    question = shortened.get(name) or questions.get(name)
    for result in rehearse(question, design, Noise(1.0, model_sd), runs):
        rows.append({"question": name, "sizes": sizes, "seeds": seeds, "model_sd": model_sd, **_row(result)})
    return rows


def _row(result: Rehearsal) -> dict[str, Any]:
    row: dict[str, Any] = {"scenario": result.scenario.name, "truth": round(result.scenario.effect, 2)}
    row["refused"] = round(100 * result.refused / result.runs, 1)
    if result.answered and not result.scenario.is_refused:
        row |= {"coverage": round(result.coverage, 1), "claimed": round(result.claims, 1)}
        row["bias"] = None if result.bias is None else round(result.bias, 3)
    return row


def dominated(runs: int, items: int, seeds: int = 5) -> list[dict[str, Any]]:
    """Rehearse fronts on which a dearer configuration does not belong; one row for each noise and distance."""
    rows = []
    for seed_sd in FRONT_SDS:
        for below in BELOW:
            claimed = measured = 0
            for run in range(runs):
                group = _planted_front(below, seed_sd, seeds, items, run)
                claimed += fronts.place(shares(group, ENCODER)[-1]) == "on"
                measured += group.scores[-1] > max(group.scores[:-1])
            row = {"seed_sd": seed_sd, "below": below, "surely_on": round(100 * claimed / runs, 1)}
            rows.append({**row, "on_by_measured_scores": round(100 * measured / runs, 1)})
    return rows


def _planted_front(below: float, seed_sd: float, seeds: int, items: int, run: int) -> Group:
    """Return three encoders of which the largest is below the one before it."""
    levels = {100_000: 58.0, 600_000: 60.0, 1_800_000: 60.0 - below}
    sizes = {f"size {size}": size for size in levels}
    design = Design(sizes, ["panx"], [Arm("full", "none")], LANGUAGES, seeds, items=items)
    generator = np.random.default_rng(run)
    outcomes = simulation.simulate(design, Noise(seed_sd, 0.0), lambda size, arm, task: levels[size], generator)
    return Group("all", configurations([replace(each, costs={"trainable": 1.0}) for each in outcomes]))


def main() -> None:
    """Simulate every setting, print it and write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="simulated studies per scenario")
    parser.add_argument("--question", help="only this one; the rows of others stay in the file")
    parser.add_argument("--items", type=int, default=400, help="test items per language")
    parser.add_argument("--quick", action="store_true", help="few runs and items: these figures mean nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    runs, items = (10, 40) if arguments.quick else (arguments.runs, arguments.items)
    names = [arguments.question] if arguments.question else [name for name in questions.known() if name != RETENTION]
    earlier = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    rows = [row for row in earlier.get("rows", []) if row["question"] not in names]
    for name in names:
        all_sizes, model_sds = GRIDS.get(name, (SEVERAL_SIZES, MODEL_SDS))
        for sizes, seeds, model_sd in itertools.product(all_sizes, SEEDS, model_sds):
            for row in setting(name, sizes, seeds, model_sd, runs, items):
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                rows.append(row)
    answered = [row["coverage"] for row in rows if "coverage" in row]
    within = sum(BOUNDS[0] <= share <= BOUNDS[1] for share in answered)
    print(f"in {within} of {len(answered)} settings, 93 to 97 % of the intervals contain the truth")
    report = {"runs": runs, "items": items, "languages": len(LANGUAGES), "within_93_97": within, "rows": rows}
    report["dominated"] = dominated(runs, items) if "tradeoff" in names else earlier.get("dominated", [])
    for row in report["dominated"]:
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
