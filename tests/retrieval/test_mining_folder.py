"""The folder of two files that are mined belongs to one process at a time; others wait for it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from adaptstilts.retrieval import mining_folder
from adaptstilts.store.store import Store


def test_another_process_that_mines_the_same_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining_folder, "POLL_SECONDS", 0.01)
    store, lines = Store(tmp_path / "store"), []
    with contextlib.ExitStack() as other:
        other.enter_context(store.lease("vectors.key"))
        holder = store.holder("vectors.key")

        def report(line: str, done: int, total: int) -> None:
            lines.append(line)
            other.close()

        with mining_folder.locked_folder(store, "key", report) as folder:
            (folder / "file").touch()
    assert lines == [f"{holder} mines the same files, waiting"]
    assert (store.vectors / "key" / "file").exists()
