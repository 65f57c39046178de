"""The verb that pretrains encoders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptstilts.cli.options import DeviceOption, OverridesArgument, TrackOption, WorkspaceOptions

if TYPE_CHECKING:
    from adaptstilts.pretrain import PretrainPlan
    from adaptstilts.store.store import Store


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
    checkpoint_every: Annotated[
        int | None,
        typer.Option(help="Training steps between checkpoints.", min=1, show_default="one every two minutes"),
    ] = None,
    device: DeviceOption = None,
    track: TrackOption = None,
) -> None:
    """Pretrain small multilingual encoders on aligned text.

    Trains a tokenizer, computes initial token vectors and trains the encoders of a pretraining file.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.pretrain import expand, load
    from adaptstilts.run import run_plan
    from adaptstilts.runtime.loggers import select

    loggers = select(track or ())
    workspace = places.open()
    plan = expand(load(config, overrides or ()), workspace, only or ())
    with Progress() as progress:
        run_plan(plan, workspace, progress, checkpoint_every, device, loggers)
    for line in _result_lines(plan, workspace.store):
        typer.echo(line)
    if export is not None:
        from adaptstilts.pretrain.export import export as write_encoders

        for path in write_encoders(plan, workspace.store, export):
            typer.echo(f"written: {path}")


def _result_lines(plan: PretrainPlan, store: Store) -> Iterator[str]:
    """Yield how much text was used and removed, and the held-out scores of every encoder."""
    from adaptstilts.io.wording import counted, short_count
    from adaptstilts.store.entries import CORPUS_RESULT, PRETRAIN_RESULT

    corpus = CORPUS_RESULT.read(store.entry(plan.corpus.key))
    sentences = counted(sum(corpus["sentences"].values()), "sentence")
    languages = counted(len(corpus["languages"]), "language")
    absent = counted(len(corpus["not_looked_at"]), "evaluation set")
    yield (
        f"{sentences} in {languages}; {corpus['removed']['total']:,} removed because an evaluation set has them;"
        f" {absent} not in the data"
    )
    for name, phase in plan.encoders.items():
        result = PRETRAIN_RESULT.read(store.entry(phase.key))
        line = f"{name}: {short_count(result['parameters'])} parameters"
        held_out = result["held_out"]
        if held_out:
            line += f", held-out retrieval {100 * max(held_out['mean']):.1f} at layer {held_out['layer']}"
        yield f"{line}, {phase.key[:12]}"
