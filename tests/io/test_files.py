"""Writing files: where they go is asked before anything is spent, and they are there whole or as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adaptstilts.errors import ConfigError, ResourceError
from adaptstilts.io.files import replace_text, replacing, resolve_output


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as file:
        file.write("one\n")
        assert not path.exists()
    assert path.read_bytes() == b"one\n"

    def interrupted() -> None:
        with replacing(path) as file:
            file.write("two\n")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_bytes() == b"one\n"
    replace_text(path, "three\n")
    assert path.read_bytes() == b"three\n"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def test_where_a_file_may_go(tmp_path: Path) -> None:
    there, link = tmp_path / "there.txt", tmp_path / "link.txt"
    there.write_text("held", encoding="utf-8")
    link.symlink_to(there)
    assert resolve_output(tmp_path / "new.txt") == tmp_path / "new.txt"
    assert resolve_output(there) == resolve_output(link) == there
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "no" / "a.txt", there / "a.txt", tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ConfigError, match="expected a file name in an existing folder"):
            resolve_output(path)
    (tmp_path / "nowhere.txt").symlink_to(tmp_path / "no" / "a.txt")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, told in (
        ("nowhere.txt", "in an existing folder"),
        ("circle", "cannot"),
        ("a" * 300, "cannot be written"),
    ):
        with pytest.raises(ConfigError, match=told):
            resolve_output(tmp_path / name)
    with replacing(resolve_output(tmp_path / ("a" * 255))) as file:
        file.write("a name as long as names can be")
    for path in (there, link):
        with pytest.raises(ConfigError, match="is one of the inputs"):
            resolve_output(path, tmp_path / "other.txt", there)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"a.txt: cannot be written: .* MiB free"), replacing(tmp_path / "no/a.txt"):
        pass
