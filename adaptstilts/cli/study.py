"""Verbs on a study: run, plan, status, results, swap, choose."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adaptstilts.cli.options import (
    DEFAULT_STORE,
    CheckpointOption,
    DeviceOption,
    FormatOption,
    MethodOption,
    StudyOptions,
    TrackOption,
    TrainedOnOption,
)

if TYPE_CHECKING:
    from adaptstilts.metrics.intervals import LanguagesAs
    from adaptstilts.plan.expand import Plan
    from adaptstilts.reports.formats import Document
    from adaptstilts.reports.records import Record
    from adaptstilts.workspace import Workspace


def run(
    study: StudyOptions,
    checkpoint_every: CheckpointOption = None,
    device: DeviceOption = None,
    track: TrackOption = None,
) -> None:
    """Run a study and print its results.

    Finished phases are skipped; an interrupted one continues from its last checkpoint.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.wording import counted
    from adaptstilts.run import run_plans
    from adaptstilts.runtime.loggers import select

    loggers = select(track or ())
    with Progress() as progress:
        progress.stage("reading the study and its data")
        workspace, plans = study.plans()
    missing = sum(len(plan.missing(workspace.store)) for plan in plans)
    phases = counted(sum(len(plan.phases) for plan in plans), "phase")
    models = f" with {len(plans)} models" if len(plans) > 1 else ""
    typer.echo(f"{plans[0].study.name}: {phases}{models}, {missing} to do, store {workspace.store.folder}")
    with Progress() as progress:
        outcomes = run_plans(plans, workspace, progress, checkpoint_every, device, loggers)
    done = counted(sum(len(outcome.done) for outcome in outcomes), "phase")
    typer.echo(f"{done} done now, {sum(len(outcome.skipped) for outcome in outcomes)} done before\n")
    _print_results(plans, workspace)


def plan(
    study: StudyOptions,
    every: Annotated[bool, typer.Option("--all", help="List every phase, not only those that train.")] = False,
    gflops: Annotated[
        float | None,
        typer.Option(help="Speed for time estimates, in GFLOP/s.", min=1e-3, show_default="as measured, else assumed"),
    ] = None,
    outline: Annotated[
        bool,
        typer.Option(
            "--outline",
            help="Plan from published sizes, without data or weights; nothing is fetched.",
        ),
    ] = False,
    settings: Annotated[
        bool,
        typer.Option(
            "--settings", help="Show the training settings instead, beside those of a benchmark; reads no data."
        ),
    ] = False,
) -> None:
    """Show the phases of a study and what they would cost."""
    from adaptstilts.cli.columns import print_lines
    from adaptstilts.cli.plan_text import plan_lines, question_lines
    from adaptstilts.cli.settings_text import difference_lines, settings_lines
    from adaptstilts.plan.outline import Outline
    from adaptstilts.plan.row_checks import check_rows

    if settings:
        for line in settings_lines(study.load(Outline(study.store))):
            typer.echo(line)
        return
    workspace, plans = study.plans("outline" if outline else "preview")
    missing = {phase.key: phase for plan in plans for phase in plan.missing(workspace.store)}
    remarks = check_rows(missing.values(), workspace)
    lines = [*_by_model(plans, lambda one: plan_lines(one, workspace, every, gflops and gflops * 1e9))]
    print_lines((*lines, *difference_lines(plans[0].study), *remarks, *question_lines(plans)))


def status(study: StudyOptions) -> None:
    """Show which phases of a study are done."""
    from adaptstilts.cli.columns import print_lines
    from adaptstilts.cli.plan_text import status_lines

    workspace, plans = study.plans("existing")
    print_lines(_by_model(plans, lambda one: status_lines(one, workspace.store)))


def results(
    study: StudyOptions,
    form: FormatOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; its ending chooses the format unless --format is given.",
            show_default="print to the terminal",
        ),
    ] = None,
    languages_as: Annotated[
        Literal["fixed", "sample"],
        typer.Option(
            help="What intervals are about: these languages (fixed), or languages like these (sample; wider)."
        ),
    ] = "fixed",
) -> None:
    """Print the result tables of a study.

    Scores per target with differences and 95 % intervals, benchmark means, costs, and matrices of swapped adapters.
    """
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.reports import formats

    table_format = formats.for_output(form, out)
    place = out and resolve_output(out)
    workspace, plans = study.plans("existing")
    text = formats.rendered(table_format, _document(plans, workspace, languages_as))
    if place is None:
        typer.echo(text, nl=False)
    else:
        with replacing(place) as file:
            file.write(text)


