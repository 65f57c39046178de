"""Run plans: finished phases are skipped, interrupted ones continue, and a failure stops only what depends on it."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import pkgutil
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from adaptstilts.errors import (
    AdaptstiltsError,
    ArtifactError,
    ConfigError,
    Interrupted,
    OutOfMemory,
    PhasesFailed,
    ResourceError,
    is_out_of_memory,
)
from adaptstilts.io.wording import counted, size
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase
from adaptstilts.plan.row_checks import check_rows
from adaptstilts.runtime.loggers import Logger, select
from adaptstilts.runtime.stopping import stop_signals
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.runtime.context import Runtime

POLL = 1.0  # seconds between checks of a phase that another process runs
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class Runnable(Protocol):
    """Something that can be run: the plan of a study, or of pretraining, which has no base model."""

    @property
    def model(self) -> Model | None:
        """The base model."""

    def order(self) -> list[Phase]:
        """Return every phase, parents before children."""


class Listener:
    """Receives what happens while a plan runs and ignores it; a subclass may print it."""

    def begin(self, phase: Phase, number: int, total: int) -> None:
        """Receive the start of a phase.

        Args:
            phase: the phase.
            number: counted from 1 among the phases of this run.
            total: phases of this run.
        """

    def progress(self, line: str, done: int, total: int) -> None:
        """Receive the progress of a phase.

        Args:
            line: what it does.
            done: how much of it is done.
            total: how much there is; 0 for a remark.
        """

    def stage(self, line: str) -> None:
        """Receive what a run is doing while there is no progress to count, such as loading the model.

        Args:
            line: what is being done; begins with the title of the phase if there is one.
        """

    def stopping(self, at_once: bool) -> None:
        """Receive that a signal asked the run to stop; called from a thread of its own.

        Args:
            at_once: whether the process ends now, without saving.
        """

    def end(self, phase: Phase, seconds: float) -> None:
        """Receive the end of a phase, whose entry is committed."""

    def failed(self, phase: Phase, error: Exception) -> None:
        """Receive the failure of a phase, or that it cannot run because a phase that it depends on failed."""


@dataclass
class Outcome:
    """What became of the phases of a run.

    Attributes:
        done: keys of the phases that ran.
        skipped: keys of phases that were done before, or by another process.
        failed: key of a phase that failed -> its error.
        blocked: key of a phase that did not run -> key of the phase whose failure is the reason.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, AdaptstiltsError] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)


def run_plan(
    plan: Runnable,
    workspace: Workspace,
    listener: Listener | None = None,
    checkpoint_every: int | None = None,
    device: str | None = None,
    loggers: Sequence[str | Logger] = (),
) -> Outcome:
    """Run every missing phase of a plan.

    Args:
        plan: what to run.
        workspace: store, data and models.
        listener: receives what happens.
        checkpoint_every: steps between checkpoints; None for one a minute (pretraining: every two minutes).
        device: torch device; None for the GPU, or the CPU if there is none.
        loggers: receive the training curves in addition to ``log.jsonl``; by name or as instances.

    Raises:
        ConfigError: no logger has that name.
        PhasesFailed: some phases failed while others finished; all that do not depend on them were tried.
        DataError: phases would read rows that cannot be used; nothing ran.
        AdaptstiltsError: the first failure, if nothing finished.
        ArtifactError, ResourceError: a damaged entry, a full disk or a missing package, which stops the whole run.
        Interrupted: by SIGINT or SIGTERM, after a checkpoint.
    """
    receivers = select(loggers)
    listener = listener or Listener()
    listener.stage("importing libraries")
    from adaptstilts.runtime.context import Runtime

    order = plan.order()
    missing = _missing(order, workspace.store, listener)
    to_do = {phase.key for phase in missing}
    outcome = Outcome(skipped=[phase.key for phase in order if phase.key not in to_do])
    if not missing:
        return outcome
    if workspace.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    _check(plan, workspace, missing, listener)
    with stop_signals(listener.stopping) as stop:
        runtime = Runtime(
            workspace,
            plan.model,
            report=listener.progress,
            stop=stop,
            checkpoint_every=checkpoint_every,
            device=device,
            loggers=receivers,
            stage=listener.stage,
            interruptible=stop.interruptible,
        )
        _Run(order, runtime, listener, outcome).run(missing)
    _raise_failures(outcome)
    return outcome


