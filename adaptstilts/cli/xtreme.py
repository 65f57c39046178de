"""Verbs for the files of the XTREME benchmarks: write predictions, score predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptstilts.cli.options import MethodOption, SeedOption, StudyOptions, TrainedOnOption
from adaptstilts.errors import DataError


def export_predictions(
    study: StudyOptions,
    out: Annotated[
        Path, typer.Option(help="New folder for the predictions, <task>/test-<language>.<suffix>.", show_default=False)
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="New folder for the gold labels in the same layout.", show_default="not written"),
    ] = None,
    method: MethodOption = None,
    trained_on: TrainedOnOption = None,
    over: Annotated[
        str | None, typer.Option(help="Only targets evaluated over this intermediate task.", show_default="all")
    ] = None,
    seed: SeedOption = None,
) -> None:
    """Write the predictions of a study in XTREME's layout.

    XTREME's evaluate.py reads the folder. Every phase whose predictions are written must be finished.
    """
    from adaptstilts.interop.xtreme import scoring
    from adaptstilts.io.wording import counted

    workspace, plan = study.plan("existing")
    scoring.check_empty(*filter(None, (out, labels)))
    written = [(out, scoring.export(plan, workspace, out, method, trained_on, over, seed))]
    if labels is not None:
        written.append((labels, scoring.export_labels(plan, workspace, labels)))
    for folder, paths in written:
        tasks = dict.fromkeys(path.parent.name for path in paths)
        typer.echo(f"{folder}: {counted(len(paths), 'file')} of {', '.join(tasks)}")
    left_out = dict.fromkeys(cell.task for cell in plan.cells if cell.task not in scoring.FOLDERS)
    if left_out:
        typer.echo(f"left out, not tasks of XTREME: {', '.join(left_out)}")


def score(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with the predictions, <task>/test-<language>.<suffix>.", show_default=False),
    ],
    labels: Annotated[Path, typer.Option(help="Folder with the gold labels in the same layout.", show_default=False)],
    form: Annotated[Literal["md", "json"], typer.Option("--format", help="Format of the scores.")] = "md",
    missing: Annotated[
        Literal["error", "skip"],
        typer.Option(
            help="What to do if a language has no predictions or no labels: stop, or leave it out and mark the mean."
        ),
    ] = "error",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse input that evaluate.py accepts although it is probably a mistake.")
    ] = False,
) -> None:
    """Score predictions as XTREME and XTREME-R do.

    Input that evaluate.py accepts although it is probably a mistake is scored in the same way and listed. If a task
    cannot be scored, the others still are, and the exit code is 3.
    """
    import json

    from adaptstilts.interop.xtreme import scoring
    from adaptstilts.io.wording import printable

    report = scoring.score(folder, labels, missing, strict)
    if form == "json":
        typer.echo(json.dumps(report.json(), indent=1, allow_nan=False))
    else:
        typer.echo(scoring.render(report), nl=False)
    for reason in report.failed.values():
        typer.echo(f"error: {printable(reason)}", err=True)
    if report.failed:
        raise typer.Exit(DataError.exit_code)
