"""The length of a training phase and its learning rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a phase trains.

    Attributes:
        steps: number of optimizer steps.
        warmup: share of them over which the learning rate rises.
        lr: peak learning rate.
        clip: largest norm of the gradient.
    """

    steps: int
    warmup: float
    lr: float
    clip: float

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, the first one being 0."""
        return linear(step, self.steps, self.warmup, self.lr)


def linear(step: int, total: int, warmup: float, peak: float) -> float:
    """Return a learning rate that rises linearly over a share of the steps, then falls linearly to zero.

    Args:
        step: number of the step, counted from 0.
        total: number of steps.
        warmup: share of them over which the rate rises.
        peak: highest rate.
    """
    warm = int(warmup * total)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (total - step) / max(total - warm, 1)
