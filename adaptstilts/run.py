"""Executing a plan: what is done is skipped, what was begun continues, what failed does not stop the rest."""

from __future__ import annotations

import contextlib
import errno
import os
import pkgutil
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from adaptstilts.errors import AdaptstiltsError, ArtifactError, Interrupted, PhasesFailed, ResourceError
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase
from adaptstilts.runtime.loggers import Logger, select
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.runtime.context import Runtime

POLL = 1.0
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class Work(Protocol):
    """What can be executed: a study's plan, or a pretraining plan (which has no base model)."""

    @property
    def model(self) -> Model | None:
        """The base model."""

    def order(self) -> list[Phase]:
        """Every phase, parents before children."""


class Listener:
    """Told what happens while a plan runs. This one says nothing; the command line has one that prints."""

    def begin(self, phase: Phase, number: int, total: int) -> None:
        """A phase starts."""

    def progress(self, line: str, done: int, total: int) -> None:
        """A phase has done so much; ``total`` 0 is a remark."""

    def end(self, phase: Phase, seconds: float) -> None:
        """A phase was committed."""

    def failed(self, phase: Phase, error: Exception) -> None:
        """A phase failed, or was blocked by one that did."""


@dataclass
class Outcome:
    """What a run did: keys by what became of them."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, AdaptstiltsError] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)


def run_plan(
    plan: Work,
    workspace: Workspace,
    listener: Listener | None = None,
    checkpoint_every: int | None = None,
    device: str | None = None,
    loggers: Sequence[str | Logger] = (),
) -> Outcome:
    """Run every missing phase of a plan.

    Args:
        plan: what to run.
        workspace: where.
        listener: told what happens.
        checkpoint_every: steps between checkpoints; None for one a minute (pretraining: every two minutes).
        device: torch device; None for the GPU where there is one.
        loggers: what receives the curves of training phases beside ``log.jsonl``, by name or as instances.

    Raises:
        ConfigError: no logger has that name.
        PhasesFailed: some phases failed while others finished; independent ones were all tried.
        AdaptstiltsError: the first failure, when nothing finished.
        ArtifactError, ResourceError: at once; a damaged entry or a full disk is everybody's problem.
        Interrupted: by SIGINT or SIGTERM, after a checkpoint.
    """
    listener = listener or Listener()
    receivers = select(loggers)
    outcome = Outcome()
    order = plan.order()
    missing = [phase for phase in order if not workspace.store.has(phase.key)]
    outcome.skipped = [phase.key for phase in order if workspace.store.has(phase.key)]
    if not missing:
        return outcome
    if workspace.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    _check_space(plan, workspace, missing)
    with _signals() as stopping:
        executor = _Executor(plan, workspace, listener, outcome, stopping, checkpoint_every, device, receivers)
        for number, phase in enumerate(missing, 1):
            executor.one(phase, number, len(missing))
    if outcome.failed:
        first = next(iter(outcome.failed.values()))
        if not outcome.done:
            raise first
        raise PhasesFailed(
            f"{len(outcome.failed)} phases failed and {len(outcome.blocked)} were blocked by them,"
            f" {len(outcome.done)} finished; the first failure: {first}"
        )
    return outcome


def _check_space(plan: Work, workspace: Workspace, missing: list[Phase]) -> None:
    """Refuse before anything is spent when the disk cannot hold what training would store.

    A training phase keeps its weights, and while it runs up to three checkpoints of four times their size.
    """
    shape = plan.model.shape if plan.model else {}
    sizes = [phase.weight_bytes(shape) for phase in missing]
    needed = sum(sizes) + 12 * max(sizes, default=0)
    at = next(p for p in (workspace.store.folder, *workspace.store.folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(at).free
    if needed > free:
        raise ResourceError(
            f"{workspace.store.folder}: this run needs about {needed // 2**20} MiB and {free // 2**20} MiB are free"
        )


class _Executor:
    def __init__(
        self,
        plan: Work,
        workspace: Workspace,
        listener: Listener,
        outcome: Outcome,
        stopping: Callable[[], bool],
        checkpoint_every: int | None,
        device: str | None,
        loggers: Sequence[Logger],
    ) -> None:
        from adaptstilts.runtime.context import Runtime

        self.plan, self.workspace, self.listener, self.outcome = plan, workspace, listener, outcome
        self.stopping = stopping
        self.runtime = Runtime(
            workspace,
            plan.model,
            report=listener.progress,
            stop=stopping,
            checkpoint_every=checkpoint_every,
            device=device,
            loggers=loggers,
        )

    def one(self, phase: Phase, number: int, total: int) -> None:
        """Run one phase, unless it is blocked, or another process does or did it."""
        for parent in phase.parents:
            if parent in self.outcome.failed or parent in self.outcome.blocked:
                self.outcome.blocked[phase.key] = parent
                self.listener.failed(phase, ArtifactError(f"blocked by {parent[:12]}"))
                return
        waited = False
        while not self.workspace.store.has(phase.key):
            if self.stopping():
                raise Interrupted("interrupted; the same command continues")
            with self.workspace.store.lease(phase.key) as mine:
                if mine and not self.workspace.store.has(phase.key):
                    self._try(phase, number, total)
                    return
                if mine:
                    break
            if not waited:
                holder = self.workspace.store.holder(phase.key)
                self.listener.progress(f"{phase.title}: {holder or 'another process'} works on it, waiting", 0, 0)
                waited = True
            time.sleep(POLL)
        self.outcome.skipped.append(phase.key)

    def _try(self, phase: Phase, number: int, total: int) -> None:
        start = time.monotonic()
        self.listener.begin(phase, number, total)
        try:
            perform(phase, self.runtime)
        except (ArtifactError, ResourceError, Interrupted):
            raise
        except AdaptstiltsError as error:
            self.outcome.failed[phase.key] = error
            self.listener.failed(phase, error)
            return
        self.outcome.done.append(phase.key)
        self.listener.end(phase, time.monotonic() - start)


def perform(phase: Phase, runtime: Runtime) -> None:
    """Run one phase and commit its entry.

    Raises:
        ResourceError: the disk is full or cannot be written; the staging folder is removed.
    """
    from adaptstilts.runtime.checkpoints import Checkpoints
    from adaptstilts.runtime.context import environment

    store = runtime.workspace.store
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with _disk(store.folder), store.stage(phase.key) as staging:
        pkgutil.resolve_name(phase.performer)(phase, runtime, staging)
        extra = {
            "title": phase.title,
            "env": environment(runtime.device),
            "started": started,
            "seconds": round(time.monotonic() - clock, 3),
        }
        store.commit(phase.key, phase.spec, staging, extra)
        Checkpoints(store.work(phase.key)).clear()


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """A full or read-only disk as one clear line, also where a library reports it in its own way."""
    from safetensors import SafetensorError

    try:
        yield
    except AdaptstiltsError:
        raise
    except (OSError, SafetensorError) as error:
        text = str(error)
        known = isinstance(error, OSError) and error.errno in _DISK
        if not known and "File too large" not in text and "No space left" not in text:
            raise
        raise ResourceError(
            f"{folder}: cannot be written ({text.splitlines()[0]}); free some space and run the same command again"
        ) from None


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one kills at once."""
    asked = threading.Event()

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(number, signal.SIG_DFL)

    main = threading.current_thread() is threading.main_thread()
    held = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
    try:
        yield asked.is_set
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
