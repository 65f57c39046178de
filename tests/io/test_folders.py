"""Folders that are whole or absent, with the permissions that the umask gives."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptstilts.errors import ArtifactError, ResourceError
from adaptstilts.io import folders
from adaptstilts.io.folders import MANIFEST, check_files, publish, publishing, read_manifest, seal, temporary


def modes(folder: Path) -> dict[str, int]:
    """Permissions of a folder and everything in it."""
    paths = [folder, *folder.rglob("*")]
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}


def write_private(folder: Path) -> None:
    """Write files as some libraries do, for their owner alone."""
    (folder / "deep").mkdir(mode=0o700)
    for name in ("weights", "deep/weights"):
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY, 0o600))


@pytest.fixture
def with_umask() -> object:
    """Set the umask of this process until the end of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
@pytest.mark.parametrize("sealed", [True, False])
def test_permissions_are_those_that_the_umask_gives(
    umask: int, file: int, folder: int, sealed: bool, tmp_path: Path, with_umask: Callable[[int], int]
) -> None:
    with_umask(umask)
    target = tmp_path / "target"
    if sealed:
        with temporary(tmp_path, "new.") as staging:
            write_private(staging)
            seal(staging, {})
            publish(staging, target)
    else:
        with publishing(target) as staging:
            write_private(staging)
    found = modes(target)
    assert found.pop(MANIFEST, file) == file
    assert found == {".": folder, "deep": folder, "weights": file, "deep/weights": file}


def test_a_set_group_bit_of_a_shared_folder_stays(tmp_path: Path) -> None:
    with temporary(tmp_path, "new.") as staging:
        staging.chmod(0o2700)
        folders.set_default_permissions(staging)
        assert stat.S_IMODE(staging.stat().st_mode) & 0o7000 == 0o2000


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").touch(mode=0o600)
    with temporary(tmp_path, "new.") as staging:
        (staging / "link").symlink_to(tmp_path / "private")
        folders.set_default_permissions(staging)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_folder_appears_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    with publishing(target) as staging:
        (staging / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"

    def fail() -> None:
        with publishing(tmp_path / "other") as staging:
            (staging / "a").write_text("2")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_empty_folder_may_exist_and_a_full_one_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    for text, replace in (("first", False), ("second", True)):
        with publishing(target, replace=replace) as staging:
            (staging / text).write_text(text)
    assert [path.name for path in target.iterdir()] == ["second"]
    with pytest.raises(ResourceError, match="target: cannot be written: Directory not empty"), publishing(target):
        pass
    assert [path.name for path in target.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_removed_folder_is_gone_and_open_files_stay_readable(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("content")
    with open(folder / "a") as file:
        folders.remove(folder)
        assert list(tmp_path.iterdir()) == []
        assert file.read() == "content"
    folders.remove(folder)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="cannot be written"), publishing(tmp_path / "file" / "target"):
        pass


def test_the_first_of_two_stays(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with temporary(tmp_path, "new.") as staging:
            (staging / "a").write_text(text)
            seal(staging, {"text": text})
            publish(staging, tmp_path / "target")
    assert read_manifest(tmp_path / "target")["text"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    check_files(tmp_path / "target", read_manifest(tmp_path / "target"), hashes=True)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "a").unlink(), "'a' is in the manifest, but not in the folder"),
        (lambda folder: (folder / "b").touch(), "'b' is in the folder, but not in the manifest"),
        (lambda folder: (folder / "a").write_text("longer"), "expected 5 bytes, found 6"),
        (lambda folder: (folder / "a").write_text("other"), "does not have the sha256"),
        (lambda folder: (folder / "a").replace(folder.parent / "b"), "'a' is in the manifest, but not in the folder"),
        (lambda folder: (folder / "new").symlink_to(folder), "'new' is in the folder, but not in the manifest"),
    ],
)
def test_damage_is_named(damage: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")
    seal(tmp_path, {})
    damage(tmp_path)
    with pytest.raises(ArtifactError, match=reason):
        check_files(tmp_path, read_manifest(tmp_path), hashes=True)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_only_regular_files_are_read(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("")
    seal(folder, {})
    (folder / "a").replace(tmp_path / "b")
    if kind == "pipe":
        os.mkfifo(folder / "a")
    else:
        (folder / "a").symlink_to(tmp_path / "b")
    with pytest.raises(ArtifactError, match="folder/a: links and devices are refused, expected a regular file"):
        check_files(folder, read_manifest(folder), hashes=True)


def test_a_manifest_that_might_never_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(ArtifactError, match=r"not a readable manifest \(expected a regular file"):
        read_manifest(tmp_path)
