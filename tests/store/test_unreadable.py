"""Only a digest that differs is damage: what cannot be read now stays where it is, as an error of the environment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store

SPEC = {"kind": "x"}
KEY = hashing.of(SPEC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    with store.stage(KEY) as staging:
        (staging / "part").mkdir()
        (staging / "part" / "file.json").write_text("[1]")
        store.commit(KEY, SPEC, staging)
    return Store(tmp_path / "store")


def failing(real: Callable[..., Any], code: int, name: str) -> Callable[..., Any]:
    """A function of files that fails for one of them as a disk does; no real disk fails on demand."""

    def call(path: Any, *rest: Any, **named: Any) -> Any:
        if str(path).endswith(name):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *rest, **named)

    return call


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE], ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("owner", "function", "name"), [(Path, "read_bytes", "manifest.json"), (os, "lstat", "file.json")]
)
def test_a_file_that_cannot_be_read_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int, owner: object, function: str, name: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(owner, function, failing(getattr(owner, function), code, name))
        with pytest.raises(ResourceError) as caught:
            store.entry(KEY)
        ((_, problem),) = Store(store.folder).verify()
    line = f"{store.entry_folder(KEY)}/{'part/' if name == 'file.json' else ''}{name}: cannot be read now"
    assert str(caught.value).startswith(f"{line} ({os.strerror(code)}); it stays where it is")
    assert problem == str(caught.value)
    assert not (store.folder / "quarantine").exists()
    assert Store(store.folder).entry(KEY).key == KEY


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE], ids=errno.errorcode.get)
def test_content_that_cannot_be_read_stays(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    entry = store.entry(KEY)
    with monkeypatch.context() as broken:
        broken.setattr(hashing, "of_file", failing(hashing.of_file, code, "file.json"))
        with pytest.raises(ResourceError, match=r"file\.json: cannot be read now"):
            Store(store.folder).entry(KEY)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", failing(Path.read_bytes, code, "file.json"))
        with pytest.raises(ResourceError, match=r"file\.json: cannot be read now"):
            Entry(entry.folder, entry.manifest).json("part/file.json")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "stat", failing(Path.stat, code, "manifest.json"))
        with pytest.raises(ResourceError, match=r"manifest\.json: cannot be read now"):
            store.has(KEY)
    assert Store(store.folder).entry(KEY).json("part/file.json") == [1]


def test_a_digest_that_differs_is_damage(store: Store) -> None:
    (store.entry_folder(KEY) / "part" / "file.json").write_text("[2]")
    with pytest.raises(ArtifactError, match="moved to quarantine"):
        store.entry(KEY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}'])
def test_a_damaged_manifest_is_set_aside(store: Store, text: str) -> None:
    assert store.set_aside(KEY) is None
    (store.entry_folder(KEY) / "manifest.json").write_text(text)
    problem = store.set_aside(KEY)
    assert problem is not None
    assert "manifest.json" in problem
    assert not store.has(KEY)
    assert store.set_aside(KEY) is None
    assert len(list((store.folder / "quarantine").iterdir())) == 1


def test_cached_states_are_no_garbage_while_a_phase_runs(store: Store) -> None:
    for name in ("done", ".writing.x"):
        (store.states / name).mkdir(parents=True)
    with store.lease(hashing.of("other")):
        assert store.garbage() == []
    assert store.garbage() == sorted(store.states.iterdir())
