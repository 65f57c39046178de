"""How findings say numbers."""

from __future__ import annotations

import math

from adaptstilts.metrics.intervals import Difference
from adaptstilts.questions.base import ENGLISH, Arm
from adaptstilts.reports.page.model import Number, Verdict
from adaptstilts.reports.page.parts.answer import signed


def with_interval(value: Difference, decimals: int = 1) -> str:
    """Return a difference as text: ``+0.1 [-0.2, +0.4]``; of one seed without an interval."""
    number = f"{round(value.value, decimals) + 0.0:+.{decimals}f}"
    if value.seeds < 2:
        return f"{number} (one seed)"
    low, high = (f"{round(end, decimals) + 0.0:+.{decimals}f}" for end in (value.low, value.high))
    return f"{number} [{low}, {high}]"


def points(number: float) -> str:
    """Return a number of points as text: ``1 point``, ``2.5 points``."""
    return f"{number:g} point" if number == 1 else f"{number:g} points"


def sees(value: Difference, decimals: int = 1) -> str:
    """Return the difference that 80 of 100 such studies find, as text; a dash if none."""
    return "-" if math.isinf(value.detectable) else f"{value.detectable:.{decimals}f}"


def as_number(label: str, value: Difference | None, unit: str = "points", decimals: int = 1) -> Number:
    """Return a difference as a number of the answer card."""
    if value is None:
        return Number(label, "-", "not computed")
    if value.seeds < 2:
        return Number(label, signed(value.value), f"{unit}, one seed: no interval")
    text, _, interval = with_interval(value, decimals).partition(" ")
    return Number(label, text, f"{unit}, 95\u00a0% {interval}")


def reason(value: Difference | None, verdict: Verdict, margin: float, unit: str, decimals: int = 1) -> str:
    """Return how a verdict follows from the main number of a question."""
    if value is None:
        return "The results that the answer is made of are not computed yet."
    if value.seeds < 2:
        return "With one seed, training noise is unknown, so nothing can be claimed."
    text = f"{with_interval(value, decimals)} {unit}"
    if verdict == "effect":
        return f"{text}: the 95 % interval leaves out zero."
    if verdict == "no effect":
        return f"{text}: all of the 95 % interval is within ±{margin:g}."
    sees = f"this study sees {value.detectable:.{decimals}f} or more"
    return f"{text}: that rules out neither zero nor more than ±{margin:g}; {sees}."


def arm_name(arm: Arm, language: str = ENGLISH) -> str:
    """Return what tables call an arm."""
    first = f"{arm.intermediate} first" if arm.intermediate != "none" else "target only"
    if arm.k is None:
        return first
    rows = f"{arm.k} rows of {language}" if language != ENGLISH else f"{arm.k} rows"
    return f"{first}, then {rows}" if arm.after == "english" else f"{first}, {rows} alone"