def _missing(order: Sequence[Phase], store: Store, listener: Listener) -> list[Phase]:
    """Return the phases without an entry, after setting damaged entries aside and reporting them."""
    for phase in order:
        if problem := store.set_aside(phase.key):
            listener.progress(f"{phase.title}: computed again, because its entry was damaged: {problem}", 0, 0)
    return [phase for phase in order if not store.has(phase.key)]


def _check(plan: Runnable, workspace: Workspace, missing: Sequence[Phase], listener: Listener) -> None:
    """Check the rows and the space that phases need, and report remarks on data and model."""
    listener.stage("checking the rows")
    for remark in check_rows(missing, workspace):
        listener.progress(remark, 0, 0)
    _check_space(plan, workspace.store, missing)
    for remark in plan.model.remarks if plan.model else ():
        listener.progress(remark, 0, 0)


def run_plans(
    plans: Sequence[Runnable],
    workspace: Workspace,
    listener: Listener | None = None,
    checkpoint_every: int | None = None,
    device: str | None = None,
    loggers: Sequence[str | Logger] = (),
) -> list[Outcome]:
    """Run several plans one after the other, such as those of a study of several models; arguments as of `run_plan`.

    Raises:
        AdaptstiltsError: as of :func:`run_plan`; after the first failure of a phase the other plans are still run.
    """
    outcomes: list[Outcome] = []
    failure: AdaptstiltsError | None = None
    for plan in plans:
        try:
            outcomes.append(run_plan(plan, workspace, listener, checkpoint_every, device, loggers))
        except (ArtifactError, ResourceError, Interrupted):
            raise
        except AdaptstiltsError as error:
            failure = failure or error
    if failure:
        raise failure
    return outcomes


def perform(phase: Phase, runtime: Runtime) -> None:
    """Run one phase and commit its entry.

    Args:
        phase: its parents are in the store.
        runtime: what phases work with.

    Raises:
        ResourceError: the disk is full or cannot be written; nothing of the entry is left.
    """
    from adaptstilts.runtime.checkpoints import Checkpoints
    from adaptstilts.runtime.hardware import environment
    from adaptstilts.runtime.libraries import import_for

    store = runtime.workspace.store
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with runtime.interruptible():
        runtime.stage(f"{phase.title}: importing libraries")
        work = _performer(phase)
        import_for(phase, runtime.base_model)
    with _disk_errors(store.folder), store.stage(phase.key) as staging:
        work(phase, runtime, staging)
        extra = {
            "title": phase.title,
            "env": environment(runtime.device),
            "started": started,
            "seconds": round(time.monotonic() - clock, 3),
        }
        store.commit(phase.key, phase.spec, staging, extra)
        Checkpoints(store.work(phase.key)).clear()


class _Run:
    """One pass over the missing phases of a plan."""

    def __init__(self, order: Sequence[Phase], runtime: Runtime, listener: Listener, outcome: Outcome) -> None:
        self.runtime, self.store, self.listener, self.outcome = runtime, runtime.workspace.store, listener, outcome
        self.titles = {phase.key: phase.title for phase in order}

    def run(self, phases: Sequence[Phase]) -> None:
        """Run phases in order."""
        for number, phase in enumerate(phases, 1):
            if not self._is_blocked(phase):
                self._run_or_wait(phase, number, len(phases))

    def _is_blocked(self, phase: Phase) -> bool:
        """Return whether a phase cannot run, because one that it depends on failed; note it."""
        for parent in phase.parents:
            cause = parent if parent in self.outcome.failed else self.outcome.blocked.get(parent)
            if cause:
                self.outcome.blocked[phase.key] = cause
                self.listener.failed(phase, ArtifactError(f"not run, because this failed: {self.titles[cause]}"))
                return True
        return False

    def _run_or_wait(self, phase: Phase, number: int, total: int) -> None:
        """Run a phase, or wait for another process that runs it."""
        is_waiting = False
        while not self.store.has(phase.key):
            if self.runtime.stop():
                raise Interrupted("interrupted between two phases")
            with self.store.lease(phase.key) as is_ours:
                if is_ours and not self.store.has(phase.key):
                    self._try(phase, number, total)
                    return
                if is_ours:
                    break
            if not is_waiting:
                holder = self.store.holder(phase.key) or "another process"
                self.listener.progress(f"{phase.title}: {holder} works on it, waiting", 0, 0)
                is_waiting = True
            time.sleep(POLL)
        self.outcome.skipped.append(phase.key)

    def _try(self, phase: Phase, number: int, total: int) -> None:
        """Run a phase; note a failure that concerns this phase alone."""
        start = time.monotonic()
        self.listener.begin(phase, number, total)
        try:
            perform(phase, self.runtime)
        except (Interrupted, ImportError):
            raise
        except Exception as error:
            if isinstance(error, ArtifactError | ResourceError | FileNotFoundError) and self.store.has(phase.key):
                self.outcome.skipped.append(phase.key)  # another process finished it and removed what both worked with
                return
            self._fail(phase, error)
        else:
            self.outcome.done.append(phase.key)
            self.listener.end(phase, time.monotonic() - start)

    def _fail(self, phase: Phase, error: Exception) -> None:
        """Note the failure of a phase; raise it again if it concerns the whole run.

        Args:
            phase: the phase.
            error: what it raised.
        """
        if isinstance(error, ArtifactError | ResourceError) and not isinstance(error, OutOfMemory):
            raise error
        if not isinstance(error, AdaptstiltsError):
            error = _described(phase, error)
            self.runtime.forget()
        self.outcome.failed[phase.key] = error
        self.listener.failed(phase, error)


