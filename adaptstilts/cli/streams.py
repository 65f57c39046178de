"""Standard output and error of the process: lost output is an error and never looks like success."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from adaptstilts.errors import ResourceError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OUTPUT, ERRORS = 1, 2  # file descriptors


class _Output(io.FileIO):
    """The standard output; it raises errors of this package, because an OSError could come from any file."""

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes.

        Raises:
            ResourceError: they cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                reason = "its reader ended before everything was written; let it read to the end, or write to a file"
            else:
                reason = f"cannot be written: {error.strerror}; write it to another place"
            raise ResourceError(f"standard output: {reason}") from None


class _Errors(io.FileIO):
    """The standard error; text that cannot be written is dropped, because there is no other place to report it."""

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes, or drop them."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare() -> None:
    """Make standard output and error those of this module.

    A standard stream that is closed gets its number back, so that no file that is opened later takes its place.

    Raises:
        ResourceError: the standard output is closed.
    """
    for number in range(3):
        _open_if_closed(number)
    if sys.stderr is None:
        sys.stderr = open(ERRORS, "w", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        raise ResourceError("standard output: is closed; send it to a file, or to /dev/null if nobody reads it")
    sys.stderr = _replaced(sys.stderr, ERRORS, _Errors)
    sys.stdout = _replaced(sys.stdout, OUTPUT, _Output)


def finish() -> None:
    """Write out what is buffered.

    Raises:
        ResourceError: it cannot be written, and is dropped.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except ResourceError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), OUTPUT)  # where the buffer goes when the process ends
        raise


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free


def _replaced(stream: TextIO, number: int, cls: type[io.FileIO]) -> TextIO:
    """Return a stream over a file of another class; the stream itself if it is not a stream of the process.

    Args:
        stream: the standard output or error.
        number: its file descriptor.
        cls: class of the file.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer if Python runs unbuffered
    if type(raw) is not io.FileIO or raw.fileno() != number:
        return stream
    file = cls(number, "w", closefd=False)
    buffer = file if raw is stream.buffer else io.BufferedWriter(file)
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
