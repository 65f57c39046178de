"""The answer of a study beside its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adaptstilts.plan.graph import Plan
from adaptstilts.questions.base import MARGIN, Findings, Outcome, Question
from adaptstilts.questions.outcomes import collect
from adaptstilts.reports.formats import Document
from adaptstilts.workspace import Workspace


def answer(
    question: Question, plans: Sequence[Plan], workspace: Workspace, margin: float = MARGIN
) -> tuple[Findings, list[Outcome]]:
    """Return the answer to the question of a study, and what it was answered from.

    Args:
        question: question of the study.
        plans: one for each model.
        workspace: the store with their entries, and the data.
        margin: differences up to this many points do not matter.
    """
    outcomes = collect(plans, workspace)
    return question.analyse(outcomes, margin), outcomes


def with_answer(document: Document, question: Question, findings: Findings) -> Document:
    """Return the document of a study with the tables, sentence and numbers of its answer at the end."""
    main = findings.main and findings.main.json()
    answered = {
        "question": question.name,
        "asks": question.text,
        "sentence": findings.sentence,
        "verdict": findings.verdict,
        "reason": findings.reason,
        "main": main,
        "unit": question.unit,
        "margin": findings.margin,
        "refusals": list(findings.refusals),
    }
    refused = [f"Nothing is concluded where {refusal}." for refusal in findings.refusals]
    verdict = f"{question.text} {findings.verdict.capitalize()}: {findings.sentence}"
    return replace(
        document,
        tables=[*document.tables, *findings.tables],
        summary="\n".join(filter(None, [document.summary, *refused, verdict])),
        data={**document.data, "answer": answered},
    )