def swap(
    study: StudyOptions,
    target: Annotated[str | None, typer.Option(help="Only this target task.", show_default="all")] = None,
    method: MethodOption = None,
    trained_on: TrainedOnOption = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            help="What to swap in: an intermediate task, none, a folder of an entry, or a folder or hub id of an"
            " adapter. May be repeated.",
            show_default="every other intermediate",
        ),
    ] = None,
) -> None:
    """Evaluate trained targets over other intermediates.

    Nothing is trained: only the intermediate adapter below a trained target is exchanged.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.wording import counted
    from adaptstilts.plan.swap import swap as swap_plan
    from adaptstilts.run import run_plans

    workspace = study.open_existing()
    singles = study.load(workspace).each()
    plans = [swap_plan(single, workspace, target, method, trained_on, over or ()) for single in singles]
    with Progress() as progress:
        outcomes = run_plans(plans, workspace, progress)
    done = [plan.phases[key].kind for plan, outcome in zip(plans, outcomes, strict=True) for key in outcome.done]
    evaluated = counted(done.count("evaluate"), "evaluate phase")
    skipped = sum(len(outcome.skipped) for outcome in outcomes)
    line = f"0 training phases, {evaluated} done now, {skipped} done before"
    if "import" in done:
        line += f", {counted(done.count('import'), 'adapter')} imported"
    typer.echo(f"{line}\n")
    _print_results(plans, workspace)


def choose(
    study: StudyOptions,
    target: Annotated[
        str,
        typer.Option(
            help="Target task of the study. It must be trained, so it cannot be a retrieval task.", show_default=False
        ),
    ],
    method: MethodOption = None,
    rows: Annotated[int, typer.Option(help="Training rows that the predictors read of each task.", min=16)] = 512,
    form: FormatOption = None,
) -> None:
    """Rank the intermediate tasks of a study for a target.

    Cheap predictors judge every intermediate task of the study. If the study has already trained the target, its
    scores show how good the predictors are.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.reports import choose as predictors
    from adaptstilts.reports import formats
    from adaptstilts.reports.tables import rankings

    table_format = formats.for_output(form)
    workspace = study.open()
    ranked = []
    with Progress() as progress:
        for single in study.load(workspace).each():
            ranked += predictors.choose(single, workspace, target, method, rows, progress)
    typer.echo(formats.rendered(table_format, rankings.document(ranked, target)), nl=False)


def _by_model(plans: Sequence[Plan], describe: Callable[[Plan], Iterable[str]]) -> Iterator[str]:
    """Yield lines on every plan, each after the name of its model if there are several."""
    from adaptstilts.reports.records import model_name

    for number, plan in enumerate(plans):
        if len(plans) > 1:
            yield from ([""] if number else [])
            yield f"model {model_name(plan.study)}"
        yield from describe(plan)


def _records(plans: Sequence[Plan], workspace: Workspace, languages_as: LanguagesAs = "fixed") -> list[Record]:
    from adaptstilts.reports.records import records, row_records

    collected: list[Record] = []
    for plan in plans:
        collected += records(plan, workspace.store, languages_as)
        collected += row_records(plan, workspace.store, languages_as)
    return collected


def _document(plans: Sequence[Plan], workspace: Workspace, languages_as: LanguagesAs = "fixed") -> Document:
    """Return the tables of a study, with the answer to its question if it asks one."""
    from adaptstilts import questions
    from adaptstilts.questions.answers import answer, with_answer
    from adaptstilts.reports import tables

    study = plans[0].study
    document = tables.document(_records(plans, workspace, languages_as), study.name, invocation(plans[0], workspace))
    question = questions.get(study.question) if study.question else None
    if question is None:
        return document
    findings, _ = answer(question, plans, workspace)
    return with_answer(document, question, findings)


def _print_results(plans: Sequence[Plan], workspace: Workspace) -> None:
    from adaptstilts.reports import formats

    typer.echo(formats.get(formats.DEFAULT).render(_document(plans, workspace)), nl=False)


def invocation(plan: Plan, workspace: Workspace) -> str:
    """Return what follows the verb in commands for this study: its file, its overrides but seeds, and its folders."""
    origin = plan.study.place.origin
    words = [origin.file or "CONFIG", *(text for keys, text in origin.overrides if keys[:1] != ("seeds",))]
    if workspace.store.folder != DEFAULT_STORE:
        words += ["--store", str(workspace.store.folder)]
    if workspace.sources.root:
        words += ["--data-root", str(workspace.sources.root)]
    if workspace.offline:
        words.append("--offline")
    return shlex.join(words)
