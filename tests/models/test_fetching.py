"""Models on the hub: which files are asked for, so that weights are downloaded in one format alone."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import model_folders as folders
from support.model_folders import changed_copy

from adaptstilts.models.locate import locate

COMMIT = "c" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[list[str]]]:
    """A hub with one model, the folder that is given; returns the names that each request is answered with."""

    def serve(repository: Path) -> list[list[str]]:
        answers: list[list[str]] = []
        snapshot = tmp_path / "hub" / COMMIT

        def download(name: str, revision: str | None, allow_patterns: list[str], local_files_only: bool) -> str:
            assert (name, revision in (None, COMMIT)) == ("owner/model", True)
            names = []
            for path in sorted(repository.rglob("*")):
                place = path.relative_to(repository).as_posix()
                if path.is_file() and any(fnmatch.fnmatch(place, pattern) for pattern in allow_patterns):
                    (snapshot / place).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, snapshot / place)
                    names.append(place)
            answers.append(names)
            return str(snapshot)

        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        return answers

    return serve


def everything(folder: Path) -> None:
    """Make a folder that has its weights in all formats, and files that nobody needs."""
    weights = (folder / "model.safetensors").read_bytes()
    folders.shard(folder)
    (folder / "model.safetensors").write_bytes(weights)
    folders.shard(folder, ".bin")
    (folder / "model.safetensors").write_bytes(weights)
    folders.to_binary(folder)
    (folder / "model.safetensors").write_bytes(weights)
    for name in ("tf_model.h5", "README.md", "onnx.model", "evil.py"):
        (folder / name).write_bytes(b"")


SMALL = ["config.json", "tokenizer.json", "vocab.txt"]
SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (everything, [[SMALL[0], "model.safetensors", *SMALL[1:]]]),
        (folders.shard, [SMALL, [*SHARDS, "model.safetensors.index.json"]]),
        (folders.to_binary, [SMALL, [], ["pytorch_model.bin"]]),
    ],
    ids=["all formats", "sharded", "bin"],
)
def test_weights_are_downloaded_once(
    hub: Callable[[Path], list[list[str]]], tmp_path: Path, change: Callable[[Path], Any], expected: list[list[str]]
) -> None:
    bert = folders.make_bert(tmp_path / "bert")
    answers = hub(changed_copy(bert, tmp_path / "repository", change))
    model = locate("owner/model")
    assert answers == expected
    assert model.fingerprint == locate(str(bert)).fingerprint
    assert model.name == "owner/model"


def test_a_model_of_sentence_transformers(hub: Callable[[Path], list[list[str]]], tmp_path: Path) -> None:
    bert = folders.make_bert(tmp_path / "bert")
    repository = changed_copy(bert, tmp_path / "new", folders.to_sentence_transformers)
    answers = hub(repository)
    model = locate("owner/model")
    assert answers == [["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", *SMALL[1:]]]
    assert model.pooling is not None
    assert model.pooling.name == "cls"
