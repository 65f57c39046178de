"""Verbs that tell what there is: models, tasks, methods, a store, the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptstilts import errors
from adaptstilts.cli.app import DEFAULT_STORE, Debug, Offline, RootOption, StoreOption, app, open_workspace


@app.command()
def models(debug: Debug = False) -> None:
    """List the built-in encoders."""
    from adaptstilts.cli.progress import model_lines

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
    from adaptstilts.cli.progress import holding_lines, task_lines

    for line in holding_lines(open_workspace(store, data_root, offline, create=False)) if rows else task_lines():
        typer.echo(line)


@app.command()
def methods(debug: Debug = False) -> None:
    """List the methods with their settings."""
    from adaptstilts.cli.progress import method_lines

    for line in method_lines():
        typer.echo(line)


@app.command()
def verify(store: StoreOption = DEFAULT_STORE, debug: Debug = False) -> None:
    """Check every entry of a store against its sha256 sums; exit code 4 when one is damaged."""
    from adaptstilts.store.store import Store

    found = list(Store.open_existing(store).verify())
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

    from adaptstilts.store.store import Store

    for path in Store.open_existing(store).garbage():
        typer.echo(f"{'removed' if yes else 'would remove'} {path}")
        if yes:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@app.command()
def doctor(store: StoreOption = DEFAULT_STORE, debug: Debug = False) -> None:
    """Show what this installation has: versions, device, precision, search backend, disk."""
    from adaptstilts.cli.progress import doctor_lines

    for line in doctor_lines(store):
        typer.echo(line)
