"""Rows that a model cannot read are warned of once, when they are read for training or evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.inputs import write_split

from adaptstilts import tasks
from adaptstilts.models import locate
from adaptstilts.runtime.context import Runtime
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

TASK = tasks.get("sst2")
ROWS = {"train": "Wo ist die Katze?", "validation": "한국어 문장입니다"}


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    for split, text in ROWS.items():
        rows = [{"sentence": text, "label": number % 2, "idx": number} for number in range(4)]
        write_split(tmp_path / "hub", "nyu-mll/glue", "sst2", split, rows)
    workspace = Workspace(tmp_path / "store", tmp_path / "hub", offline=True)
    return Runtime(workspace, locate.locate("builtin:nano"), device="cpu")


def test_a_source_is_warned_of_once(runtime: Runtime) -> None:
    lines: list[str] = []
    runtime.report = lambda line, done, total: lines.append(line)
    for source in (TASK.train, TASK.dev):
        assert isinstance(source, Source)
        digest = runtime.workspace.sources.get(source).identity(TASK.version)
        for length in (16, 32):
            runtime.rows(TASK, source, digest, length)
    (line,) = lines
    assert line.startswith("warning: sst2, nyu-mll/glue sst2 validation: 50.0 % of its 16 tokens are unknown")
