"""Configurations: an encoder, a method and what came first, with what they cost and how sure their scores are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adaptstilts.io.wording import short_count, size
from adaptstilts.metrics.fronts import draws
from adaptstilts.questions import contrasts
from adaptstilts.questions.base import NONE, Arm, Array, Outcome
from adaptstilts.questions.contrasts import away_from_english, mean_score

_PRIOR_DF = 4  # how much the variance between seeds of all configurations counts for that of one


@dataclass(frozen=True)
class Cost:
    """One thing that configurations cost.

    Attributes:
        name: as in figures' files.
        label: what tables and axes call it.
        of: what an outcome says it is; None if it does not.
        text: a number of it, as text.
    """

    name: str
    label: str
    of: Callable[[Outcome], float | None]
    text: Callable[[float], str]


def _summed(*names: str) -> Callable[[Outcome], float | None]:
    """Return the sum of costs of an outcome; None unless it has all of them."""

    def of(outcome: Outcome) -> float | None:
        return sum(outcome.costs[name] for name in names) if all(name in outcome.costs for name in names) else None

    return of


def _seconds(value: float) -> str:
    return f"{value:,.1f}"


COSTS = (
    Cost("encoder", "encoder parameters", lambda outcome: float(outcome.size), short_count),
    Cost("total", "all parameters", lambda outcome: float(outcome.parameters), short_count),
    Cost("trained", "trained parameters", _summed("trainable"), short_count),
    Cost("stored", "bytes a task", _summed("bytes"), size),
    Cost("operations", "training FLOPs", _summed("flops", "intermediate_flops"), lambda value: f"{value:.1e}"),
    Cost("seconds", "training CPU s", _summed("cpu_seconds", "intermediate_cpu_seconds"), _seconds),
    Cost("memory", "peak memory", _summed("peak_bytes"), size),
)
ENCODER = COSTS[0]


@dataclass(frozen=True)
class Configuration:
    """One encoder, adapted by one method, on one intermediate task or none.

    Attributes:
        model: name of the encoder.
        arm: method and intermediate task.
        outcomes: outside English.
    """

    model: str
    arm: Arm
    outcomes: Sequence[Outcome]

    @property
    def name(self) -> str:
        """What tables call it."""
        first = f", {self.arm.intermediate} first" if self.arm.intermediate != NONE else ""
        return f"{self.model}, {self.arm.method}{first}"

    @property
    def size(self) -> int:
        """Parameters of the encoder without embeddings."""
        return self.outcomes[0].size

    @cached_property
    def score(self) -> float:
        """Mean over seeds, languages and tasks."""
        return mean_score(self.outcomes)

    @cached_property
    def seed_scores(self) -> dict[int, float]:
        """The mean of every seed."""
        seeds = sorted({outcome.seed for outcome in self.outcomes})
        return {seed: mean_score(self.of_seed(seed)) for seed in seeds}

    def of_seed(self, seed: int) -> list[Outcome]:
        """Return the outcomes of one seed."""
        return [outcome for outcome in self.outcomes if outcome.seed == seed]

    @cached_property
    def _costs(self) -> dict[str, float | None]:
        return {cost.name: self._mean_cost(cost) for cost in COSTS}

    def _mean_cost(self, cost: Cost) -> float | None:
        values = [cost.of(outcome) for outcome in self.outcomes]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(values) else None

    def cost(self, cost: Cost) -> float | None:
        """Return the mean of a cost over seeds and tasks; None if it is not known of all."""
        return self._costs[cost.name]


@dataclass(frozen=True)
class Group:
    """The configurations of a group of tasks, with draws of their scores.

    Attributes:
        name: name of the group.
        members: the smallest encoder first.
    """

    name: str
    members: Sequence[Configuration]

    @cached_property
    def scores(self) -> list[float]:
        """The measured scores."""
        return [member.score for member in self.members]

    @cached_property
    def drawn(self) -> Array:
        """Draws of the scores: (draws, configurations)."""
        return draws(self.scores, covariance(self.members))

    @property
    def has_intervals(self) -> bool:
        """Whether there are several seeds, without which nothing is known of training noise."""
        return len(self.members[0].seed_scores) > 1

    def costs(self, cost: Cost) -> list[float] | None:
        """Return a cost of every member; None if it is not known of all."""
        values = [member.cost(cost) for member in self.members]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else None


def configurations(outcomes: Sequence[Outcome]) -> list[Configuration]:
    """Return the configurations that were trained, and are computed with every seed, task and language.

    Targets with rows of a test language, and tasks for which nothing is trained, are left out.
    """
    chosen = [each for each in away_from_english(outcomes) if each.arm.k is None and each.arm.method and each.costs]
    collected: dict[tuple[str, Arm], list[Outcome]] = {}
    for outcome in sorted(chosen, key=lambda outcome: outcome.size):
        collected.setdefault((outcome.model, outcome.arm), []).append(outcome)
    extents = {key: _extent(group) for key, group in collected.items()}
    widest = max(extents.values(), key=len, default=set())
    return [Configuration(*key, group) for key, group in collected.items() if extents[key] == widest]


def _extent(outcomes: Sequence[Outcome]) -> set[tuple[str, str, int]]:
    return {(outcome.task, outcome.language, outcome.seed) for outcome in outcomes}


def covariance(members: Sequence[Configuration]) -> Array:
    """Return the covariance of the scores of configurations, over the test items that they share and over seeds.

    The variance of each is that of a crossed design (see :mod:`adaptstilts.metrics.intervals`); what items give it is
    shared with the others, what seeds give it is its own. With few seeds the latter is uncertain, so it is drawn
    towards the mean of all configurations.
    """
    deviations = _stacked([_item_deviations(member.outcomes) for member in members])
    shared = deviations @ deviations.T
    errors = [contrasts.difference([(1.0, member.outcomes)]) for member in members]
    variances = np.array([error.error**2 if error else 0.0 for error in errors])
    own = variances - np.diag(shared)
    freedom = len(members[0].seed_scores) - 1
    drawn_in = (freedom * own + _PRIOR_DF * own.mean()) / (freedom + _PRIOR_DF)
    total: Array = shared + np.diag(np.clip(drawn_in, 0, None))
    return total


def _stacked(rows: Sequence[Array]) -> Array:
    """Return rows as a matrix; shorter ones end in zeros."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row))) for row in rows])


def _item_deviations(outcomes: Sequence[Outcome]) -> Array:
    """Return what every item adds to the mean score, whose squares add up to the items' part of its variance."""
    runs = contrasts.by_run(outcomes)
    blocks: Mapping[contrasts.Block, Outcome] = next(iter(runs.values()))
    weights, numbers = contrasts.block_weights([*blocks]), contrasts.item_numbers(blocks)
    count = 1 + max(int(each.max()) for each in numbers.values())
    total = np.zeros(count)
    for block in blocks:
        values = np.mean([run[block].values for run in runs.values()], axis=0)
        n = len(values)
        scale = weights[block] / len(blocks) * np.sqrt(n / max(n - 1, 1)) / n
        total += np.bincount(numbers[contrasts.block_name(block)], scale * (values - values.mean()), count)
    return total
