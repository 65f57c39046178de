"""The length of a training phase and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from adaptstilts.study import Train


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a phase trains.

    Attributes:
        steps: number of optimizer steps.
        rising: number of steps over which the learning rate rises; it falls linearly to zero afterwards.
        lr: peak learning rate.
        clip: largest norm of the gradient.
        lead: how many steps up the rise the first step is; 0 for a rate of zero.
    """

    steps: int
    rising: int
    lr: float
    clip: float
    lead: int = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, the first one being 0."""
        if step < self.rising:
            return self.lr * (step + self.lead) / self.rising
        return self.lr * (self.steps - step) / max(self.steps - self.rising, 1)


def from_settings(settings: Train, steps: int) -> Schedule:
    """Return the schedule of a training phase.

    With the rule ``trainer``, rates are those of ``get_linear_schedule_with_warmup`` of transformers. A share rises for
    fewer than all steps, so that a single step trains.

    Args:
        settings: warm-up, learning rate, clipping.
        steps: number of optimizer steps.
    """
    is_earlier = settings.warmup_rule == "earlier"
    if settings.warmup_steps is not None:
        rising = settings.warmup_steps
    elif is_earlier:
        rising = int(settings.warmup * steps)
    else:
        rising = min(math.ceil(settings.warmup * steps), max(steps - 1, 0))
    return Schedule(steps, rising, settings.lr or 0.0, settings.clip, lead=1 if is_earlier else 0)
