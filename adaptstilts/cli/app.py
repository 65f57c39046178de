"""The application: its verbs in the order of the help. A new verb is one function and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from adaptstilts.cli import adapters, guide, info, init, mine, pretrain, rehearse, report, retrieve, study, xtreme
from adaptstilts.cli.options import with_shared_options

VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "First steps": (init.init, guide.guide),
    "Studies": (
        study.run,
        study.plan,
        rehearse.rehearse,
        study.status,
        study.results,
        report.report,
        study.swap,
        study.choose,
    ),
    "Sentences": (retrieve.retrieve, mine.mine),
    "Adapters of other programs": (adapters.import_adapter, adapters.export_adapter, adapters.push_adapter),
    "XTREME": (xtreme.export_predictions, xtreme.score),
    "Encoders": (pretrain.pretrain, info.models),
    "What is available": (info.tasks, info.methods),
    "Store and installation": (info.verify, info.gc, info.doctor),
}


class _Group(TyperGroup):
    """Lists the verbs under the headings of :data:`VERBS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section per heading."""
        width = max(map(len, self.commands))
        limit = formatter.width - 6 - width
        for heading, verbs in VERBS.items():
            names = [command_name(verb) for verb in verbs]
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)


def command_name(verb: Callable[..., None]) -> str:
    """Return what the command line calls a verb."""
    return verb.__name__.replace("_", "-")


def _print_version(wanted: bool) -> None:
    if wanted:
        from adaptstilts import __version__

        typer.echo(f"adaptstilts {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="adaptstilts",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Train adapters on intermediate tasks, transfer them to other languages, swap them, and compare.

    `adaptstilts VERB --help` explains a verb.
    """


for _verbs in VERBS.values():
    for _verb in _verbs:
        app.command(command_name(_verb))(with_shared_options(_verb))
