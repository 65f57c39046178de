"""Stopping a run by SIGINT or SIGTERM: the first signal asks for it, the second one ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from adaptstilts.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_END = b"\0"  # no signal has this number


class StopRequest:
    """Whether a run was asked to stop; calling it returns the answer."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_interruptible = False

    def __call__(self) -> bool:
        """Return whether a signal came."""
        return self._event.is_set()

    def set(self) -> None:
        """Ask for a stop."""
        self._event.set()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal end the block at once, because nothing in it is worth saving.

        Raises:
            Interrupted: a signal came within the block or before it.
        """
        try:
            self._is_interruptible = True
            if self():
                raise KeyboardInterrupt
            yield
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None
        finally:
            self._is_interruptible = False

    def handle(self, number: int, frame: Any) -> None:
        """Handle a signal, in the main thread and between two operations of Python."""
        self.set()
        if self._is_interruptible:
            raise KeyboardInterrupt


@contextlib.contextmanager
def stop_signals(notify: Callable[[bool], None]) -> Iterator[StopRequest]:
    """Let SIGINT and SIGTERM ask for a stop within the block.

    Python handles a signal only between two of its operations, and one operation of torch can take seconds. So a thread
    reads the numbers of signals from a pipe, calls ``notify``, and ends the process at the second signal.

    Args:
        notify: called at once at every signal; with True if the process is about to end.

    Yields:
        The request, which only a signal sets. Outside of the main thread, nothing sets it.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader, request, notify), daemon=True)
    watcher.start()
    earlier_pipe = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, request.handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(earlier_pipe)
        os.write(writer, _END)
        watcher.join()
        os.close(reader)
        os.close(writer)


def _watch(reader: int, request: StopRequest, notify: Callable[[bool], None]) -> None:
    """Wait for signals.

    Args:
        reader: the end of a pipe that gives the number of every signal as one byte.
        request: set by the first signal.
        notify: as of :func:`stop_signals`.
    """
    count = 0
    while (byte := os.read(reader, 1)) != _END:
        if byte[0] not in SIGNALS:
            continue
        count += 1
        request.set()
        notify(count > 1)
        if count > 1:
            os._exit(Interrupted.exit_code)
