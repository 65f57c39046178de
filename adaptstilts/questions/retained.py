"""The share of what was learned that is left: a ratio of two differences, with Fieller's interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts.metrics.intervals import LEVEL, Difference
from adaptstilts.questions import contrasts
from adaptstilts.questions.base import Outcome


@dataclass(frozen=True)
class Share:
    """A share of a gain, with its 95 % interval; 1 is all of it.

    Attributes:
        value: the share.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The share in percent, as tables show it."""
        return f"{100 * self.value:.0f} % [{100 * self.low:.0f}, {100 * self.high:.0f}]"


def share_left(before: Sequence[Outcome], learned: Sequence[Outcome], after: Sequence[Outcome]) -> Share | None:
    """Return the share of a gain that is left.

    A ratio says nothing if the gain may be none, so it is refused unless the lower end of the gain is above zero.

    Args:
        before: scores before anything was learned.
        learned: scores when it was learned.
        after: scores afterwards.

    Returns:
        None if the gain is not above zero with 95 % confidence, or its interval is not finite.
    """
    gain = contrasts.difference([(1.0, learned), (-1.0, before)])
    left = contrasts.difference([(1.0, after), (-1.0, before)])
    change = contrasts.difference([(1.0, after), (-1.0, learned)])
    if gain is None or left is None or change is None or gain.seeds < 2 or gain.low <= 0:
        return None
    return ratio(left, gain, change)


def ratio(top: Difference, bottom: Difference, between: Difference) -> Share | None:
    """Return a ratio with Fieller's interval (Fieller 1954, Journal of the Royal Statistical Society B 16).

    It holds every ratio r at which ``top - r * bottom`` is not told from zero.

    Args:
        top: the numerator.
        bottom: the denominator.
        between: ``top - bottom``, whose variance gives the covariance of the two.

    Returns:
        None if the interval has no end.
    """
    from scipy.special import stdtrit

    freedom = min(top.df, bottom.df, between.df)
    square = float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2
    upper, lower = top.error**2, bottom.error**2
    shared = (upper + lower - between.error**2) / 2
    leading = bottom.value**2 - square * lower
    middle = top.value * bottom.value - square * shared
    last = top.value**2 - square * upper
    discriminant = middle**2 - leading * last
    if leading <= 0 or discriminant < 0:
        return None
    reach = math.sqrt(discriminant)
    return Share(top.value / bottom.value, (middle - reach) / leading, (middle + reach) / leading)
