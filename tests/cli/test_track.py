"""``run --track``: loggers by name, from outside the package, and what is said of an unknown one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.command_line import call

from adaptstilts.runtime import loggers
from adaptstilts.runtime.loggers import Logger

SMALL = {
    "intermediates": ["none"],
    "targets": ["udpos"],
    "methods": ["bitfit"],
    "swap": "off",
    "train": {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
}


class Counting(Logger):
    """Counts steps, whichever instance receives them."""

    name = "counting"
    steps = 0

    def step(self, step: int, scalars: Mapping[str, Any]) -> None:
        Counting.steps += 1


def test_a_logger_by_name(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> None:
    loggers.add(Counting)
    try:
        options = ("--store", tmp_path / "store", "--data-root", data_root, "--track", "counting", "--track", "jsonl")
        assert call("run", study_file(**SMALL), *options) == 0
    finally:
        loggers.REGISTRY.remove("counting")
    assert Counting.steps == 3


@pytest.mark.parametrize("verb", ["run", "pretrain"])
def test_an_unknown_logger(
    study_file: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    verb: str,
) -> None:
    assert call(verb, study_file(**SMALL), "--store", tmp_path / "store", "--track", "jsonlines") == 2
    assert "unknown logger 'jsonlines'; did you mean jsonl?" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
