"""Questions that studies answer: one module each, or a plug-in, chosen by ``question:`` in a study file."""

from __future__ import annotations

from adaptstilts.errors import ConfigError
from adaptstilts.questions.base import Design, Findings, Noise, Outcome, Question, Scenario
from adaptstilts.registry import Registry
from adaptstilts.study import Study, StudyError

__all__ = [
    "REGISTRY",
    "Design",
    "Findings",
    "Noise",
    "Outcome",
    "Question",
    "Scenario",
    "add",
    "get",
    "known",
    "of_study",
    "remove",
]


def _name(question: Question) -> str:
    return question.name


def _is_question(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, Question)


REGISTRY: Registry[Question] = Registry(
    "question",
    "adaptstilts.questions",
    name_of=_name,
    is_member=_is_question,
    expected="an instance of a class derived from Question",
    package=__name__,
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known
remove = REGISTRY.remove


def of_study(study: Study) -> Question | None:
    """Return the question of a study; None if it asks none.

    Raises:
        StudyError: no question has that name, or the study cannot answer it.
    """
    if study.question is None:
        return None
    try:
        question = get(study.question)
    except ConfigError as error:
        raise StudyError(study.place.at("question"), str(error)) from None
    question.check(study)
    return question
