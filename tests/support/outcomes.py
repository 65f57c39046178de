"""Outcomes of questions without a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptstilts.questions.base import Arm, Design, Outcome

ALONE, AFTER = Arm("full", "none"), Arm("full", "squad")
SIZES = {"nano": 100_000, "micro": 590_000, "mini": 1_780_000, "small": 7_400_000}


def outcome(
    arm: Arm, values: Sequence[float], seed: int = 1, language: str = "de", task: str = "panx", **more: object
) -> Outcome:
    """Return one outcome whose items are numbered in order."""
    settings: dict[str, object] = {"model": "nano", "size": 100_000, "parameters": 200_000, "draw": 0, **more}
    items = np.arange(len(values))
    return Outcome(  # type: ignore[arg-type]
        task=task, language=language, arm=arm, seed=seed, values=np.array(values, float), items=items, **settings
    )


def design(*more: Arm, seeds: int = 5, items: int = 200) -> Design:
    """Four sizes, one task, five languages."""
    languages = ["en", "de", "ru", "sw", "tr"]
    return Design(SIZES, ["panx"], [ALONE, AFTER, *more], languages, seeds, ["de", "sw"], 1, items)