def _described(phase: Phase, error: Exception) -> AdaptstiltsError:
    """Turn an unexpected error of a phase into one of this package.

    The traceback is kept as a note, for ``--debug``, but not the objects in it, which may fill the memory.
    """
    if is_out_of_memory(error):
        described: AdaptstiltsError = OutOfMemory(
            f"{phase.title}: out of memory; lower train.micro_tokens, train.batch_size or max_length"
        )
    else:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        described = AdaptstiltsError(f"{phase.title}: internal error: {reason}")
    described.add_note("".join(traceback.format_exception(error)))
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    return described


def _raise_failures(outcome: Outcome) -> None:
    """Raise if phases failed."""
    if not outcome.failed:
        return
    first = next(iter(outcome.failed.values()))
    if not outcome.done:
        raise first
    parts = [f"{counted(len(outcome.failed), 'phase')} failed"]
    if outcome.blocked:
        parts.append(f"{counted(len(outcome.blocked), 'phase')} not run because of that")
    parts.append(f"{len(outcome.done)} finished")
    raise PhasesFailed(f"{', '.join(parts)}; the first failure: {first}") from first


def _check_space(plan: Runnable, store: Store, missing: Sequence[Phase]) -> None:
    """Raise before any work starts if the disk cannot hold what would be stored.

    A phase keeps its weights, and while it runs up to three checkpoints of four times their size.

    Raises:
        ResourceError: too little space is free.
    """
    shape = plan.model.shape if plan.model else {}
    sizes = [phase.weight_bytes(shape) for phase in missing]
    needed = sum(sizes) + 12 * max(sizes, default=0)
    folders = (store.folder, *store.folder.absolute().parents)
    free = shutil.disk_usage(next(folder for folder in folders if folder.exists())).free
    if needed > free:
        raise ResourceError(
            f"{store.folder}: this run needs about {size(needed)}, but only {size(free)} are free; free some space"
        )


def _performer(phase: Phase) -> Callable[[Phase, Runtime, Path], None]:
    """Import the function that does the work of a phase.

    Raises:
        ConfigError: it cannot be imported, or is no function.
    """
    where = f"phase {phase.kind}: performer {phase.performer}"
    try:
        work = pkgutil.resolve_name(phase.performer)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"{where}: cannot be imported ({reason})") from error
    if not callable(work):
        raise ConfigError(f"{where}: expected a function, found {type(work).__name__}")
    return work  # type: ignore[no-any-return]


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of a full or read-only disk into one clear line, however a library words them."""
    from safetensors import SafetensorError

    try:
        yield
    except AdaptstiltsError:
        raise
    except (OSError, SafetensorError) as error:
        text = str(error)
        is_known = isinstance(error, OSError) and error.errno in _DISK_ERRORS
        if not is_known and "File too large" not in text and "No space left" not in text:
            raise
        reason = text.splitlines()[0]
        raise ResourceError(
            f"{folder}: cannot be written ({reason}); free some space and run the same command again"
        ) from None
