"""Verbs that read and write the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptstilts.cli.options import (
    DEFAULT_STORE,
    MethodOption,
    OfflineOption,
    SeedOption,
    StoreOption,
    StudyOptions,
    TrainedOnOption,
    open_workspace,
)


def import_adapter(
    place: Annotated[
        str, typer.Argument(help="Folder, or owner/name[:folder][@revision] on the hub.", show_default=False)
    ],
    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder or a hub id.", show_default=False)],
    task: Annotated[str | None, typer.Option(help="Name of the adapter in tables. Default: its own name.")] = None,
    store: StoreOption = DEFAULT_STORE,
    offline: OfflineOption = False,
) -> None:
    """Import an adapter in AdapterHub's or peft's format.

    It is checked against the base model and copied into the store.
    """
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


def export_adapter(
    study: StudyOptions,
    out: Annotated[Path, typer.Option(help="New folder.", show_default=False)],
    form: Annotated[Literal["adapterhub", "peft", "own"], typer.Option("--format", help="Format of the files.")],
    task: Annotated[str | None, typer.Option(help="The adapter of this target task.")] = None,
    intermediate: Annotated[str | None, typer.Option(help="The adapter of this intermediate instead.")] = None,
    method: MethodOption = None,
    trained_on: TrainedOnOption = None,
    seed: SeedOption = None,
) -> None:
    """Export an adapter for the adapters library or peft.

    The study must be finished. A card beside the adapter says what it is and how to load it.
    """
    from adaptstilts import errors
    from adaptstilts.interop import adapters

    if (task is None) == (intermediate is None):
        raise errors.ConfigError("give --task or --intermediate")
    workspace, plan = study.plan("existing")
    wanted = adapters.AdapterFilter(task, intermediate, method, trained_on, seed)
    paths = adapters.export_adapter(plan, workspace, wanted, form, out)
    typer.echo(f"{out}: {', '.join(path.relative_to(out).as_posix() for path in paths)}")


def push_adapter(
    folder: Annotated[Path, typer.Argument(help="What export-adapter wrote.", show_default=False)],
    repo: Annotated[str, typer.Argument(help="owner/name on the hub; created if missing.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="Create it as a private repository.")] = False,
    offline: OfflineOption = False,
) -> None:
    """Upload an exported adapter to the hub.

    The token is read from HF_TOKEN or from a login.
    """
    from adaptstilts.interop import adapters

    typer.echo(f"pushed: {adapters.push(folder, repo, private, offline)}")
