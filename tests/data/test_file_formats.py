"""Files of rows: TSV and lines of text, kept to the byte or refused, and columns that tell rows apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptstilts.data import file_formats
from adaptstilts.data.examples import REMEDY, Example, read
from adaptstilts.data.sources import Sources, byte_size, row_count
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.io import hashing
from adaptstilts.tasks import Source, Task
from adaptstilts.tasks.base import Row

BOM = b"\xef\xbb\xbf"
TSV = Source("local/ccg", "default", "train", format="tsv")
TEXT = Source("local/wiki", "en", "train", format="text")


def put(root: Path, name: str, data: bytes) -> Path:
    """A file of a data root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def table(path: Path, form: str) -> list[dict[str, Any]]:
    return list(file_formats.read([path], form)[0].to_pylist())


# Text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"\n", [""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\nb", ["a\r", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (BOM, []),
        (BOM + b"a\n" + BOM + b"b", ["a", "\ufeffb"]),
        (BOM + b"\na", ["", "a"]),
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\x85c\x0bd\x0ce\x1cf"]),
        (b" a\t\x00b \n", [" a\t\x00b "]),
    ],
)
def test_lines(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    path = put(tmp_path, "a.txt", data)
    assert table(path, "text") == [{"text": line} for line in expected]
    assert file_formats.count(path, "text") == len(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"))), st.sampled_from(["\n", "\r\n"]))
def test_any_text_comes_back(tmp_path: Path, texts: list[str], end: str) -> None:
    path = put(tmp_path, "a.txt", BOM + "".join(text + end for text in texts).encode())
    assert [row["text"] for row in table(path, "text")] == texts


@pytest.mark.parametrize(
    ("data", "line", "at"),
    [
        (b"ab\xffc\n", 1, 2),
        (b"ab\n\xe4\n", 2, 3),
        (BOM + b"ab\nc\xc3\n", 2, 7),
        (BOM + b"\xfe", 1, 3),
        ("grün".encode("utf-16"), 1, 0),
        (b"\xed\xa0\x80", 1, 0),
    ],
)
def test_what_is_not_utf8_is_told_by_its_byte(tmp_path: Path, data: bytes, line: int, at: int) -> None:
    path = put(tmp_path, "a.txt", data)
    for use in (file_formats.count, table):
        with pytest.raises(DataError) as caught:
            use(path, "text")
        assert str(caught.value) == f"{path}:{line}: byte {at} of the file is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize("form", ["text", "tsv", "jsonl"])
def test_a_line_that_is_too_long(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_formats, "LONGEST_LINE", 20)
    path = put(tmp_path, "a.txt", b'{"a": 1}\n{"a": "' + b"x" * 100)
    for use in (file_formats.count, table):
        with pytest.raises(DataError, match=r"a.txt:2: a line of more than 20 bytes; expected one row a line"):
            use(path, form)


# TSV


def test_fields_are_apart_by_tabs_and_nothing_is_quoted(tmp_path: Path) -> None:
    path = put(tmp_path, "a.tsv", BOM + b'"a\tb"\t""\r\n\t#\t\n')
    assert table(path, "tsv") == [{"0": '"a', "1": 'b"', "2": '""'}, {"0": "", "1": "#", "2": ""}]
    assert file_formats.count(path, "tsv") == 2


@pytest.mark.parametrize("data", [b"a\tb\nc\n", b"a\tb\nc\td\te\n"])
def test_a_line_with_another_number_of_fields(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path, "local/ccg/default/train.tsv", data)
    with pytest.raises(DataError) as caught:
        Sources(tmp_path).find(TSV)
    assert str(caught.value).startswith(f"{path}:2: expected 2 fields, as in line 1, found ")


@pytest.mark.parametrize("end", ["\n", "\n\n", " \n", "\r\n", " "])
def test_a_blank_last_line_is_no_row(tmp_path: Path, end: str) -> None:
    """Some editors add one; in between it is an error."""
    tsv = put(tmp_path, "a.tsv", b"de-1\tx\nde-2\ty\n" + end.encode())
    jsonl = put(tmp_path, "a.jsonl", b'{"a": 1}\n{"a": 2}\n' + end.encode())
    squad = put(tmp_path, "a.json", b'{"data": [{"paragraphs": [{"a": 1}, {"a": 2}]}]}\n' + end.encode())
    for path, form in ((tsv, "tsv"), (jsonl, "jsonl"), (squad, "squad")):
        assert len(table(path, form)) == file_formats.count(path, form) == 2
    with pytest.raises(DataError, match=r"b\.tsv:2: expected 2 fields, as in line 1, found 1"):
        table(put(tmp_path, "b.tsv", b"de-1\tx\n\nde-2\ty\n"), "tsv")


def test_blank_last_lines_of_aligned_files(tmp_path: Path) -> None:
    """One side may end in a blank line that the other lacks; a text that is missing on one side stays a row."""
    sides = put(tmp_path, "x.de", b"eins\nzwei\n\n"), put(tmp_path, "x.en", b"one\ntwo\n")
    assert file_formats.read(sides, "parallel")[0].to_pylist() == [
        {"de": "eins", "en": "one"},
        {"de": "zwei", "en": "two"},
    ]
    sides = put(tmp_path, "x.de", b"eins\n\n"), put(tmp_path, "x.en", b"one\ntwo\n")
    assert file_formats.read(sides, "parallel")[0].to_pylist() == [{"de": "eins", "en": "one"}, {"de": "", "en": "two"}]


def test_files_with_different_numbers_of_fields(tmp_path: Path) -> None:
    put(tmp_path, "local/ccg/default/train-0.tsv", b"")
    put(tmp_path, "local/ccg/default/train-1.tsv", b"a\tb\n")
    third = put(tmp_path, "local/ccg/default/train-2.tsv", b"a\n")
    split = Sources(tmp_path).get(TSV)
    with pytest.raises(DataError) as caught:
        file_formats.read(split.files, "tsv")
    assert str(caught.value) == f"{third}: expected 2 fields, as train-1.tsv has, found 1"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: cannot be read"):
        list(file_formats.lines(tmp_path / "gone.txt"))


# Users' own files, from the data root to examples


def adapted(row: Row) -> dict[str, Any]:
    return {"tokens": row["0"].split(" "), "tags": row["1"].split(" ")}


CCG = Task(
    name="mine",
    kind="tagging",
    languages=("en",),
    columns={"tokens": "tokens", "tags": "tags"},
    adapt=adapted,
    labels=("N", "N/N", "."),
    train=TSV,
)


def same_length(example: Example, task: Task) -> str | None:
    return None if len(example["tags"]) == len(example["tokens"]) else "tags: not one per word"


def test_supertags_from_a_file_of_ones_own(tmp_path: Path) -> None:
    put(tmp_path, "local/ccg/default/train-0.tsv", b"a dog .\tN/N N .\n")
    second = put(tmp_path, "local/ccg/default/train-1.tsv", b'"\tN\n')
    put(tmp_path, "local/ccg/default/train-0.txt", b"not a table")
    split = Sources(tmp_path).get(TSV)
    assert [path.name for path in split.files] == ["train-0.tsv", "train-1.tsv"]
    assert (row_count(split), byte_size(split)) == (2, sum(path.stat().st_size for path in split.files))
    found = read(split, CCG, same_length)
    assert found.rows == [{"tokens": ["a", "dog", "."], "tags": [1, 0, 2]}, {"tokens": ['"'], "tags": [0]}]
    second.write_bytes(b"a b\tN N\nc\tX\n")
    with pytest.raises(DataError) as caught:
        read(Sources(tmp_path).get(TSV), CCG, same_length)
    assert str(caught.value) == f"{second}: line 2: tags: expected one of N, N/N, ., found 'X'; {REMEDY}"


def test_a_file_without_rows(tmp_path: Path) -> None:
    path = put(tmp_path, "local/ccg/default/train.tsv", b"")
    with pytest.raises(DataError) as caught:
        read(Sources(tmp_path).get(TSV), CCG, same_length)
    assert str(caught.value) == f"{path}: no usable rows for mine"


def test_text_of_ones_own(tmp_path: Path) -> None:
    put(
        tmp_path,
        "local/wiki/README.md",
        b"---\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: x*\n---\n",
    )
    path = put(tmp_path, "local/wiki/x.txt", b"one\ntwo\n")
    split = Sources(tmp_path).get(TEXT)
    assert (split.files, row_count(split)) == ((path,), 2)
    task = Task(name="text", kind="masked", languages=("en",), columns={"text": "text"}, train=TEXT)
    assert [row["text"] for row in read(split, task, lambda example, task: None).rows] == ["one", "two"]
    with pytest.raises(DataError, match=r"x\.txt: no column 'sentence'; found text"):
        read(split, Task(name="text", kind="masked", languages=("en",), columns={"text": "sentence"}), same_length)


def test_what_a_missing_file_should_be_called(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected files like local/ccg/default/train-\*\.tsv"):
        Sources(tmp_path).get(TSV)


def test_a_format_that_nobody_reads(tmp_path: Path) -> None:
    told = "expected the format parquet, tsv, text, jsonl, squad, parallel, found 'csv'"
    with pytest.raises(ConfigError, match=told):
        Sources(tmp_path).find(Source("a/b", "c", "d", format="csv"))  # type: ignore[arg-type]


# Where


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_rows_told_apart_by_the_beginning_of_a_value(tmp_path: Path, kind: Any) -> None:
    path = put(tmp_path, "a.parquet", b"")
    values = ["english-1", None, "English-2", "english", "english-", "old-english-3", "english-4"]
    pq.write_table(pa.table({"id": pa.array(values).cast(kind)}), path)
    held = pq.read_table(path)
    kept, numbers = file_formats.select(held, ("id", "english-*"), path)
    assert (kept["id"].to_pylist(), numbers) == (["english-1", "english-", "english-4"], [0, 4, 6])
    assert file_formats.select(held, ("id", "english"), path)[1] == [3]
    assert file_formats.select(held, ("id", "*"), path)[1] == [0, 2, 3, 4, 5, 6]
    tally = file_formats.tally(path, "parquet", "id")
    for wanted, count in (("english-*", 3), ("english", 1), ("*", 6), ("e", 0)):
        assert sum(n for value, n in tally.items() if file_formats.matches(value, wanted)) == count


def test_a_column_without_plain_values(tmp_path: Path) -> None:
    path = put(tmp_path, "a.parquet", b"")
    pq.write_table(pa.table({"id": [["a"]], "n": [3]}), path)
    with pytest.raises(DataError, match=r"a\.parquet: column 'id': expected text, found list"):
        file_formats.tally(path, "parquet", "id")
    with pytest.raises(DataError, match=r"a\.parquet: no column 'x'; found id, n"):
        file_formats.tally(path, "parquet", "x")
    assert file_formats.tally(path, "parquet", "n") == {"3": 1}


def test_counts_are_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", b"a\nb\n")
    assert file_formats.count(path, "text") == 2
    path.write_bytes(b"a\nb\nc\n")
    assert file_formats.count(path, "text") == 3


# The same bytes


CONTENTS = {
    "parquet": None,
    "tsv": (b"a\tb\n", b"b\ta\n"),
    "text": (b"one\n", b"two\n"),
    "jsonl": (b'{"a": 1}\n', b'{"a": 2}\n'),
    "squad": (b'{"data": [{"paragraphs": [{"a": 1}]}]}', b'{"data": [{"paragraphs": [{"a": 2}]}]}'),
}


def states(form: str) -> tuple[bytes, bytes]:
    """Two contents of equal length."""
    contents = CONTENTS[form]
    if contents:
        return contents
    first, second = pa.BufferOutputStream(), pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1, 2]}), first)
    pq.write_table(pa.table({"a": [2, 1]}), second)
    return first.getvalue().to_pybytes(), second.getvalue().to_pybytes()


