"""What questions ask of a study, and what they can expect of its noise."""

from __future__ import annotations

from adaptstilts.io.wording import counted
from adaptstilts.questions.base import ENGLISH, NONE, Design
from adaptstilts.study import Study, StudyError

_ITEM_VARIANCE = 100**2 * 2 * 0.36 * 0.25  # of the difference of two encoders on an item, at half of the items right


def models(study: Study, question: str, fewest: int) -> None:
    """Raise unless a study has enough models.

    Raises:
        StudyError: it has fewer.
    """
    count = max(1, len(study.models))
    if count < fewest:
        message = f"the question {question} needs `models:` with at least {fewest}, found {counted(count, 'model')}"
        raise StudyError(study.place.at("question"), message)


def intermediates(study: Study, question: str, fewest: int = 1) -> None:
    """Raise unless a study has ``none`` and enough other intermediates.

    Raises:
        StudyError: something is missing.
    """
    names = [part.label for part in study.intermediates]
    others = [name for name in names if name != NONE]
    if NONE not in names or len(others) < fewest:
        others_wanted = f"{NONE} and {counted(fewest, 'other')}"
        message = f"the question {question} compares intermediates: expected {others_wanted} at least"
        raise StudyError(study.place.at("question"), f"{message}, found {', '.join(names)}")


def item_variance(design: Design) -> float:
    """Return the variance that test items give the difference of two arms, in points.

    Seeds err on other items, so more of them help here too.
    """
    languages = [code for code in design.languages if code != ENGLISH]
    return _ITEM_VARIANCE / (design.items * max(1, len(languages)) * len(design.tasks) * design.seeds)
