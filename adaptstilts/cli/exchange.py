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
    from adaptstilts.interop import xtreme

    workspace, found = open_plan(config, overrides, store, data_root, offline)
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
