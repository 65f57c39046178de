"""The tasks of the sample: found in the package whatever the data root and offline, in every language."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import read
from adaptstilts.data.sources import PACKAGED, Sources
from adaptstilts.errors import ResourceError
from adaptstilts.languages import LANGUAGES

NAMES = ["sample_nli", "sample_choice", "sample_qa", "sample_tagging", "sample_retrieval"]


@pytest.mark.parametrize("name", NAMES)
def test_every_language_passes_the_check_of_its_kind(name: str, tmp_path: Path) -> None:
    task, here = tasks.get(name), Sources(None, offline=True, pins=tmp_path)
    assert task.test is not None
    totals = set()
    for code in task.languages:
        examples = read(here.get(task.test.at(LANGUAGES[code])), task, kinds.get(task.kind).check)
        assert not examples.dropped
        totals.add(examples.total)
    assert len(totals) == 1
    for source in (task.train, task.dev):
        if source is not None:
            assert read(here.get(source.at(LANGUAGES["en"])), task, kinds.get(task.kind).check).total >= 200


def test_a_data_root_without_it_does_not_hide_it(tmp_path: Path) -> None:
    task = tasks.get("sample_nli")
    assert task.train is not None
    split = Sources(tmp_path).get(task.train)
    assert split.files == Sources(None, offline=True).get(task.train).files
    assert all(PACKAGED in path.parents for path in split.files)


def test_a_copy_in_a_data_root_is_read_by_the_same_code(tmp_path: Path) -> None:
    shutil.copytree(PACKAGED / "adaptstilts", tmp_path / "other")
    task = tasks.get("sample_qa")
    assert task.train is not None
    copied = dataclasses.replace(task.train, repo="other/sample")
    assert Sources(tmp_path).get(copied).digest == Sources(None).get(task.train).digest


def test_a_split_that_the_sample_lacks_is_not_asked_of_the_hub() -> None:
    task = tasks.get("sample_nli")
    assert task.test is not None
    assert Sources(None, offline=True).find(dataclasses.replace(task.test, config="nli.xx")) is None
    other = dataclasses.replace(task.test, repo="adaptstilts/other")
    with pytest.raises(ResourceError, match="not in the local cache"):
        Sources(None, offline=True).find(other)


@pytest.mark.slow
def test_the_generator_runs_as_a_module(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "adaptstilts.sample.generate"]
    assert "files under" in subprocess.run([*call, str(tmp_path)], capture_output=True, text=True, timeout=120).stdout
    assert "usage" in subprocess.run(call, capture_output=True, text=True, timeout=120).stderr
