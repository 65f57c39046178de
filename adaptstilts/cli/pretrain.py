"""The verb that makes encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptstilts.cli.app import (
    DEFAULT_STORE,
    Debug,
    Offline,
    Overrides,
    RootOption,
    StoreOption,
    TrackOption,
    app,
    open_workspace,
)


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
    track: TrackOption = None,
) -> None:
    """Make small multilingual encoders from aligned text: tokenizer, starting vectors, training."""
    from adaptstilts import run as runner
    from adaptstilts.cli.progress import Progress, pretrain_lines
    from adaptstilts.pretrain import recipe as recipes
    from adaptstilts.runtime.loggers import select

    loggers = select(track or ())
    workspace = open_workspace(store, data_root, offline)
    found = recipes.expand(recipes.load(config, overrides or ()), workspace, only or ())
    with Progress() as progress:
        runner.run_plan(found, workspace, progress, checkpoint_every, device, loggers)
    for line in pretrain_lines(found, workspace.store):
        typer.echo(line)
    if export is not None:
        from adaptstilts.pretrain.export import export as write

        for path in write(found, workspace.store, export):
            typer.echo(f"written: {path}")
