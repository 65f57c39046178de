"""The cache folder of two files that are mined: vectors and neighbours. One process works in it at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from adaptstilts.io import hashed_arrays
from adaptstilts.io.files import disk_faults
from adaptstilts.retrieval.shards import ReportProgress
from adaptstilts.retrieval.vector_cache import POLL_SECONDS
from adaptstilts.store.store import Store


@contextlib.contextmanager
def locked_folder(store: Store, key: str, report: ReportProgress) -> Iterator[Path]:
    """Yield the folder of a key, locked against other processes while the block runs; wait for one that works in it.

    Args:
        store: has the folder.
        key: of everything that its files depend on.
        report: called with a remark if another process is waited for.
    """
    finished = store.vectors / key
    folder = finished.with_name(f"{key}.part")
    with _lease(store, f"vectors.{key}", report):
        with disk_faults(folder):
            if finished.is_dir() and not folder.exists():
                finished.rename(folder)
            folder.mkdir(parents=True, exist_ok=True)
            hashed_arrays.sweep(folder)
        yield folder
        with disk_faults(folder):
            os.utime(folder)
            folder.rename(finished)


@contextlib.contextmanager
def _lease(store: Store, key: str, report: ReportProgress) -> Iterator[None]:
    """Hold a lease within the block; arguments as of :func:`locked_folder`."""
    is_waiting = False
    while True:
        with store.lease(key) as is_ours:
            if is_ours:
                yield
                return
        if not is_waiting:
            report(f"{store.holder(key) or 'another process'} mines the same files, waiting", 0, 0)
            is_waiting = True
        time.sleep(POLL_SECONDS)


def remove_neighbours(folder: Path) -> None:
    """Remove the neighbours of vectors that are about to be encoded again."""
    with disk_faults(folder):
        for path in list(folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