def replaced(path: Path, data: bytes) -> None:
    """Put other bytes of the same length at the same modification time, as unpacking an archive may do."""
    before = path.stat()
    assert len(data) == before.st_size
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("form", CONTENTS)
def test_rows_are_those_of_the_bytes_that_were_hashed(tmp_path: Path, form: str) -> None:
    """The same path, size and modification time with other bytes: every store has the rows of its own digest."""
    source = Source("owner/name", "conf", "test", format=form)  # type: ignore[arg-type]
    first, second = states(form)
    path = put(tmp_path / "root", f"owner/name/conf/test{file_formats.SUFFIXES[form]}", first)
    sources = [Sources(tmp_path / "root", memory=hashing.Digests(tmp_path / "digests.json"))]
    before = sources[0].get(source)
    sources[0].memory.save()
    rows = file_formats.read(before.files, form, before.sha256)[0]
    replaced(path, second)
    with pytest.raises(DataError, match="the file changed while it was in use; run the same command again"):
        file_formats.read(before.files, form, before.sha256)
    after = Sources(tmp_path / "root", memory=hashing.Digests(tmp_path / "digests.json")).get(source)
    assert after.sha256 == (hashing.of_file(path),) != before.sha256
    assert after.digest != before.digest
    assert not file_formats.read(after.files, form, after.sha256)[0].equals(rows)


def test_aligned_files_are_those_that_were_hashed(tmp_path: Path) -> None:
    files = [put(tmp_path, name, b"one\n") for name in ("a.de", "a.en")]
    digests = [hashing.of_file(path) for path in files]
    assert file_formats.read(files, "parallel", digests)[0].to_pylist() == [{"de": "one", "en": "one"}]
    replaced(files[1], b"two\n")
    with pytest.raises(DataError, match=r"a\.en: the file changed while it was in use"):
        file_formats.read(files, "parallel", digests)


def test_counts_know_a_file_replaced_at_the_same_time(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", b"a\nb\n")
    assert file_formats.count(path, "text") == 2
    replaced(path, b"a b\n")
    assert file_formats.count(path, "text") == 1


def test_no_copy_of_the_data_is_left_anywhere(tmp_path: Path) -> None:
    """Rows used to be copied into the cache of the Hugging Face libraries."""
    script = (
        "import sys; from pathlib import Path; from adaptstilts.data import file_formats;"
        "print(file_formats.read([Path(sys.argv[1])], 'parquet')[0].num_rows)"
    )
    path = put(tmp_path, "data/a.parquet", states("parquet")[0])
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
    assert [path for path in home.rglob("*") if path.is_file()] == []
