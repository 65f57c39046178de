"""A measure phase: what running a trained target takes, measured by a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import cast

from adaptstilts.errors import Interrupted, ResourceError
from adaptstilts.plan.measures import MeasurePhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.contents import Measured
from adaptstilts.store.entries import MEASURED

_POLL = 0.5  # seconds between two looks at whether to stop
_MODULE = "adaptstilts.phases.measure_alone"


def measure(phase: MeasurePhase, runtime: Runtime, staging: Path) -> None:
    """Run a measure phase in a fresh process and write ``measured.json``.

    Args:
        phase: names the target and the rows.
        runtime: the store, the data and the model.
        staging: folder of the entry's files.

    Raises:
        ResourceError: the process failed.
        Interrupted: the runtime asked to stop.
    """
    sources = runtime.workspace.sources
    job = {
        "spec": phase.spec,
        "model": str(runtime.model.source.absolute()),
        "store": str(runtime.workspace.store.folder.absolute()),
        "data_root": str(sources.root.absolute()) if sources.root else None,
        "offline": runtime.workspace.offline,
    }
    MEASURED.write(staging, cast(Measured, _in_fresh_process(job, runtime, phase.title)))


def _in_fresh_process(job: object, runtime: Runtime, title: str) -> object:
    """Return what a process that is given a job writes to its output.

    Args:
        job: as JSON values.
        runtime: asked whether to stop.
        title: of the phase.
    """
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as remarks,
    ):
        json.dump(job, given)
        given.seek(0)
        command = [sys.executable, "-m", _MODULE]
        process = subprocess.Popen(command, stdin=given, stdout=output, stderr=remarks)  # noqa: S603
        try:
            _wait(process, runtime)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        remarks.seek(0)
        if process.returncode:
            lines = [line for line in remarks.read().splitlines() if line.strip()]
            reason = lines[-1] if lines else f"it ended with {process.returncode}"
            raise ResourceError(f"{title}: the process that measures failed: {reason}")
        return json.loads(output.read().splitlines()[-1])


def _wait(process: subprocess.Popen[bytes], runtime: Runtime) -> None:
    """Wait for a process.

    Args:
        process: that is waited for.
        runtime: asked whether to stop.

    Raises:
        Interrupted: the runtime asked to stop.
    """
    while True:
        try:
            process.wait(_POLL)
            return
        except subprocess.TimeoutExpired:
            if runtime.stop():
                raise Interrupted("stopped while measuring") from None
