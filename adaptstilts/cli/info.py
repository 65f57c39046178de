"""Verbs that show what is available: models, tasks, methods, a store, the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptstilts import errors
from adaptstilts.cli.options import DEFAULT_STORE, OfflineOption, StoreOption, WorkspaceOptions, open_workspace


def models(
    architectures: Annotated[
        bool,
        typer.Option("--architectures", help="List the supported architectures instead, and what each of them can do."),
    ] = False,
) -> None:
    """List the built-in encoders with their sizes."""
    from adaptstilts.cli.columns import print_lines
    from adaptstilts.cli.listings import architecture_lines, model_lines

    print_lines(architecture_lines() if architectures else model_lines())


def tasks(
    places: WorkspaceOptions,
    rows: Annotated[
        bool,
        typer.Option("--rows", help="Count the rows of each task in the available data."),
    ] = False,
) -> None:
    """List the tasks with their kinds, roles and languages."""
    from adaptstilts.cli.columns import print_lines
    from adaptstilts.cli.listings import inventory_lines, task_lines

    if not rows:
        print_lines(task_lines())
        return
    for line in inventory_lines(places.open(create=False)):  # a table in Markdown, whose rows are not broken
        typer.echo(line)


def methods() -> None:
    """List the methods and compositions with their settings."""
    from adaptstilts.cli.columns import print_lines
    from adaptstilts.cli.listings import method_lines

    print_lines(method_lines())


def verify(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            help="Only these entries, by the beginnings of their keys, and everything that they were computed from.",
            show_default="all",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Check the entries of a store against their checksums.

    Damaged entries are set aside, and the exit code is 4.
    """
    from adaptstilts.io.wording import counted
    from adaptstilts.store.select import match
    from adaptstilts.store.store import Store

    opened = Store.open_existing(store)
    chosen = [match(key, opened) for key in keys] if keys else None
    checked = list(opened.verify(chosen))
    damaged = [(key, problem) for key, problem in checked if problem]
    for key, problem in damaged:
        typer.echo(f"{key[:12]} damaged: {problem}", err=True)
    typer.echo(f"{len(checked) - len(damaged)} of {counted(len(checked), 'entry', 'entries')} verified")
    if damaged:
        entries = counted(len(damaged), "damaged entry", "damaged entries")
        raise errors.ArtifactError(f"{store}: {entries} set aside; the next `adaptstilts run` computes them again")


def gc(
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it.")] = False,
) -> None:
    """List or remove what a store no longer needs.

    These are leftovers of killed runs, and caches that can be computed again.
    """
    import shutil

    from adaptstilts.store.store import Store

    for path in Store.open_existing(store).garbage():
        typer.echo(f"{'removed' if yes else 'would remove'} {path}")
        if yes and path.is_dir():
            shutil.rmtree(path)
        elif yes:
            path.unlink(missing_ok=True)


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            help="Check this model instead: builtin:NAME, a folder, or a hub id.",
            show_default="none",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    offline: OfflineOption = False,
) -> None:
    """Describe the installation, or check a model.

    Shows versions, device, search backend and disk space. With --model, shows the architecture, sizes, tokenizer and
    supported methods of a model. If it cannot be used, the reason is shown, and the exit code is 4.
    """
    from adaptstilts.cli.listings import doctor_lines
    from adaptstilts.cli.model_lines import model_lines
    from adaptstilts.store.store import Store

    place = Store(store).folder  # refuses a folder that is not a store
    if model is None:
        lines = doctor_lines(place)
    else:
        lines = model_lines(open_workspace(store, None, offline, create=False).locate(model))
    for line in lines:
        typer.echo(line)
