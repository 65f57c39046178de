"""The application object, the options that verbs share, and the way from a command line to a plan."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from adaptstilts.plan.expand import Plan
    from adaptstilts.workspace import Workspace

app = typer.Typer(
    name="adaptstilts",
    help="Intermediate-task training with adapters: train, transfer zero-shot, swap, retrieve, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def check_backend(name: str) -> str:
    """Return the name of a search backend.

    Raises:
        typer.BadParameter: no backend has it.
    """
    from adaptstilts import search

    if reason := search.why_not_known(name):
        raise typer.BadParameter(reason)
    return name


Config = Annotated[Path, typer.Argument(help="Study file (YAML).", show_default=False)]
Overrides = Annotated[list[str] | None, typer.Argument(help="Overrides: key.path=value.", show_default=False)]
StoreOption = Annotated[Path, typer.Option("--store", envvar="ADAPTSTILTS_STORE", help="Folder of results.")]
RootOption = Annotated[
    Path | None,
    typer.Option("--data-root", envvar="ADAPTSTILTS_DATA_ROOT", help="Local folder laid out like the hub."),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        callback=check_backend,
        help="Search backend: auto (the fastest), numpy, faiss, faiss-float16, one-pass, or that of a plug-in."
        " It changes no result.",
    ),
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option("--track", help="Logger that receives training curves too; may be repeated. log.jsonl is always on."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no network connection.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
DEFAULT_STORE = Path("store")


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Within the block SIGTERM stops like Ctrl-C, so that what is held is let go."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def open_workspace(store: Path, data_root: Path | None, offline: bool, create: bool = True) -> Workspace:
    """Return the workspace of a command; with ``create`` off a store that does not exist is not created."""
    from adaptstilts.workspace import Workspace

    return Workspace(store, data_root, offline, create)


def open_existing(store: Path, data_root: Path | None, offline: bool) -> Workspace:
    """Return the workspace of a command that reads a store, which must exist."""
    from adaptstilts.store.store import Store
    from adaptstilts.workspace import Workspace

    return Workspace(Store.open_existing(store), data_root, offline)


def open_plan(
    config: Path,
    overrides: list[str] | None,
    store: Path,
    data_root: Path | None,
    offline: bool,
    mode: Literal["create", "existing", "preview", "outline"] = "create",
) -> tuple[Workspace, Plan]:
    """Return the workspace of a command and the plan of its study.

    Args:
        config: the study file.
        overrides: ``key.path=value``.
        store: folder of the store.
        data_root: local folder with the data; None for the hub.
        offline: open no network connection.
        mode: ``create`` the store if it does not exist, require an ``existing`` one, write nothing unless it exists
            (``preview``), or do without data and weights (``outline``).
    """
    from adaptstilts import study as configs
    from adaptstilts.plan.expand import expand
    from adaptstilts.plan.outline import Outline

    study = configs.load(config, overrides or ())
    workspace: Workspace
    if mode == "outline":
        workspace = Outline(store)
    elif mode == "existing":
        workspace = open_existing(store, data_root, offline)
    else:
        workspace = open_workspace(store, data_root, offline, create=mode == "create")
    return workspace, expand(study, workspace)


def print_results(found: Any, workspace: Workspace) -> None:
    """Every table of a plan, as Markdown."""
    from adaptstilts.reports import records, tables

    typer.echo(tables.render(records.records(found, workspace.store), "md", found.study.name), nl=False)


def _print_version(wanted: bool) -> None:
    """Print the version and stop, if ``--version`` was given."""
    from adaptstilts import __version__

    if wanted:
        typer.echo(f"adaptstilts {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a verb."""
