"""JSON files: one text for one value, and one clear error for whatever is wrong with a file."""

from __future__ import annotations

import json as plain
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts.errors import ArtifactError, DataError
from adaptstilts.io.json import json_type, read_object, to_text, write_json


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, '{"b": "ä", "a": [1, 2.5]}'),
        ({"ascii_only": True}, '{"b": "\\u00e4", "a": [1, 2.5]}'),
        ({"sort_keys": True}, '{"a": [1, 2.5], "b": "ä"}'),
        ({"indent": 1}, '{\n "b": "ä",\n "a": [\n  1,\n  2.5\n ]\n}'),
    ],
)
def test_the_text_of_a_value(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    value = {"b": "ä", "a": [1, 2.5]}
    assert to_text(value, **options) == text
    write_json(tmp_path / "a.json", value, **options, end="\n")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == text + "\n"
    assert read_object(tmp_path / "a.json", "thing") == value


def test_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", [float("inf")])
    assert to_text(float("nan"), allow_nan=True) == "NaN"


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    assert plain.loads(to_text(value, ascii_only=True)) == value


BAD = {
    "empty": (b"", "Expecting value"),
    "half": (b'{"a": 1', "Expecting ',' delimiter"),
    "not UTF-8": (b"\xff{}", "codec can't decode byte 0xff"),
    "deep": (b"[" * 100_000, "recursion"),
    "a list": (b"[1]", "expected a JSON object, found a list"),
    "a number": (b"3.5", "expected a JSON object, found a number"),
    "nothing": (b"null", "expected a JSON object, found nothing"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_not_an_object(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_object(path, "head card")
    assert str(caught.value).startswith(f"{path}: not a readable head card (")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=f"not a readable pin .*{reason}"):
            read_object(path, "pin", DataError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_what_might_never_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ArtifactError, match="expected a regular file, found a device, a pipe or a socket"):
            read_object(tmp_path / name, "head card")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_where_asked(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"a": {text}}}')
    assert set(read_object(path, "config")) == {"a"}
    with pytest.raises(ArtifactError, match=f"{text} is not a JSON number"):
        read_object(path, "config", finite=True)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_object(path, "config", max_bytes=8) == {"a": 1}
    with pytest.raises(ArtifactError, match="larger than 7 bytes"):
        read_object(path, "config", max_bytes=7)


@pytest.mark.parametrize(
    ("value", "words"), [({}, "an object"), ([], "a list"), ("", "text"), (True, "true or false"), (1, "a number")]
)
def test_types_in_words(value: object, words: str) -> None:
    assert json_type(value) == words
