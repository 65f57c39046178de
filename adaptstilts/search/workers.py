"""Independent pieces of work, done in this process one after the other or by the workers of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from adaptstilts.errors import ResourceError

Work = TypeVar("Work")
Result = TypeVar("Result")


def map_pieces(work: Callable[[Work], Result], pieces: Sequence[Work], ray: bool = False) -> Iterator[Result]:
    """Apply a function to every piece and yield the results as they come.

    Args:
        work: a function of a module, which may write files.
        pieces: its arguments, as picklable values.
        ray: use the Ray cluster at ``RAY_ADDRESS``, or start one here. Its workers must see the same files. Each uses
            as many threads as this process, so that results are the same.

    Raises:
        ResourceError: Ray is not installed, or lost its workers.
    """
    if not ray:
        yield from map(work, pieces)
        return
    try:
        import ray as cluster
    except ImportError:
        raise ResourceError("ray is not installed; install the extra ray, or leave out --ray") from None
    yield from _map_remotely(cluster, work, pieces)


def _map_remotely(cluster: Any, work: Callable[[Work], Result], pieces: Sequence[Work]) -> Iterator[Result]:
    """Run the pieces on a cluster, twice as many submitted at a time as it has processors."""
    import torch

    threads = torch.get_num_threads()
    if not cluster.is_initialized():
        cluster.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    resources = cluster.cluster_resources()
    processors = int(resources.get("CPU", 1))
    task = cluster.remote(num_cpus=min(threads, processors), max_retries=3)(_with_threads)
    if resources.get("GPU", 0):
        task = task.options(num_gpus=1)
    waiting = list(reversed(pieces))
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < 2 * processors:
                running.append(task.remote(work, waiting.pop(), threads, os.getcwd()))
            finished, running = cluster.wait(running, num_returns=1)
            yield cluster.get(finished[0])
    except cluster.exceptions.RayTaskError as error:
        raise error.cause from None
    except cluster.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ResourceError(f"ray: {reason}; run the same command again to continue") from None


def _with_threads(work: Callable[[Any], Any], piece: Any, threads: int, folder: str) -> Any:
    """Do one piece in a worker as this process would: with as many threads, and in its current folder."""
    import torch

    os.chdir(folder)  # paths may be relative to it
    torch.set_num_threads(threads)
    return work(piece)
