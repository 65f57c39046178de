"""The report page of a study that asks a question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from adaptstilts.io.wording import counted, joined, short_count
from adaptstilts.questions.base import Findings, Outcome, Question
from adaptstilts.questions.outcomes import encoder_size
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.model import Answer, Evidence, Fact, Page, Provenance, Section
from adaptstilts.reports.page.parts import costs
from adaptstilts.reports.page.parts.evidence import data_notes
from adaptstilts.reports.page.parts.provenance import provenance
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.page.parts.trust import phases_fact, seeds_fact
from adaptstilts.reports.page.study import StudyFile
from adaptstilts.reports.records import model_name


def page(
    question: Question,
    findings: Findings,
    outcomes: Sequence[Outcome],
    results: Sequence[Results],
    file: StudyFile,
) -> Page:
    """Return the page, however much of the study is computed.

    Args:
        question: question of the study.
        findings: its answer.
        outcomes: the outcomes behind the answer.
        results: results of the study, one for each model.
        file: the study file.
    """
    return Page(
        title=results[0].plan.study.name,
        subtitle=_subtitle(results),
        answer=Answer(
            question=question.text,
            sentence=findings.sentence,
            verdict=findings.verdict,
            reason=findings.reason,
            numbers=findings.numbers,
            limits=findings.limits,
        ),
        trust=[*_facts(question, findings, outcomes, results), *findings.facts],
        figure=Section(figures=findings.figures[:1]),
        evidence=Section(tables=findings.tables),
        further=[Section("Further figures", figures=findings.figures[1:])],
        costs=Section(tables=_cost_tables(results)),
        provenance=_provenance(results, file),
    )


def _subtitle(results: Sequence[Results]) -> str:
    study = results[0].plan.study
    models = [f"{model_name(one.plan.study)} ({short_count(encoder_size(one.plan.model))})" for one in results]
    parts = [counted(len(results[0].tasks), "target"), counted(len(study.methods), "method")]
    parts += [counted(len(study.intermediates), "intermediate"), counted(len(study.seeds), "seed")]
    return f"{joined(models)}: {joined(parts)}; sizes are parameters without embeddings"


def _facts(
    question: Question, findings: Findings, outcomes: Sequence[Outcome], results: Sequence[Results]
) -> list[Fact]:
    facts = [seeds_fact(results[0].plan.study.seeds)]
    codes = list(dict.fromkeys(outcome.language for outcome in outcomes))
    facts.append(Fact("Languages", str(len(codes)), f"{joined(codes)}." if codes else "", is_warning=not codes))
    sizes = [len(outcome.values) for outcome in outcomes]
    if sizes:
        low, high = min(sizes), max(sizes)
        facts.append(Fact("Test items in a language", f"{low:,}" if low == high else f"{low:,} to {high:,}"))
    facts.append(phases_fact([one.plan for one in results], results[0].store))
    if findings.refusals:
        note = f"{'; '.join(findings.refusals)}. Nothing is concluded from these."
        facts.append(Fact("Nothing learned", str(len(findings.refusals)), note, is_warning=True))
    notes = data_notes([*chain.from_iterable(one.done for one in results)])
    if notes:
        facts.append(Fact("Data", "not as published", f"{'; '.join(notes)}.", is_warning=True))
    facts.append(_power(question, findings))
    return facts


def _power(question: Question, findings: Findings) -> Fact:
    label = "Smallest detectable effect"
    if findings.main is None or math.isinf(findings.main.detectable):
        return Fact(label, "unknown", "There is no interval that counts training noise.", is_warning=True)
    note = "Of the main number, in 80 of 100 such studies."
    return Fact(label, f"{findings.main.detectable:.2f} {question.unit}", note)


def _cost_tables(results: Sequence[Results]) -> list[Table]:
    tables = []
    for one in results:
        for table in costs.section(one).tables:
            title = f"{table.title}, {model_name(one.plan.study)}" if len(results) > 1 else table.title
            tables.append(replace(table, title=title))
    return tables


def _provenance(results: Sequence[Results], file: StudyFile) -> Provenance:
    evidence: list[Evidence] = []
    tables: list[Table] = []
    for one in results:
        of_model = provenance(one, file.text, file.overrides, file.store)
        name = model_name(one.plan.study)
        prefix = f"{name}: " if len(results) > 1 else ""
        evidence += [replace(each, result=f"{prefix}{each.result}") for each in of_model.evidence]
        tables += [replace(table, title=f"{prefix}{table.title}") for table in of_model.tables[:-1]]
        licences = of_model.tables[-1]
    return Provenance(file.text, file.overrides, evidence, [*tables, licences])
