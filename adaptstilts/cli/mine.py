"""The verb that mines translations from people's own text."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from adaptstilts.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    OfflineOption,
    SearchOptions,
    StoreOption,
    open_workspace,
)


def mine(
    search: SearchOptions,
    foreign: Annotated[Path, typer.Argument(help="UTF-8 text, one sentence per line.", show_default=False)],
    english: Annotated[Path, typer.Argument(help="UTF-8 text in English, one sentence per line.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write (TSV): score, line numbers and sentences of every pair.")
    ],
    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder, or a hub id.")] = "builtin:small",
    adapter: Annotated[
        str | None,
        typer.Option(help="Folder of an entry in any store, or the beginning of a key.", show_default="none"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Minimum score of a pair.", show_default="all above zero")
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(help="Approximate FAISS index: IVF1024,PQ64 or HNSW32, for example.", show_default="exact search"),
    ] = None,
    shard: Annotated[int, typer.Option(help="Sentences to encode and search at a time.", min=1)] = 2**17,
    ray: Annotated[bool, typer.Option("--ray", help="Spread the work over a Ray cluster.")] = False,
    store: StoreOption = DEFAULT_STORE,
    offline: OfflineOption = False,
    device: DeviceOption = None,
) -> None:
    """Mine translations from two text files.

    If the command is interrupted, run it again to continue.
    """
    from adaptstilts.cli.progress import Progress
    from adaptstilts.io.wording import counted
    from adaptstilts.retrieval.mine import MiningSettings
    from adaptstilts.retrieval.mine import mine as mine_files

    settings = MiningSettings(
        model=model, adapter=adapter, threshold=threshold, index=index, shard=shard, **asdict(search)
    )
    workspace = open_workspace(store, None, offline)
    with _interrupted_by_sigterm(), Progress() as progress:
        result = mine_files(
            foreign, english, out, settings, workspace, ray=ray, device=device, report=progress.progress
        )
    for i, path in enumerate((foreign, english)):
        skipped = f"{result.empty[i]} empty, {result.repeated[i]} repeated"
        truncated = f"{result.truncated[i]} cut to {result.max_length} tokens"
        typer.echo(f"{path}: {counted(result.lines[i], 'line')}, {skipped}, {truncated}")
    if result.recall is not None:
        typer.echo(f"index {index}: finds {100 * result.recall:.1f} % of the true neighbours (on a sample)")
    run = f"layer {result.layer}, {result.precision}, {result.seconds:.1f} s"
    typer.echo(f"{out}: {result.pairs} of {counted(result.candidates, 'pair')}, {run}")


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C within the block, so that leases are released."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
