"""Trends over model sizes, and the laws that errors may follow.

A slope is fitted to one number per model by ordinary least squares, and its interval comes from how far the models lie
from the line (Student's t with two degrees of freedom fewer than models). Whatever makes a model an odd one (its
pretraining, the seeds it was trained with, the rows it was tested on) is in that distance, so nothing has to be known
about it. Weights by each model's own variance were tried: with a handful of models and seeds they are too noisy, and
intervals that use them contain the truth less often than they claim; see ``benchmarks/questions.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.intervals import LEVEL, Difference

Array = NDArray[np.float64]
FEWEST = 3  # fewest models for a slope
LAW_MODELS = 4  # fewest models for a law
LAW_DECADES = 1.5  # of sizes that a law needs
LAWS = ("constant", "straight in log size", "power law with a floor")
_EXPONENTS = np.geomspace(0.005, 3.0, 641)


def slope(places: Sequence[float], values: Sequence[float]) -> Difference:
    """Return the slope of a straight line through points, with its interval.

    Args:
        places: positions of the points, for example base-2 logarithms of sizes; at least three, and not all the same.
        values: at the places.

    Returns:
        Per unit of a place; its ``seeds`` are the points, each of which counts as one observation.
    """
    from scipy.special import stdtrit

    x, y = np.asarray(places, float), np.asarray(values, float)
    shifted = x - x.mean()
    square = float(shifted @ shifted)
    value = float(shifted @ y) / square
    rest = y - y.mean() - value * shifted
    freedom = len(x) - 2
    error = math.sqrt(float(rest @ rest) / freedom / square)
    reach = error * float(stdtrit(freedom, (1 + LEVEL) / 2))
    return Difference(value, value - reach, value + reach, len(x), error, float(freedom))


@dataclass(frozen=True)
class Law:
    """A power law with a floor, ``error = floor + scale * size ** -exponent``.

    Attributes:
        exponent: the best one.
        low: lower end of its interval.
        high: upper end.
        floor: error of an infinitely large model.
        scale: the rest of the error at size 1.
    """

    exponent: float
    low: float
    high: float
    floor: float
    scale: float

    @property
    def is_bounded(self) -> bool:
        """Whether the interval spans less than a factor of five; otherwise the exponent is undetermined."""
        return self.high < 5 * self.low

    def at(self, size: float) -> float:
        """Return the error at a size."""
        return self.floor + self.scale * math.pow(size, -self.exponent)


def power_law(sizes: Sequence[float], errors: Sequence[float], deviations: Sequence[float]) -> Law:
    """Fit a power law with a floor by variable projection.

    For every exponent of a grid the best floor and scale, neither below zero, have a closed form, so there are no
    start values and no optimizer that could stop early (Golub and Pereyra 1973; on what goes wrong otherwise, Besiroglu
    et al. 2024, arXiv 2404.10102). The interval is that of the profile of the weighted squares, widened by the Birge
    ratio if the points scatter more than their standard errors predict (Birge 1932), with Student's t.

    Args:
        sizes: sizes of the models, at least four.
        errors: in points.
        deviations: standard errors of the errors, above zero.
    """
    from scipy.special import stdtrit

    smallest = float(np.min(sizes))
    x = np.asarray(sizes, float) / smallest
    y, w = np.asarray(errors, float), 1 / np.asarray(deviations, float) ** 2
    squares, floors, scales = _profile(x, y, w)
    best = int(squares.argmin())
    freedom = max(1, len(x) - 3)
    widening = max(1.0, float(squares[best]) / freedom)
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2 * widening
    inside = _EXPONENTS[squares <= squares[best] + reach]
    exponent = float(_EXPONENTS[best])
    scale = float(scales[best]) * smallest**exponent
    return Law(exponent, float(inside.min()), float(inside.max()), float(floors[best]), scale)


def extrapolation_errors(sizes: Sequence[float], errors: Sequence[float]) -> dict[str, float]:
    """Return how well simple laws predict each model from the others: the root mean squared error, in points.

    Args:
        sizes: sizes of the models, at least four.
        errors: in points.
    """
    x, y = np.asarray(sizes, float), np.asarray(errors, float)
    misses: dict[str, list[float]] = {name: [] for name in LAWS}
    for left_out in range(len(x)):
        kept = np.arange(len(x)) != left_out
        log, logs = math.log(x[left_out]), np.log(x[kept])
        line = np.polyfit(logs, y[kept], 1)
        law = power_law(x[kept].tolist(), y[kept].tolist(), [1.0] * (len(x) - 1))
        guesses = (float(y[kept].mean()), float(np.polyval(line, log)), law.at(x[left_out]))
        for name, guess in zip(LAWS, guesses, strict=True):
            misses[name].append(guess - float(y[left_out]))
    return {name: float(np.sqrt(np.mean(np.square(values)))) for name, values in misses.items()}


def has_range_for_law(sizes: Sequence[float]) -> bool:
    """Return whether there are enough sizes, and far enough apart, to fit a law."""
    return len(sizes) >= LAW_MODELS and math.log10(max(sizes) / min(sizes)) >= LAW_DECADES


def _profile(x: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return the weighted squares, the floor and the scale that fit best with every exponent of the grid."""
    powers = x ** -_EXPONENTS[:, None]  # (exponents, models)
    one, level = w.sum(), float(w @ y)
    first, second, cross = powers @ w, powers**2 @ w, powers @ (w * y)
    both = np.stack([second * level - first * cross, one * cross - first * level]) / (one * second - first**2)
    zero = np.zeros_like(first)
    candidates = [both, np.stack([zero + level / one, zero]), np.stack([zero, cross / second])]
    squares = []
    for floor, scale in candidates:
        rest = y - floor[:, None] - scale[:, None] * powers
        squares.append(np.where((floor >= 0) & (scale >= 0), rest**2 @ w, np.inf))
    chosen = np.argmin(squares, axis=0)
    places = np.arange(len(_EXPONENTS))
    picked = np.stack(candidates)[chosen, :, places]
    return np.stack(squares)[chosen, places], picked[:, 0], picked[:, 1]
