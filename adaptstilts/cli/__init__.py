"""The command line. Heavy imports happen inside the verbs that need them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import NoReturn

import typer

from adaptstilts import errors
from adaptstilts.cli import streams
from adaptstilts.cli.app import app

__all__ = ["app", "main"]

_ENVIRONMENT = (  # errors of the file system that are not mistakes of this package
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ELOOP),
)
INTERRUPTED = "interrupted; the same command continues"


def main() -> NoReturn:
    """Run the command line and exit; an error becomes one line and an exit code."""
    arguments = sys.argv[1:] or ["--help"]
    debug = "--debug" in arguments
    if "--offline" in arguments:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before any library reads it
    try:
        streams.prepare()
        code = _run(arguments)
        streams.finish()
    except (KeyboardInterrupt, typer.Abort):
        _fail(INTERRUPTED, errors.Interrupted.exit_code, debug)
    except errors.AdaptstiltsError as error:
        _fail(str(error), error.exit_code, debug)
    except MemoryError:
        message = "out of memory; lower train.micro_tokens or train.batch_size"
        _fail(message, errors.ResourceError.exit_code, debug)
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            _fail(_internal(error), errors.AdaptstiltsError.exit_code, debug)
        _fail(f"{error.filename or 'a file'}: {error.strerror}", errors.ResourceError.exit_code, debug)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "adaptstilts":
            _fail(_internal(error), errors.AdaptstiltsError.exit_code, debug)
        _fail(_unimportable(error), errors.ResourceError.exit_code, debug)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of typer
            _fail(f"{error.format_message()} See --help.", errors.ConfigError.exit_code, debug)
        _fail(_internal(error), errors.AdaptstiltsError.exit_code, debug)
    if code == errors.Interrupted.exit_code:  # typer turns Ctrl-C into a return value
        _fail(INTERRUPTED, code, debug)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a verb and return its exit code."""
    try:
        code = app(args=arguments, prog_name="adaptstilts", standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    return code if isinstance(code, int) else 0


def _unimportable(error: ImportError) -> str:
    """Return one line about a package that is missing or broken, with what installs it."""
    import importlib.metadata
    import re

    package = (error.name or "").partition(".")[0]
    wanted = "adaptstilts again"
    requirements: list[str] = []
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # a checkout that is not installed
        requirements = importlib.metadata.requires("adaptstilts") or []
    for requirement in requirements:
        extra = re.search(r"extra == ['\"](?!test|dev)(\w+)", requirement)
        if extra and re.match(r"[\w.-]+", requirement)[0].replace("-", "_") == package:  # type: ignore[index]
            wanted = f"adaptstilts[{extra[1]}]"
    reason = " ".join(str(error).split())
    return f"{package or 'a package'}: cannot be imported ({reason}); install {wanted}"


def _internal(error: Exception) -> str:
    """Return one line about an error that nobody expected, with the last place outside libraries where it was."""
    import traceback

    lines = str(error).splitlines() or [""]
    frames = traceback.extract_tb(error.__traceback__)
    near = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f" ({os.path.basename(near[-1].filename)}:{near[-1].lineno})" if near else ""
    return f"internal error: {type(error).__name__}: {lines[0]}{place}; run again with --debug for the traceback"


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    if debug and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(errors.ResourceError):  # one error is enough
        streams.finish()
    for line in message.splitlines() or [""]:
        typer.echo(f"error: {line}", err=True)
    sys.exit(code)
