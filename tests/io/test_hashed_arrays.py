"""Files that are whole or absent: their names hold what they must be, and what is damaged is made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptstilts.errors import ResourceError
from adaptstilts.io import hashed_arrays


def test_a_file_is_found_by_its_name_and_still_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "part-01.npy"
    assert hashed_arrays.find(path) is None
    saved = hashed_arrays.save(path, _=np.arange(3))
    assert hashed_arrays.find(path) == saved
    assert np.load(saved).tolist() == [0, 1, 2]
    assert hashed_arrays.find(tmp_path / "new" / "part-0.npy") is None
    assert hashed_arrays.find(tmp_path / "new" / "part-01.npz") is None


def test_several_arrays_in_one_file(tmp_path: Path) -> None:
    with np.load(hashed_arrays.save(tmp_path / "a.npz", x=np.ones(2), y=np.zeros(1))) as held:
        assert set(held) == {"x", "y"}


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_what_is_damaged_is_removed(tmp_path: Path, damage: str) -> None:
    saved = hashed_arrays.save(tmp_path / "a.npy", _=np.arange(30))
    content = saved.read_bytes()
    other = {"cut": content[:-1], "flipped": content[:-1] + bytes([content[-1] ^ 1]), "empty": b""}[damage]
    saved.write_bytes(other)
    assert hashed_arrays.find(tmp_path / "a.npy") is None
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    saved = hashed_arrays.save(tmp_path / "k4" / "a.npy", _=np.arange(3))
    (tmp_path / "k4" / ".a.npy.0123").write_bytes(b"half")
    (tmp_path / ".b.npy.0123").write_bytes(b"half")
    hashed_arrays.sweep(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [saved]


def test_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceError, match=r"a.npy: cannot be written: .* \(\d+ MiB free\)"):
        hashed_arrays.save(tmp_path / "file" / "a.npy", _=np.arange(3))
