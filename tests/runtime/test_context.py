"""Rows of a split are kept for the phases that need them: once, whatever seed they were drawn with."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptstilts import tasks
from adaptstilts.models import locate
from adaptstilts.runtime import context
from adaptstilts.runtime.context import Runtime
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

TASK = tasks.get("mnli")


@pytest.fixture
def runtime(tmp_path: Path, tiny: Path, data_root: Path) -> Runtime:
    workspace = Workspace(tmp_path / "store", data_root, offline=True)
    return Runtime(workspace, locate.locate(str(tiny)), device="cpu")


def ids(runtime: Runtime, limit: int | None, seed: int) -> list[int]:
    """The numbers of the rows that a phase with this limit and seed reads; there are 60."""
    source = TASK.train
    assert isinstance(source, Source)
    digest = runtime.workspace.sources.get(source).identity(TASK.version)
    return runtime.rows(TASK, source, digest, 32, limit, seed)[0].ids


def test_all_rows_are_kept_once(runtime: Runtime) -> None:
    expected = list(range(60))
    for limit, seed in ((None, 1), (None, 2), (60, 3), (1000, 4)):
        assert ids(runtime, limit, seed) == expected
    assert len(runtime._features) == 1


def test_draws_are_kept_one_by_one(runtime: Runtime) -> None:
    draws = [ids(runtime, 20, seed) for seed in (1, 2)]
    assert draws[0] != draws[1]
    assert [ids(runtime, 20, seed) for seed in (1, 2)] == draws
    assert ids(runtime, 60, 1) == list(range(60))
    assert len(runtime._features) == 3


def test_the_rows_unused_longest_are_dropped(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CACHED_ROWS", 50)
    for seed in (1, 2, 1, 3):
        ids(runtime, 20, seed)
    assert [key[-1] for key in runtime._features] == [1, 3]
    ids(runtime, None, 1)
    assert len(runtime._features) == 1, "the newest stays whatever its size"
