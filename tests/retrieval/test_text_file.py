"""Text files of one sentence a line: what is a sentence, which are equal, and where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.errors import DataError
from adaptstilts.models import graphemes
from adaptstilts.retrieval.text_file import scan


def written(folder: Path, content: bytes) -> Path:
    path = folder / "text.txt"
    path.write_bytes(content)
    return path


def test_empty_and_repeated_lines_are_counted(tmp_path: Path) -> None:
    found = scan(written(tmp_path, "\ufeffone\n\n two \r\none\n\t\nтри\nlast".encode()))
    assert list(found.texts(slice(None))) == ["one", "two", "три", "last"]
    assert found.numbers.tolist() == [1, 3, 6, 7]
    assert (found.total, found.empty, found.repeated) == (7, 2, 1)
    assert list(found.texts([3, 0])) == ["last", "one"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=4), max_size=12))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    found = scan(written(tmp_path_factory.mktemp("lines"), "\n".join(lines).encode()))
    sentences = [line.removeprefix("\ufeff").strip() for line in lines]
    expected = dict.fromkeys(sentence for sentence in sentences if graphemes.has_visible(sentence))
    assert list(found.texts(slice(None))) == list(expected)
    assert [sentences[number - 1] for number in found.numbers] == list(expected)


def test_no_line(tmp_path: Path) -> None:
    found = scan(written(tmp_path, b""))
    assert (len(found), found.total) == (0, 0)
    assert list(found.texts(slice(None))) == []


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, b"one\ntwo\n")
    found = scan(path)
    path.write_bytes(b"three\n")
    with pytest.raises(DataError, match=r"text.txt: changed while it was mined"):
        list(found.texts(slice(None)))
    path.unlink()
    with pytest.raises(DataError, match=r"text.txt: can no longer be read \(No such file"):
        list(found.texts(slice(None)))


@pytest.mark.parametrize("end", [b"", b"\nlast\n"])
def test_a_line_that_is_too_long(tmp_path: Path, end: bytes) -> None:
    longest = b"word " * 199_999 + b"word"
    assert len(scan(written(tmp_path, b"one\n" + longest + b"\n"))) == 2
    with pytest.raises(DataError, match=r"text.txt:2: a line of more than 1,000,000 bytes; expected one sentence"):
        scan(written(tmp_path, b"one\n" + longest * 2 + end))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="not a regular file; expected a text file, one sentence per line"):
            scan(path)


def test_what_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "gut\nschön\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"text.txt:2: not UTF-8 \(byte 4 of the line\); convert"):
        scan(path)
    with pytest.raises(DataError, match=r"nothing\.txt: cannot be read"):
        scan(tmp_path / "nothing.txt")
