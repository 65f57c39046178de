"""The command line. Heavy imports happen inside the verbs that need them."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

INTERRUPTED = "interrupted; the same command continues"
try:
    import typer

    from adaptstilts import errors
    from adaptstilts.cli import streams
    from adaptstilts.cli.app import app
    from adaptstilts.io.wording import printable
except KeyboardInterrupt:
    print(INTERRUPTED, file=sys.stderr)
    sys.exit(130)

__all__ = ["app", "main"]

_ENVIRONMENT = (  # errors of the file system that are not mistakes of this package
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ELOOP),
)
OUT_OF_MEMORY = "out of memory; lower train.micro_tokens or train.batch_size"


def main() -> NoReturn:
    """Run the command line and exit; an error becomes one line and an exit code."""
    arguments = sys.argv[1:] or ["--help"]
    debug = "--debug" in arguments
    if "--offline" in arguments:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before any library reads it
    try:
        streams.prepare()
        with _sigterm_as_interrupt():
            code = _run(arguments)
        streams.finish()
    except (KeyboardInterrupt, typer.Abort):
        _leave(INTERRUPTED, debug)
    except errors.Interrupted as error:
        _leave(_with_advice(str(error)), debug)
    except errors.AdaptstiltsError as error:
        _fail(str(error), error.exit_code, debug)
    except MemoryError:
        _fail(OUT_OF_MEMORY, errors.ResourceError.exit_code, debug)
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
        if errors.is_out_of_memory(error):
            _fail(OUT_OF_MEMORY, errors.ResourceError.exit_code, debug)
        _fail(_internal(error), errors.AdaptstiltsError.exit_code, debug)
    if code == errors.Interrupted.exit_code:  # typer turns Ctrl-C into a return value
        _leave(INTERRUPTED, debug)
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


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C within the block, so that whatever a verb opened is closed."""

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


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    """Print an error and exit."""
    _finish_output(debug)
    for line in message.splitlines() or [""]:
        typer.echo(f"error: {printable(line)}", err=True)
    sys.exit(code)


def _leave(message: str, debug: bool) -> NoReturn:
    """Print that a verb was interrupted, and exit."""
    _finish_output(debug)
    typer.echo(message, err=True)
    _end_process(errors.Interrupted.exit_code)


def _with_advice(message: str) -> str:
    """Return a message about an interruption, with advice on how to continue unless it has some."""
    return message if "the same command" in message else f"{message}; {INTERRUPTED.partition('; ')[2]}"


def _end_process(code: int) -> NoReturn:
    """End the process without the usual cleanup of torch's memory, which takes seconds."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    atexit._run_exitfuncs()
    os._exit(code)


def _finish_output(debug: bool) -> None:
    """Print the traceback if asked for, and flush the output."""
    if debug and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(errors.ResourceError):  # one error is enough
        streams.finish()
