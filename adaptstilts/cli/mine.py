"""The verb that mines translations from people's own text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adaptstilts.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    OfflineOption,
    SearchOptions,
    StoreOption,
    open_workspace,
)

if TYPE_CHECKING:
    from adaptstilts.retrieval.mine import MiningResult


@dataclass(frozen=True, kw_only=True)
class MiningOptions:
    """What encodes the sentences, and which pairs are wanted."""

    model: Annotated[str, typer.Option(help="Base model: builtin:NAME, a folder, or a hub id.")] = "builtin:small"
    adapter: Annotated[
        str | None,
        typer.Option(help="Folder of an entry in any store, or the beginning of a key.", show_default="none"),
    ] = None
    threshold: Annotated[float | None, typer.Option(help="Minimum score of a pair.", show_default="all above zero")] = (
        None
    )
    index: Annotated[
        str | None,
        typer.Option(help="Approximate FAISS index: IVF1024,PQ64 or HNSW32, for example.", show_default="exact search"),
    ] = None
    shard: Annotated[int, typer.Option(help="Sentences to encode and search at a time.", min=1)] = 2**17
    duplicates: Annotated[
        Literal["text", "unicode", "tokens"],
        typer.Option(
            help="Lines that count once: equal ones (text), also in composed and decomposed Unicode (unicode), or with"
            " equal tokens (tokens)."
        ),
    ] = "unicode"


def mine(
    mining: MiningOptions,
    search: SearchOptions,
    foreign: Annotated[Path, typer.Argument(help="UTF-8 text, one sentence per line.", show_default=False)],
    english: Annotated[Path, typer.Argument(help="UTF-8 text in English, one sentence per line.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write (TSV): score, line numbers and sentences of every pair.")
    ],
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

    settings = MiningSettings(**asdict(mining), **{**asdict(search), "prefix": search.prefix or ""})
    workspace = open_workspace(store, None, offline)
    with Progress() as progress:
        result = mine_files(
            foreign, english, out, settings, workspace, ray=ray, device=device, report=progress.progress
        )
    _print_file(foreign, result, 0, mining.duplicates)
    _print_file(english, result, 1, mining.duplicates)
    if result.recall is not None:
        typer.echo(f"index {mining.index}: finds {100 * result.recall:.1f} % of the true neighbours (on a sample)")
    run = f"layer {result.layer}, {result.precision}, {result.seconds:.1f} s"
    typer.echo(f"{out}: {result.pairs} of {counted(result.candidates, 'pair')}, {run}")


def _print_file(path: Path, result: MiningResult, side: int, duplicates: str) -> None:
    """Print what became of the lines of one file.

    Args:
        path: the file.
        result: of mining.
        side: 0 for the foreign file, 1 for the English one.
        duplicates: which lines count once.
    """
    from adaptstilts.io.wording import counted

    parts = [
        counted(result.lines[side], "line"),
        f"{result.empty[side]} empty",
        f"{result.repeated[side]} repeated",
        f"{result.unknown[side]} without a word that the model knows",
        f"{result.truncated[side]} cut to {result.max_length} tokens",
    ]
    if same := result.same_tokens[side]:
        fate = "left out" if duplicates == "tokens" else "--duplicates tokens leaves them out"
        parts.append(f"{same} with the tokens of an earlier one ({fate})")
    typer.echo(f"{path}: {', '.join(parts)}")
