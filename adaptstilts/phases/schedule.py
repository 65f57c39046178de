"""The learning rate of a step."""

from __future__ import annotations


def linear(step: int, total: int, warmup: float, peak: float) -> float:
    """Linear warm-up over a share of the steps, then linear decay to zero.

    Args:
        step: 0 the first.
        total: number of steps.
        warmup: share of them over which the rate rises.
        peak: highest rate.
    """
    warm = int(warmup * total)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (total - step) / max(total - warm, 1)
