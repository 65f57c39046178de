"""Canonical JSON and remembered file hashes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts.io import hashing


def test_canonical_is_one_text() -> None:
    assert (
        hashing.canonical({"b": (1.0, -0.0), "a": {"é": None, "t": True}})
        == '{"a":{"t":true,"é":null},"b":[1,0]}'.encode()
    )
    assert hashing.canonical([1, 2.5]) == b"[1,2.5]"


def test_of_is_the_sha256_of_it() -> None:
    assert hashing.of({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ((1, 2), [1, 2], True),
        (True, 1, False),
        ("1", 1, False),
        (None, False, False),
        (1e-4, 0.0001, True),
        (0.1 + 0.2, 0.3, False),
        ([], {}, False),
    ],
)
def test_what_is_the_same_value(one: Any, other: Any, same: bool) -> None:
    assert (hashing.of(one) == hashing.of(other)) is same


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], {"a": {1, 2}}, b"x"])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        hashing.canonical(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "\\ud" not in json.dumps(value))


@given(VALUES)
def test_canonical_survives_a_round_trip(value: Any) -> None:
    text = hashing.canonical(value)
    assert hashing.canonical(json.loads(text)) == text
    assert json.loads(text) == value


@given(st.dictionaries(st.text(st.characters(codec="ascii")), st.integers(), min_size=2, max_size=6))
def test_order_of_keys_is_irrelevant(value: dict[str, int]) -> None:
    assert hashing.of(value) == hashing.of(dict(reversed(value.items())))


def test_file_hashes_are_remembered_by_size_and_time(tmp_path: Path) -> None:
    path, memory = tmp_path / "data", tmp_path / "cache" / "digests.json"
    path.write_bytes(b"one")
    first = hashing.Digests(memory)
    assert first.of_file(path) == hashlib.sha256(b"one").hexdigest()
    first.save()
    path.write_bytes(b"two!")
    assert hashing.Digests(memory).of_file(path) == hashlib.sha256(b"two!").hexdigest()
    stat = path.stat()
    path.write_bytes(b"2wo!")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    assert hashing.Digests(memory).of_file(path) == hashlib.sha256(b"2wo!").hexdigest()
    assert [p.name for p in memory.parent.iterdir()] == ["digests.json"], "no temporary file is left"


def test_the_memory_is_really_used(tmp_path: Path) -> None:
    path, memory = tmp_path / "data", tmp_path / "digests.json"
    path.write_bytes(b"one")
    first = hashing.Digests(memory)
    first.of_file(path)
    first.save()
    held = json.loads(memory.read_text())
    memory.write_text(json.dumps(dict.fromkeys(held, "remembered")))
    assert hashing.Digests(memory).of_file(path) == "remembered"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\xff", '{"a": '])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, text: str) -> None:
    path, memory = tmp_path / "data", tmp_path / "digests.json"
    path.write_bytes(b"one")
    memory.write_text(text, encoding="latin-1")
    again = hashing.Digests(memory)
    assert again.of_file(path) == hashlib.sha256(b"one").hexdigest()
    again.save()
    assert len(json.loads(memory.read_text())) == 1


def test_a_file_replaced_at_the_same_time_is_hashed_anew(tmp_path: Path) -> None:
    """Size and modification time are what unpacking an archive may leave as they were."""
    path, memory = tmp_path / "data", tmp_path / "digests.json"
    path.write_bytes(b"one")
    first = hashing.Digests(memory)
    first.of_file(path)
    first.save()
    stat = path.stat()
    for data, is_new_file in ((b"two", True), (b"six", False)):
        if is_new_file:
            path.unlink()
        path.write_bytes(data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert path.stat().st_mtime_ns == stat.st_mtime_ns
        again = hashing.Digests(memory)
        assert again.of_file(path) == hashlib.sha256(data).hexdigest()
        again.save()
    assert len(json.loads(memory.read_text())) == 1, "one state of a file is remembered"


def test_the_memory_names_no_places_and_forgets_what_earlier_versions_wrote(tmp_path: Path) -> None:
    path, memory = tmp_path / "data", tmp_path / "digests.json"
    path.write_bytes(b"one")
    stat = path.stat()
    memory.write_text(json.dumps({f"{path}|{stat.st_size}|{stat.st_mtime_ns}": "0" * 64}))
    again = hashing.Digests(memory)
    assert again.of_file(path) == hashlib.sha256(b"one").hexdigest()
    again.save()
    assert str(tmp_path) not in memory.read_text()
    assert len(json.loads(memory.read_text())) == 1


def test_no_memory_no_file(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"")
    memory = hashing.Digests(None)
    assert memory.of_file(path) == hashlib.sha256(b"").hexdigest()
    memory.save()
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_place_that_cannot_be_written_is_of_no_consequence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    memory = hashing.Digests(tmp_path / "file" / "digests.json")
    memory.of_file(tmp_path / "file")
    memory.save()
    assert (tmp_path / "file").read_text() == "x"
