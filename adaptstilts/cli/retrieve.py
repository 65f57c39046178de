"""The verb that scores retrieval tasks with any model and any adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adaptstilts.cli.options import DeviceOption, SearchOptions, WorkspaceOptions

if TYPE_CHECKING:
    from adaptstilts.study import Retrieve


def retrieve(
    places: WorkspaceOptions,
    search: SearchOptions,
    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder, or a hub id.")],
    task: Annotated[list[str], typer.Option(help="Retrieval tasks, with commas between them; may be repeated.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="Folder of an entry in any store, or the beginning of a key; may be repeated."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="More hidden states to score, from the same pass: all, or 4,6,8.", show_default="none"),
    ] = None,
    languages: Annotated[str, typer.Option(help="all, xtreme, xtreme-r, or codes such as de,fr.")] = "all",
    centering: Annotated[bool, typer.Option("--centering", help="Subtract the mean vector of each side.")] = False,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Padded tokens per batch.", min=64, show_default="the best on the device")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, with all scores.")] = None,
    device: DeviceOption = None,
) -> None:
    """Score retrieval tasks with a model and its adapters.

    Every layer can be scored. Nothing is trained, and nothing is computed twice.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.files import replacing, resolve_output
    from adaptstilts.io.wording import counted
    from adaptstilts.reports import retrieval_sweep

    place = out and resolve_output(out)
    names = [name.strip() for name in ",".join(task).split(",") if name.strip()]
    settings = _settings(search, layers, centering, batch_tokens)
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


def _settings(search: SearchOptions, layers: str | None, centering: bool, batch_tokens: int | None) -> Retrieve:
    """Return the settings that the options describe; see :func:`retrieve`."""
    from adaptstilts.study import Retrieve

    settings = Retrieve(
        layer=search.layer,
        layers=_parse_layers(layers),
        precision=search.precision,
        pooling=search.pooling,
        centering=centering,
        margin=search.margin,
        k=search.k,
        retrieval=search.retrieval,
        batch_tokens=batch_tokens,
        backend=search.backend,
        prefix=search.prefix or "",
        foreign_prefix=search.foreign_prefix,
        english_prefix=search.english_prefix,
    )
    if search.max_length is None:
        return settings
    return settings.model_copy(update={"max_length": search.max_length})


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
