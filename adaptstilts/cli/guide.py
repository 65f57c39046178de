"""The verb that prints the manual."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer


def guide(
    topic: Annotated[
        str | None, typer.Argument(help="Chapter to print. Without it, all chapters are listed.", show_default=False)
    ] = None,
) -> None:
    """Print a chapter of the manual, or list the chapters."""
    from adaptstilts import guide as manual

    if topic is None:
        width = max(map(len, manual.topics()))
        for name, title in manual.topics().items():
            typer.echo(f"{name:{width}}  {title}")
        typer.echo("\n`adaptstilts guide CHAPTER` prints a chapter.")
        return
    text = _without_comments(manual.chapter(topic))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console(width=min(Console().width, 100))
        console.print(Markdown(text))
    else:
        typer.echo(text, nl=False)


def _without_comments(text: str) -> str:
    """Return Markdown without the comments that tests read."""
    return re.sub(r"^<!--.*?-->\n", "", text, flags=re.MULTILINE | re.DOTALL)
