"""The verb that writes a report of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptstilts.cli.options import DEFAULT_STORE, StudyOptions

if TYPE_CHECKING:
    from adaptstilts.plan.graph import Plan
    from adaptstilts.reports.page.model import Page
    from adaptstilts.reports.page.parts.results import Results
    from adaptstilts.reports.page.study import StudyFile
    from adaptstilts.store.store import Store


def _check_formats(text: str | None) -> str | None:
    """Return the formats of figure files.

    Raises:
        typer.BadParameter: one of them is unknown.
    """
    from adaptstilts.reports.page.drawing import FORMATS

    for name in _split(text):
        if name not in FORMATS:
            raise typer.BadParameter(
                f"{name!r}: expected one or more of {', '.join(FORMATS)}, with commas between them."
            )
    return text


def report(
    study: StudyOptions,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("report.html"),
    figures: Annotated[
        str | None,
        typer.Option(
            help="Also write every figure to files: pdf, png, svg, with commas between them. They go into a folder"
            " beside the report.",
            callback=_check_formats,
            show_default="none",
        ),
    ] = None,
    margin: Annotated[float, typer.Option(help="Differences up to this many points do not matter.", min=0.01)] = 1.0,
) -> None:
    """Write the results of a study as one HTML page.

    The page gives the answer first, then what decides whether it can be trusted, then figures, tables, costs and the
    entries behind every number. It needs no network and no script, and can be written before the study is finished.
    """
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.io.wording import counted, size
    from adaptstilts.reports.page import drawing, html
    from adaptstilts.reports.page.study import StudyFile
    from adaptstilts.study.loading import read_text

    drawing.require_libraries()
    place = resolve_output(out, study.config)
    store = study.store if study.store != DEFAULT_STORE else None
    file = StudyFile(str(study.config), read_text(study.config, "study"), study.overrides or (), store)
    page = _page(study, file, margin)
    text = html.render(page)
    with replacing(place) as opened:
        opened.write(text)
    typer.echo(f"{out}: {size(len(text.encode()))}, {counted(len(page.figures), 'figure')}")
    formats = _split(figures)
    if formats:
        folder = place.with_name(f"{place.stem}-figures")
        drawing.save_all(page.figures, folder, formats)
        typer.echo(f"{out.with_name(folder.name)}: {counted(len(page.figures) * len(formats), 'file')}")


def _page(study: StudyOptions, file: StudyFile, margin: float) -> Page:
    """Return the page of the question of a study; without one, that of its only model."""
    from adaptstilts import questions
    from adaptstilts.questions.answers import answer
    from adaptstilts.questions.page import page as question_page
    from adaptstilts.reports.page.study import page as study_page

    name = study.load(study.open_existing()).question
    if name is None:
        workspace, plan = study.plan("existing")
        return study_page(_results(plan, workspace.store, margin), file)
    question = questions.get(name)
    workspace, plans = study.plans("existing")
    findings, outcomes = answer(question, plans, workspace, margin)
    results = [_results(plan, workspace.store, margin) for plan in plans]
    return question_page(question, findings, outcomes, results, file)


def _results(plan: Plan, store: Store, margin: float) -> Results:
    from adaptstilts.reports.page.parts.results import Results
    from adaptstilts.reports.records import records, row_records

    return Results(plan, store, records(plan, store), margin, row_records(plan, store))


def _split(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
