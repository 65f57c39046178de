"""The command line: verbs to functions. Heavy imports happen inside the verbs that need them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from adaptstilts import errors

if TYPE_CHECKING:
    from adaptstilts.plan import Plan
    from adaptstilts.workspace import Workspace

app = typer.Typer(
    name="adaptstilts",
    help="Intermediate-task training with adapters: train, transfer zero-shot, swap, retrieve, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Argument(help="Study file (YAML).", show_default=False)]
Overrides = Annotated[list[str] | None, typer.Argument(help="Overrides: key.path=value.", show_default=False)]
StoreOption = Annotated[Path, typer.Option("--store", envvar="ADAPTSTILTS_STORE", help="Folder of results.")]
RootOption = Annotated[
    Path | None,
    typer.Option("--data-root", envvar="ADAPTSTILTS_DATA_ROOT", help="Local folder laid out like the hub."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no network connection.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
DEFAULT_STORE = Path("store")


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
) -> None:
    """Run a study: what is done is skipped, what was begun continues. Ends with the results."""
    from adaptstilts import run as runner
    from adaptstilts.terminal import Progress

    workspace, plan = _plan(config, overrides, store, data_root, offline)
    missing = len(plan.missing(workspace.store))
    typer.echo(f"{plan.study.name}: {len(plan.phases)} phases, {missing} to do, store {workspace.store.folder}")
    with Progress() as progress:
        outcome = runner.execute(plan, workspace, progress, checkpoint_every, device)
    typer.echo(f"{len(outcome.done)} phases done now, {len(outcome.skipped)} were done before\n")
    _print_results(plan, workspace)


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
    from adaptstilts.terminal import plan_lines

    workspace, found = _plan(config, overrides, store, data_root, offline, outline)
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
    from adaptstilts.terminal import status_lines

    workspace, found = _plan(config, overrides, store, data_root, offline)
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
    form: Annotated[
        Literal["md", "csv", "latex", "json"], typer.Option("--format", help="md, csv, latex or json.")
    ] = "md",
    out: Annotated[Path | None, typer.Option(help="File to write; standard output when not given.")] = None,
) -> None:
    """Print the scores, costs, differences and swap tables of a study."""
    from adaptstilts import scores, tables

    workspace, found = _plan(config, overrides, store, data_root, offline)
    text = tables.render(scores.records(found, workspace.store), form, found.study.name)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@app.command()
def swap(
    config: Config,
    overrides: Overrides = None,
    target: Annotated[str | None, typer.Option(help="Only this target task.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Only targets trained on this intermediate task.")] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(help="Intermediate task, `none`, or the folder of an entry; may be repeated."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Evaluate trained targets over other intermediate adapters. Nothing is trained."""
    from adaptstilts import config as configs
    from adaptstilts import run as runner
    from adaptstilts import swap as swapping
    from adaptstilts.terminal import Progress

    workspace = _workspace(store, data_root, offline)
    study = configs.load(config, overrides or ())
    found = swapping.swaps(study, workspace, target, method, trained_on, over or ())
    with Progress() as progress:
        outcome = runner.execute(found, workspace, progress)
    typer.echo(f"0 training phases, {len(outcome.done)} evaluate phases done now, {len(outcome.skipped)} before\n")
    _print_results(found, workspace)


@app.command()
def export_predictions(
    config: Config,
    out: Annotated[Path, typer.Option(help="New folder, gets <task>/test-<language>.<suffix>.", show_default=False)],
    overrides: Overrides = None,
    labels: Annotated[Path | None, typer.Option(help="Folder that gets the labels in the same layout.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method, by kind or label.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Only targets trained on this intermediate task.")] = None,
    over: Annotated[str | None, typer.Option(help="Only targets evaluated over this intermediate task.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed.")] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Write the predictions of a finished study as XTREME's evaluate.py reads them."""
    from adaptstilts.interop import xtreme

    workspace, found = _plan(config, overrides, store, data_root, offline)
    xtreme.check_empty(*filter(None, (out, labels)))
    written = [(out, xtreme.export(found, workspace, out, method, trained_on, over, seed))]
    if labels is not None:
        written.append((labels, xtreme.export_labels(found, workspace, labels)))
    for folder, paths in written:
        typer.echo(f"{folder}: {len(paths)} files of {', '.join(dict.fromkeys(path.parent.name for path in paths))}")
    left = dict.fromkeys(cell.task for cell in found.cells if cell.task not in xtreme.FOLDERS)
    if left:
        typer.echo(f"not tasks of XTREME, left out: {', '.join(left)}")


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Predictions: <task>/test-<language>.<suffix>.", show_default=False)],
    labels: Annotated[Path, typer.Option(help="Labels in the same layout.")],
    form: Annotated[Literal["md", "json"], typer.Option("--format", help="md or json.")] = "md",
    missing: Annotated[
        Literal["error", "skip"], typer.Option(help="Languages that one side lacks: refuse, or leave out and mark.")
    ] = "error",
    debug: Debug = False,
) -> None:
    """Score a folder of predictions as XTREME and XTREME-R do."""
    import json

    from adaptstilts.interop import xtreme

    found = xtreme.score(folder, labels, missing)
    text = xtreme.render(found) if form == "md" else json.dumps(found.json(), indent=1, allow_nan=False) + "\n"
    typer.echo(text, nl=False)


