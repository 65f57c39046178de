"""Verbs on a study: run, plan, status, results, swap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptstilts.cli.app import (
    DEFAULT_STORE,
    Config,
    Debug,
    Offline,
    Overrides,
    RootOption,
    StoreOption,
    TrackOption,
    app,
    open_existing,
    open_plan,
    open_workspace,
    print_results,
)

FORMAT_HELP = "md, csv, latex, json, or a format of a plug-in. Default: by the ending of --out, else md."


@app.command()
def run(
    config: Config,
    overrides: Overrides = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Training steps between checkpoints; once a minute when not given.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(help="Torch device; the GPU where there is one.")] = None,
    track: TrackOption = None,
) -> None:
    """Run a study: what is done is skipped, what was begun continues. Ends with the results."""
    from adaptstilts import run as runner
    from adaptstilts.cli.progress import Progress
    from adaptstilts.runtime.loggers import select

    loggers = select(track or ())
    workspace, plan = open_plan(config, overrides, store, data_root, offline)
    missing = len(plan.missing(workspace.store))
    typer.echo(f"{plan.study.name}: {len(plan.phases)} phases, {missing} to do, store {workspace.store.folder}")
    with Progress() as progress:
        outcome = runner.run_plan(plan, workspace, progress, checkpoint_every, device, loggers)
    typer.echo(f"{len(outcome.done)} phases done now, {len(outcome.skipped)} were done before\n")
    print_results(plan, workspace)


@app.command()
def plan(
    config: Config,
    overrides: Overrides = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
    every: Annotated[bool, typer.Option("--all", help="List evaluate and retrieve phases too.")] = False,
    gflops: Annotated[
        float | None, typer.Option(help="Speed to reckon with; else what finished phases had.", min=1e-3)
    ] = None,
    outline: Annotated[
        bool, typer.Option("--outline", help="Without data and weights: sizes as published, and nothing is fetched.")
    ] = False,
) -> None:
    """Show what a study would do and cost, before anything is spent."""
    from adaptstilts.cli.progress import plan_lines

    workspace, found = open_plan(config, overrides, store, data_root, offline, "outline" if outline else "preview")
    for line in plan_lines(found, workspace, every, gflops and gflops * 1e9):
        typer.echo(line)


@app.command()
def status(
    config: Config,
    overrides: Overrides = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Show how far a study is: done, running, begun, missing."""
    from adaptstilts.cli.progress import status_lines

    workspace, found = open_plan(config, overrides, store, data_root, offline, "existing")
    for line in status_lines(found, workspace.store):
        typer.echo(line)


@app.command()
def results(
    config: Config,
    overrides: Overrides = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
    form: Annotated[str | None, typer.Option("--format", help=FORMAT_HELP)] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; its ending chooses the format. Default: print to the terminal.")
    ] = None,
) -> None:
    """Print the scores, costs, differences and swap tables of a study."""
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.reports import formats, records, tables

    table_format = formats.for_output(form, out)
    place = out and resolve_output(out)
    workspace, found = open_plan(config, overrides, store, data_root, offline, "existing")
    text = table_format.render(tables.document(records.records(found, workspace.store), found.study.name))
    if place is None:
        typer.echo(text, nl=False)
    else:
        with replacing(place) as file:
            file.write(text)


@app.command()
def swap(
    config: Config,
    overrides: Overrides = None,
    target: Annotated[str | None, typer.Option(help="Only this target task.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Only targets trained on this intermediate task.")] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            help="Intermediate task, `none`, folder of an entry, or folder or hub id of an adapter; may be repeated."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Evaluate trained targets over other intermediate adapters. Nothing is trained."""
    from adaptstilts import run as runner
    from adaptstilts import study as configs
    from adaptstilts.cli.progress import Progress
    from adaptstilts.plan import swap as swapping

    workspace = open_existing(store, data_root, offline)
    study = configs.load(config, overrides or ())
    found = swapping.swap(study, workspace, target, method, trained_on, over or ())
    with Progress() as progress:
        outcome = runner.run_plan(found, workspace, progress)
    done = [found.phases[key].kind for key in outcome.done]
    told = f"0 training phases, {done.count('evaluate')} evaluate phases done now, {len(outcome.skipped)} before"
    typer.echo(told + (f", {done.count('import')} adapters imported\n" if "import" in done else "\n"))
    print_results(found, workspace)


@app.command()
def choose(
    config: Config,
    target: Annotated[str, typer.Option(help="Trained target task of the study.")],
    overrides: Overrides = None,
    method: Annotated[str | None, typer.Option(help="Only this method.")] = None,
    rows: Annotated[int, typer.Option(help="Training rows of each task that predictors look at.", min=16)] = 512,
    form: Annotated[str | None, typer.Option("--format", help=FORMAT_HELP)] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Rank a study's intermediates for a target by cheap predictors, before the target is trained on them."""
    from adaptstilts import study as configs
    from adaptstilts.cli.progress import Progress
    from adaptstilts.reports import choose as choosing
    from adaptstilts.reports import formats
    from adaptstilts.reports.tables import rankings

    table_format = formats.for_output(form)
    workspace = open_workspace(store, data_root, offline)
    study = configs.load(config, overrides or ())
    with Progress() as progress:
        ranked = choosing.choose(study, workspace, target, method, rows, progress)
    typer.echo(table_format.render(rankings.document(ranked, target)), nl=False)
