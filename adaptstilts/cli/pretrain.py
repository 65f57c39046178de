"""The verb that pretrains encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptstilts.cli.options import CheckpointOption, DeviceOption, OverridesArgument, TrackOption, WorkspaceOptions


def pretrain(
    places: WorkspaceOptions,
    config: Annotated[Path, typer.Argument(help="Pretraining file (YAML).", show_default=False)],
    overrides: OverridesArgument = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this encoder of the file. May be repeated.", show_default="all")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Folder to export to: a folder per encoder with half-precision weights and a card.",
            show_default="no export",
        ),
    ] = None,
    checkpoint_every: CheckpointOption = None,
    device: DeviceOption = None,
    track: TrackOption = None,
) -> None:
    """Pretrain small multilingual encoders on aligned text.

    Trains a tokenizer, computes initial token vectors and trains the encoders of a pretraining file.
    """
    from adaptstilts.cli.progress import Progress, pretrain_lines
    from adaptstilts.pretrain import expand, load
    from adaptstilts.run import run_plan
    from adaptstilts.runtime.loggers import select

    loggers = select(track or ())
    workspace = places.open()
    plan = expand(load(config, overrides or ()), workspace, only or ())
    with Progress() as progress:
        run_plan(plan, workspace, progress, checkpoint_every, device, loggers)
    for line in pretrain_lines(plan, workspace.store):
        typer.echo(line)
    if export is not None:
        from adaptstilts.pretrain.export import export as write_encoders

        for path in write_encoders(plan, workspace.store, export):
            typer.echo(f"written: {path}")