@app.command()
def pretrain(
    config: Annotated[Path, typer.Argument(help="Pretraining file (YAML).", show_default=False)],
    overrides: Overrides = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this encoder; may be repeated.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Folder that gets one folder for each encoder: half-precision weights, card.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; one every two minutes when not given.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(help="Torch device; the GPU where there is one.")] = None,
) -> None:
    """Make small multilingual encoders from aligned text: tokenizer, starting vectors, training."""
    from adaptstilts import run as runner
    from adaptstilts.pretrain import recipe as recipes
    from adaptstilts.terminal import Progress, pretrain_lines

    workspace = _workspace(store, data_root, offline)
    found = recipes.expand(recipes.load(config, overrides or ()), workspace, only or ())
    with Progress() as progress:
        runner.execute(found, workspace, progress, checkpoint_every, device)
    for line in pretrain_lines(found, workspace.store):
        typer.echo(line)
    if export is not None:
        from adaptstilts.pretrain.export import export as write

        for path in write(found, workspace.store, export):
            typer.echo(f"written: {path}")


@app.command()
def models(debug: Debug = False) -> None:
    """List the built-in encoders."""
    from adaptstilts.terminal import model_lines

    for line in model_lines():
        typer.echo(line)


@app.command()
def tasks(
    rows: Annotated[bool, typer.Option("--rows", help="Count the rows that the data at hand has of each.")] = False,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """List the tasks."""
    from adaptstilts.terminal import holding_lines, task_lines

    for line in holding_lines(_workspace(store, data_root, offline)) if rows else task_lines():
        typer.echo(line)


@app.command()
def methods(debug: Debug = False) -> None:
    """List the methods with their settings."""
    from adaptstilts.terminal import method_lines

    for line in method_lines():
        typer.echo(line)


@app.command()
def verify(store: StoreOption = DEFAULT_STORE, debug: Debug = False) -> None:
    """Check every entry of a store against its sha256 sums; exit code 4 when one is damaged."""
    from adaptstilts.store import Store

    found = list(Store(store).verify())
    damaged = [(key, problem) for key, problem in found if problem]
    for key, problem in damaged:
        typer.echo(f"{key[:12]} damaged: {problem}", err=True)
    typer.echo(f"{len(found) - len(damaged)} of {len(found)} entries verified")
    if damaged:
        raise errors.ArtifactError(f"{len(damaged)} entries were damaged; the next `adaptstilts run` makes them anew")


@app.command()
def gc(
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them.")] = False,
    debug: Debug = False,
) -> None:
    """List what a store no longer needs (leftovers of killed runs); remove it with --yes."""
    import shutil

    from adaptstilts.store import Store

    for path in Store(store).garbage():
        typer.echo(f"{'removed' if yes else 'would remove'} {path}")
        if yes:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@app.command()
def doctor(store: StoreOption = DEFAULT_STORE, debug: Debug = False) -> None:
    """Show what this installation has: versions, device, precision, search backend, disk."""
    from adaptstilts.terminal import doctor_lines

    for line in doctor_lines(store):
        typer.echo(line)


def main() -> None:
    """Entry point: errors become one line and an exit code."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if "--offline" in arguments:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        code = app(args=arguments, prog_name="adaptstilts", standalone_mode=False)
    except errors.AdaptstiltsError as error:
        _fail(str(error), error.exit_code, debug)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; the same command continues", 130, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _fail("out of memory; lower train.micro_tokens or train.batch_size", 5, debug)
    except Exception as error:
        if hasattr(error, "format_message"):
            _fail(f"{error.format_message()} See --help.", 2, debug)
        told = str(error).splitlines()
        line = f"{type(error).__name__}: {told[0] if told else ''}"
        _fail(f"internal error: {line}; run again with --debug for the traceback", 1, debug)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    for line in message.splitlines() or [""]:
        typer.echo(f"error: {line}", err=True)
    sys.exit(code)


def _workspace(store: Path, data_root: Path | None, offline: bool) -> Workspace:
    from adaptstilts.workspace import Workspace

    return Workspace(store, data_root, offline)


def _plan(
    config: Path,
    overrides: list[str] | None,
    store: Path,
    data_root: Path | None,
    offline: bool,
    outline: bool = False,
) -> tuple[Workspace, Plan]:
    from adaptstilts import config as configs
    from adaptstilts.outline import Outline
    from adaptstilts.plan import expand

    study = configs.load(config, overrides or ())
    workspace = Outline(store) if outline else _workspace(store, data_root, offline)
    return workspace, expand(study, workspace)


def _print_results(found: Any, workspace: Workspace) -> None:
    from adaptstilts import scores, tables

    typer.echo(tables.render(scores.records(found, workspace.store), "md", found.study.name), nl=False)
