"""The verb that searches sentences with any model and any adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adaptstilts.cli.options import BackendOption, DeviceOption, WorkspaceOptions

if TYPE_CHECKING:
    from adaptstilts.study import Retrieve


def retrieve(
    places: WorkspaceOptions,
    model: Annotated[str, typer.Option(help="builtin:NAME, a folder, or a hub id.")],
    task: Annotated[list[str], typer.Option(help="Retrieval tasks, with commas between them; may be repeated.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="Folder of an entry of any store, or the beginning of a key; may be repeated."),
    ] = None,
    layer: Annotated[int | None, typer.Option(help="Hidden state to report; two thirds of the depth.", min=0)] = None,
    layers: Annotated[str | None, typer.Option(help="More of them from the same pass: all, or 4,6,8.")] = None,
    languages: Annotated[str, typer.Option(help="all, xtreme, xtreme-r, or codes: de,fr.")] = "all",
    pooling: Annotated[Literal["mean", "max", "idf", "cls"], typer.Option(help="mean, max, idf or cls.")] = "mean",
    centering: Annotated[bool, typer.Option("--centering", help="Subtract each side's mean vector.")] = False,
    margin: Annotated[
        Literal["ratio", "distance", "absolute"], typer.Option(help="Of mining and xSIM: ratio, distance or absolute.")
    ] = "ratio",
    k: Annotated[int, typer.Option("--k", help="Neighbours that the margin is over.", min=1)] = 4,
    retrieval: Annotated[
        Literal["max", "intersect", "forward", "backward"],
        typer.Option(help="Whose choices mining takes: max, intersect, forward or backward."),
    ] = "max",
    precision: Annotated[Literal["auto", "bf16", "fp32"], typer.Option(help="auto, bf16 or fp32.")] = "auto",
    max_length: Annotated[
        int | None, typer.Option(help="Tokens of a sentence; 256, or what the model has.", min=8)
    ] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Padded tokens of a batch.", min=64)] = None,
    backend: BackendOption = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file that gets every number.")] = None,
    device: DeviceOption = None,
) -> None:
    """Search translations with a model and adapters.

    Every layer can be searched. Nothing is trained, and nothing is computed twice.
    """
    from adaptstilts import run as runner
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.reports import retrieval_sweep
    from adaptstilts.study import Retrieve

    place = out and resolve_output(out)
    workspace = places.open()
    settings = Retrieve(
        layer=layer,
        layers=_layers(layers),
        precision=precision,
        pooling=pooling,
        centering=centering,
        margin=margin,
        k=k,
        retrieval=retrieval,
        batch_tokens=batch_tokens,
        backend=backend,
    )
    names = [name.strip() for given in task for name in given.split(",") if name.strip()]
    plan = retrieval_sweep.prepare(model, names, workspace, adapter or (), settings, languages, max_length)
    with Progress() as progress:
        outcome = runner.run_plan(plan, workspace, progress, device=device)
    found = retrieval_sweep.rows(plan, workspace.store)
    typer.echo(f"{len(outcome.done)} retrieve phases done now, {len(outcome.skipped)} before\n")
    typer.echo(retrieval_sweep.render(found), nl=False)
    if place is not None:
        told = {"model": model, "settings": _told(plan.study.retrieve), "results": [row.json() for row in found]}
        with replacing(place) as file:
            file.write(json.dumps(told, indent=1, allow_nan=False) + "\n")


def _layers(given: str | None) -> Literal["all"] | tuple[int, ...] | None:
    """The layers that an option names.

    Raises:
        ConfigError: something else than numbers.
    """
    from adaptstilts.errors import ConfigError

    if given is None or given == "all":
        return "all" if given else None
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in parts):
        raise ConfigError(f"--layers {given!r}: expected all, or numbers of hidden states such as 4,6,8")
    return tuple(map(int, parts))


def _told(settings: Retrieve) -> dict[str, object]:
    return settings.model_dump(mode="json")
