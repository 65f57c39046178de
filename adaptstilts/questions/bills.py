"""Bills: what arms cost to train, alone and shared, and to run; and ratios of costs that a busy machine distorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstilts.questions.base import Arm, Outcome

ROUND = "run_ms_"  # begins the names of CPU milliseconds of a row, one for each round
OPERATIONS = "run_flops"
STEPS = "steps of "  # begins the names of optimizer steps before the target, one for each task


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios.

    Attributes:
        value: the median.
        low: the smallest ratio. With five pairs the range holds the true median in 94 of 100 cases, whatever the noise.
        high: the largest ratio.
        pairs: how many there are.
    """

    value: float
    low: float
    high: float
    pairs: int

    @property
    def text(self) -> str:
        """The ratio as tables show it."""
        return f"{self.value:.2f}" if self.pairs < 2 else f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Bill:
    """What one arm costs, in CPU seconds.

    Attributes:
        own: training that serves this arm alone, for all its languages.
        shared: training of intermediate tasks, in full.
        amortised: the share of that training, if every result that rests on it takes its part.
        rows: training rows of test languages, over all languages.
        a_language: training for one test language; 0 where the training serves all.
        rounds: round -> CPU milliseconds of a row alone.
        operations: floating-point operations of a row alone; None if they were not counted.
    """

    own: float
    shared: float
    amortised: float
    rows: int
    a_language: float
    rounds: Mapping[int, float]
    operations: float | None

    @property
    def total(self) -> float:
        """All of the training."""
        return self.own + self.shared

    @property
    def milliseconds(self) -> float | None:
        """The median over rounds of what a row alone takes."""
        return float(np.median([*self.rounds.values()])) if self.rounds else None


def bill(arm: Arm, outcomes: Sequence[Outcome]) -> Bill | None:
    """Return what an arm costs; None if that is not known.

    Args:
        arm: the arm.
        outcomes: of the arm, with one encoder.
    """
    needed = {"cpu_seconds", "last_cpu_seconds", "intermediate_cpu_seconds", "amortised_cpu_seconds"}
    if not outcomes or not all(needed <= set(outcome.costs) for outcome in outcomes):
        return None
    languages = sorted({outcome.language for outcome in outcomes})
    own, a_language = _mean(outcomes, "cpu_seconds"), 0.0
    if arm.k is not None:
        by_language = [
            _mean([each for each in outcomes if each.language == code], "last_cpu_seconds") for code in languages
        ]
        a_language = float(np.mean(by_language))
        own = own - _mean(outcomes, "last_cpu_seconds") + sum(by_language)
    numbered: dict[int, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.costs.items():
            if name.startswith(ROUND):
                numbered.setdefault(int(name.removeprefix(ROUND)), []).append(value)
    operations = [outcome.costs[OPERATIONS] for outcome in outcomes if OPERATIONS in outcome.costs]
    return Bill(
        own=own,
        shared=_mean(outcomes, "intermediate_cpu_seconds"),
        amortised=_mean(outcomes, "amortised_cpu_seconds"),
        rows=(arm.k or 0) * len(languages),
        a_language=a_language,
        rounds={number: float(np.mean(values)) for number, values in sorted(numbered.items())},
        operations=float(np.mean(operations)) if operations else None,
    )


def training_ratio(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Ratio | None:
    """Return how many times as long the training of one arm takes, paired over seeds; None if that is not known.

    Args:
        ours: outcomes of the arm.
        theirs: outcomes of the arm that it is compared with.
    """
    sides = [_by_seed(outcomes) for outcomes in (ours, theirs)]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    return _ratio([(sides[0][seed], sides[1][seed]) for seed in seeds])


def running_ratio(ours: Bill, theirs: Bill) -> Ratio | None:
    """Return how many times as long a row takes, paired over rounds; None if that was not measured.

    Args:
        ours: bill of the arm.
        theirs: bill of the arm that it is compared with.
    """
    rounds = sorted(set(ours.rounds) & set(theirs.rounds))
    return _ratio([(ours.rounds[number], theirs.rounds[number]) for number in rounds])


def without_draws(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return one outcome for each seed, task and language: the mean over the draws of training rows."""
    groups: dict[tuple[str, str, int], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.task, outcome.language, outcome.seed), []).append(outcome)
    means = []
    for drawn in groups.values():
        values = np.mean([outcome.values for outcome in drawn], axis=0)
        means.append(replace(drawn[0], values=values, draw=0))
    return means


def _by_seed(outcomes: Sequence[Outcome]) -> dict[int, float]:
    seeds: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        seeds.setdefault(outcome.seed, []).append(outcome)
    totals = {}
    for seed, of_seed in seeds.items():
        paid = bill(of_seed[0].arm, of_seed)
        if paid is not None:
            totals[seed] = paid.total
    return totals


def _ratio(pairs: Sequence[tuple[float, float]]) -> Ratio | None:
    ratios = [ours / theirs for ours, theirs in pairs if ours > 0 and theirs > 0]
    return Ratio(float(np.median(ratios)), min(ratios), max(ratios), len(ratios)) if ratios else None


def _mean(outcomes: Sequence[Outcome], name: str) -> float:
    return float(np.mean([outcome.costs[name] for outcome in outcomes]))
