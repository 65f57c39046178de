"""The verb that scores retrieval tasks with any model and any adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptstilts.cli.options import BackendOption, DeviceOption, WorkspaceOptions


def retrieve(
    places: WorkspaceOptions,
    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder, or a hub id.")],
    task: Annotated[list[str], typer.Option(help="Retrieval tasks, with commas between them; may be repeated.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="Folder of an entry in any store, or the beginning of a key; may be repeated."),
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Hidden state to report.", min=0, show_default="two thirds of the depth")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="More hidden states to score, from the same pass: all, or 4,6,8.", show_default="none"),
    ] = None,
    languages: Annotated[str, typer.Option(help="all, xtreme, xtreme-r, or codes such as de,fr.")] = "all",
    pooling: Annotated[Literal["mean", "max", "idf", "cls"], typer.Option(help="mean, max, idf or cls.")] = "mean",
    centering: Annotated[bool, typer.Option("--centering", help="Subtract the mean vector of each side.")] = False,
    margin: Annotated[
        Literal["ratio", "distance", "absolute"],
        typer.Option(help="Score of mining and xSIM: ratio, distance or absolute."),
    ] = "ratio",
    k: Annotated[int, typer.Option("--k", help="Neighbours of a sentence that the margin is over.", min=1)] = 4,
    retrieval: Annotated[
        Literal["max", "intersect", "forward", "backward"],
        typer.Option(help="Whose choices mining takes: max, intersect, forward or backward."),
    ] = "max",
    precision: Annotated[Literal["auto", "bf16", "fp32"], typer.Option(help="auto, bf16 or fp32.")] = "auto",
    max_length: Annotated[
        int | None,
        typer.Option(help="Maximum tokens of a sentence.", min=8, show_default="256, or what the model takes"),
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Padded tokens of a batch.", min=64, show_default="the best on the device")
    ] = None,
    backend: BackendOption = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file to write, with all scores.")] = None,
    device: DeviceOption = None,
) -> None:
    """Score retrieval tasks with a model and adapters on it.

    Every layer can be scored. Nothing is trained, and nothing is computed twice.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.io.wording import counted
    from adaptstilts.reports import retrieval_sweep
    from adaptstilts.study import Retrieve

    place = out and resolve_output(out)
    settings = Retrieve(
        layer=layer,
        layers=_parse_layers(layers),
        precision=precision,
        pooling=pooling,
        centering=centering,
        margin=margin,
        k=k,
        retrieval=retrieval,
        batch_tokens=batch_tokens,
        backend=backend,
    )
    if max_length is not None:
        settings = settings.model_copy(update={"max_length": max_length})
    names = [name.strip() for option in task for name in option.split(",") if name.strip()]
    workspace = places.open()
    with Progress() as progress:
        sweep = retrieval_sweep.retrieve(
            model,
            names,
            workspace,
            adapters=adapter or (),
            languages=languages,
            settings=settings,
            listener=progress,
            device=device,
        )
    typer.echo(f"{counted(sweep.computed, 'retrieve phase')} done now, {sweep.reused} before\n")
    typer.echo(sweep.render(), nl=False)
    if place is not None:
        with replacing(place) as file:
            file.write(json.dumps(sweep.json(), indent=1, allow_nan=False) + "\n")


def _parse_layers(text: str | None) -> Literal["all"] | tuple[int, ...] | None:
    """Parse the value of ``--layers``.

    Raises:
        ConfigError: it is neither ``all`` nor numbers.
    """
    from adaptstilts.errors import ConfigError

    if text is None:
        return None
    if text == "all":
        return "all"
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in parts):
        raise ConfigError(f"--layers {text!r}: expected all, or numbers of hidden states such as 4,6,8")
    return tuple(map(int, parts))
