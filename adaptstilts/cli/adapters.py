"""Verbs that read and write the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptstilts.cli.app import (
    DEFAULT_STORE,
    Config,
    Debug,
    Offline,
    Overrides,
    RootOption,
    StoreOption,
    app,
    open_plan,
    open_workspace,
)


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
    from adaptstilts.interop.xtreme import scoring

    workspace, found = open_plan(config, overrides, store, data_root, offline, "existing")
    scoring.check_empty(*filter(None, (out, labels)))
    written = [(out, scoring.export(found, workspace, out, method, trained_on, over, seed))]
    if labels is not None:
        written.append((labels, scoring.export_labels(found, workspace, labels)))
    for folder, paths in written:
        typer.echo(f"{folder}: {len(paths)} files of {', '.join(dict.fromkeys(path.parent.name for path in paths))}")
    left = dict.fromkeys(cell.task for cell in found.cells if cell.task not in scoring.FOLDERS)
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

    from adaptstilts.interop.xtreme import scoring

    found = scoring.score(folder, labels, missing)
    text = scoring.render(found) if form == "md" else json.dumps(found.json(), indent=1, allow_nan=False) + "\n"
    typer.echo(text, nl=False)


@app.command()
def import_adapter(
    place: Annotated[
        str, typer.Argument(help="Folder, or owner/name[:folder][@revision] on the hub.", show_default=False)
    ],
    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder or a hub id.", show_default=False)],
    task: Annotated[str | None, typer.Option(help="What tables call it; its own name when not given.")] = None,
    store: StoreOption = DEFAULT_STORE,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Check an adapter in AdapterHub's or peft's format on a base model and keep it in the store."""
    from adaptstilts.interop import adapters
    from adaptstilts.plan.phases import ImportPhase, phase_of
    from adaptstilts.store.entries import IMPORT_RESULT

    workspace = open_workspace(store, None, offline)
    entry = adapters.import_adapter(place, model, workspace, task)
    result, phase = IMPORT_RESULT.read(entry), phase_of(entry, ImportPhase)
    typer.echo(f"{entry.key}  {phase.task}: {phase.method.label}, {result['trainable']:,} parameters")
    typer.echo(
        f"checked: format {result['format']}, {result['tensors']} tensors of {result['file']} with exactly the names"
        f" and shapes that this method has on {model}, all finite"
    )
    for note in result["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"entry: {entry.folder}")


@app.command()
def export_adapter(
    config: Config,
    out: Annotated[Path, typer.Option(help="New folder.", show_default=False)],
    form: Annotated[Literal["adapterhub", "peft", "own"], typer.Option("--format", help="Whose format.")],
    overrides: Overrides = None,
    task: Annotated[str | None, typer.Option(help="The adapter of this target task.")] = None,
    intermediate: Annotated[str | None, typer.Option(help="The adapter of this intermediate instead.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method, by kind or label.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Only targets trained on this intermediate task.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed.")] = None,
    store: StoreOption = DEFAULT_STORE,
    data_root: RootOption = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Write an adapter of a finished study as the adapters library or peft loads it, with a card."""
    from adaptstilts import errors
    from adaptstilts.interop import adapters

    if (task is None) == (intermediate is None):
        raise errors.ConfigError("give --task or --intermediate")
    workspace, found = open_plan(config, overrides, store, data_root, offline, "existing")
    choice = adapters.Choice(task, intermediate, method, trained_on, seed)
    paths = adapters.export_adapter(found, workspace, choice, form, out)
    typer.echo(f"{out}: {', '.join(path.relative_to(out).as_posix() for path in paths)}")


@app.command()
def push_adapter(
    folder: Annotated[Path, typer.Argument(help="What export-adapter wrote.", show_default=False)],
    repo: Annotated[str, typer.Argument(help="owner/name on the hub; made where there is none.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="Make it private where it is made.")] = False,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Upload an exported adapter to the hub; the token is taken from HF_TOKEN or from a login."""
    from adaptstilts.interop import adapters

    typer.echo(f"pushed: {adapters.push(folder, repo, private, offline)}")
