"""Independent pieces of work, done here one after the other or by the workers of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from adaptstilts.errors import ResourceError

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def each(work: Callable[[Piece], Done], pieces: Sequence[Piece], ray: bool = False) -> Iterator[Done]:
    """The results, as they come.

    Args:
        work: a function of a module; what it leaves on disk is its business.
        pieces: of work, as picklable values.
        ray: let the workers of the Ray cluster at ``RAY_ADDRESS`` do it, or of one started here. They must see the
            same files. Each works with as many threads as this process, so that results are the same.

    Raises:
        ResourceError: Ray was asked for and is not installed, or lost its workers.
    """
    if not ray:
        yield from map(work, pieces)
        return
    try:
        import ray as cluster
    except ImportError:
        raise ResourceError("ray is not installed; install the extra ray, or leave --ray out") from None
    yield from _remote(cluster, work, pieces)


def _remote(cluster: Any, work: Callable[[Piece], Done], pieces: Sequence[Piece]) -> Iterator[Done]:
    threads = torch.get_num_threads()
    if not cluster.is_initialized():
        cluster.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    there = int(cluster.cluster_resources().get("CPU", 1))
    task = cluster.remote(num_cpus=min(threads, there), max_retries=3)(_threaded)
    if cluster.cluster_resources().get("GPU", 0):
        task = task.options(num_gpus=1)
    waiting = list(reversed(pieces))
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < 2 * there:
                running.append(task.remote(work, waiting.pop(), threads, os.getcwd()))
            finished, running = cluster.wait(running, num_returns=1)
            yield cluster.get(finished[0])
    except cluster.exceptions.RayTaskError as error:
        raise error.cause from None
    except cluster.exceptions.RayError as error:
        raise ResourceError(f"ray: {str(error).strip().splitlines()[0]}; the same command continues") from None


def _threaded(work: Callable[[Any], Any], piece: Any, threads: int, folder: str) -> Any:
    os.chdir(folder)  # paths may be relative to where the command was given
    torch.set_num_threads(threads)
    return work(piece)
