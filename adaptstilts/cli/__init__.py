"""The command line: verbs to functions. Heavy imports happen inside the verbs that need them."""

from __future__ import annotations

import os
import sys

import typer

from adaptstilts import errors
from adaptstilts.cli.app import app

# in the order of the help:
# isort: off
from adaptstilts.cli import study, retrieve, mine, adapters, pretrain, info
# isort: on

INTERRUPTED = "interrupted; the same command continues"

__all__ = ["adapters", "app", "info", "main", "mine", "pretrain", "retrieve", "study"]


def main() -> None:
    """Entry point: errors become one line and an exit code."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if "--offline" in arguments:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        code = app(args=arguments, prog_name="adaptstilts", standalone_mode=False)
    except errors.AdaptstiltsError as error:
        _fail(str(error), error.exit_code, debug)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail(INTERRUPTED, 130, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _fail("out of memory; lower train.micro_tokens or train.batch_size", 5, debug)
    except Exception as error:
        if hasattr(error, "format_message"):
            _fail(f"{error.format_message()} See --help.", 2, debug)
        told = str(error).splitlines()
        line = f"{type(error).__name__}: {told[0] if told else ''}"
        _fail(f"internal error: {line}; run again with --debug for the traceback", 1, debug)
    else:
        if code == 130:  # typer keeps Ctrl-C to itself
            _fail(INTERRUPTED, 130, debug)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    for line in message.splitlines() or [""]:
        typer.echo(f"error: {line}", err=True)
    sys.exit(code)
