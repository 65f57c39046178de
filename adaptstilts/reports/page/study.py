"""The page of an ordinary study: what an intermediate task changes, methods, swaps, languages, costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.io.wording import counted, joined, short_count
from adaptstilts.metrics import xtreme
from adaptstilts.reports.page.model import Page, Section
from adaptstilts.reports.page.parts import checks, costs, curves, evidence, languages, other_tables, swaps
from adaptstilts.reports.page.parts.answer import answer, contrasts
from adaptstilts.reports.page.parts.provenance import provenance
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.page.parts.trust import facts
from adaptstilts.reports.tables import benchmarks


@dataclass(frozen=True)
class StudyFile:
    """The file of a study, as its user named it.

    Attributes:
        path: path of the file.
        text: its content.
        overrides: overrides of its keys.
        store: the folder that commands of the page name; None for the default one.
    """

    path: str
    text: str
    overrides: Sequence[str] = ()
    store: Path | None = None


def page(results: Results, file: StudyFile) -> Page:
    """Return the page of a study, however much of it is computed.

    Args:
        results: results of the study.
        file: the study file.
    """
    averages = contrasts(results)
    return Page(
        title=results.plan.study.name,
        subtitle=_subtitle(results),
        answer=answer(results, averages, file.path),
        trust=facts(results, averages),
        figure=evidence.main_figure(results),
        evidence=_evidence(results),
        languages=languages.section(results),
        further=_further(results),
        costs=costs.section(results),
        checks=checks.section(results),
        provenance=provenance(results, file.text, file.overrides, file.store),
    )


def _further(results: Results) -> list[Section]:
    return [
        _methods(results),
        other_tables.compositions_section(results),
        swaps.section(results),
        other_tables.rows_section(results),
        other_tables.layers_section(results),
        curves.section(results),
    ]


def _subtitle(results: Results) -> str:
    study, shape = results.plan.study, results.plan.model.shape
    model = f"{study.model} ({short_count(shape['parameters'])} parameters)"
    parts = [counted(len(results.tasks), "target"), counted(len(study.methods), "method")]
    parts += [counted(len(study.intermediates), "intermediate"), counted(len(study.seeds), "seed")]
    return f"{model}: {joined(parts)}"


def _evidence(results: Results) -> Section:
    """Return the table of all results, and those of benchmarks that the study mostly covers."""
    section = evidence.section(results)
    shown = [benchmarks.table(benchmark, results.plain) for benchmark in xtreme.BENCHMARKS]
    tables = [*section.tables, *(table for table in shown if table is not None)]
    return Section(section.title, section.text, section.figures, tables)


def _methods(results: Results) -> Section:
    figure = evidence.reference_figure(results)
    if figure is None:
        return Section()
    return Section(title=f"Methods against {results.reference}", figures=[figure])
