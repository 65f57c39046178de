"""Parquet straight from its bytes: digests, shards that differ, class names by shard, and what unpacks to too much."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptstilts.data import parquet_tables
from adaptstilts.data.parquet_tables import read_tables
from adaptstilts.errors import DataError


def write(folder: Path, *tables: Any) -> list[Path]:
    """Write tables as shards."""
    paths = [folder / f"train-{number:05d}-of-{len(tables):05d}.parquet" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(table, path)
    return paths


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_replaced_at_the_same_time_is_read_anew_or_refused(tmp_path: Path) -> None:
    """The same path, size and modification time do not make it the same file."""
    (path,) = write(tmp_path, pa.table({"text": ["one", "two"]}))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    before, size = digest(path), path.stat().st_size
    assert read_tables([path], [before])[0]["text"].to_pylist() == ["one", "two"]
    write(tmp_path, pa.table({"text": ["two", "one"]}))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert path.stat().st_size == size
    assert read_tables([path])[0]["text"].to_pylist() == ["two", "one"]
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet: the file changed while it was in use"):
        read_tables([path], [before])


def test_every_type_survives(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a", None, ""],
            "tokens": [["x", "y"], [], None],
            "answers": [{"text": ["q"], "answer_start": [3]}, {"text": [], "answer_start": []}, None],
            "label": [0, 1, None],
            "score": [0.5, None, 1.0],
            "flag": [True, False, None],
        }
    )
    paths = write(tmp_path, table)
    read, names = read_tables(paths, [digest(paths[0])])
    assert read.equals(table)
    assert names == {}


def test_rows_over_several_batches_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where texts must be counted before they are unpacked, in groups of rows whose lists begin empty."""
    monkeypatch.setattr(parquet_tables, "BATCH", 7)
    monkeypatch.setattr(parquet_tables, "_bound", lambda *_: (["text", "lists.list.element"], parquet_tables.LIMIT + 1))
    texts = [[]] * 20 + [[str(n % 3), None] for n in range(30)]
    table = pa.table({"n": range(50), "text": [f"{n % 5}" for n in range(50)], "lists": texts})
    path = tmp_path / "train.parquet"
    pq.write_table(table, path, row_group_size=20)
    assert read_tables([path])[0].equals(table)


def encoded(values: Any, **options: Any) -> Any:
    """One column of texts as a file in memory."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": values}), sink, **options)
    return pa.BufferReader(sink.getvalue())


@pytest.mark.parametrize(
    "values",
    [
        ["a"] * 5000 + ["x" * 2**16] * 200,
        [None] * 5000 + ["x" * 2**16] * 200,
        [[]] * 5000 + [["x" * 2**16]] * 200,
        [{"b": None}] * 5000 + [{"b": ["x" * 2**16]}] * 200,
        ["a", "b"] * 100,
        [str(n) * 50 for n in range(3000)],
        [1, 2, 3],
        [],
        [True, None] * 500,
    ],
    ids=[
        "late",
        "after nulls",
        "after empty lists",
        "in a structure",
        "short",
        "all differ",
        "numbers",
        "none",
        "flags",
    ],
)
def test_a_group_of_rows_has_at_most_what_its_bound_says(values: list[Any]) -> None:
    content = encoded(values)
    file = pq.ParquetFile(content)
    for group in range(file.num_row_groups):
        most = parquet_tables._bound(content, file.metadata.row_group(group), group)[1]
        assert file.read_row_group(group).nbytes <= most < 2**30


def test_texts_that_share_their_beginnings_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(parquet_tables, "LIMIT", 2**20)
    path = tmp_path / "train.parquet"
    table = pa.table({"a": ["x" * 2**10 + str(n) for n in range(2000)]})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"})
    assert path.stat().st_size < 2**17
    with pytest.raises(DataError, match="its rows unpack to more than 0 GiB"):
        read_tables([path])
    assert read_tables(write(tmp_path, table.slice(0, 500)))[0].num_rows == 500


@pytest.mark.parametrize("first", [0, 1])
def test_columns_that_some_shards_lack_or_leave_null(tmp_path: Path, first: int) -> None:
    shards = [
        pa.table({"text": ["a"], "note": pa.nulls(1)}),
        pa.table({"text": ["b"], "note": ["seen"], "more": [1]}),
    ]
    rows = read_tables(write(tmp_path, *(shards if first == 0 else reversed(shards))))[0].to_pylist()
    expected = [{"text": "a", "note": None, "more": None}, {"text": "b", "note": "seen", "more": 1}]
    assert rows == (expected if first == 0 else expected[::-1])


def test_an_empty_shard_is_legitimate(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"]})
    assert read_tables(write(tmp_path, table, table.slice(0, 0)))[0].num_rows == 1
    assert read_tables(write(tmp_path, table.slice(0, 0)))[0].num_rows == 0


def test_columns_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    paths = write(tmp_path, pa.table({"text": ["a"]}), pa.table({"text": [["a"]]}))
    with pytest.raises(DataError, match=r"of train-00000-of-00002.parquet, train-00001-of-00002.parquet do"):
        read_tables(paths)


def classes(names: list[str], labels: list[int], listed: bool = False) -> Any:
    """A table with a column of classes, as ``datasets`` writes it."""
    feature: Any = datasets.ClassLabel(names=names)
    features = datasets.Features({"label": datasets.Sequence(feature) if listed else feature})
    values = [labels] if listed else labels
    return pa.table({"label": values}, schema=features.arrow_schema)


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    paths = write(tmp_path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(DataError, match="the column 'a' is there twice; rename one of them"):
        read_tables(paths)


def test_numbers_without_a_name_get_none_from_another_file(tmp_path: Path) -> None:
    """Nobody knows what they stand for: in the first file 2 is nothing, in the second it is a class."""
    paths = write(tmp_path, classes(["no", "yes"], [0, 2]), classes(["no", "yes", "maybe"], [2]))
    with pytest.raises(DataError, match=r"00000-of-00002.parquet: label: the number 2 has no class name here"):
        read_tables(paths)
    paths = write(tmp_path, pa.table({"label": [0]}), classes(["no", "yes"], [1]))
    with pytest.raises(DataError, match=r"00000-of-00002.parquet: label: the number 0 has no class name here"):
        read_tables(paths)
    paths = write(tmp_path, pa.table({"label": [-1, None]}), classes(["no", "yes"], [-1]))
    assert read_tables(paths)[0]["label"].to_pylist() == [-1, None, -1]


@pytest.mark.parametrize("listed", [False, True])
def test_class_names_of_each_shard_count(tmp_path: Path, listed: bool) -> None:
    """Shards that number the same classes differently; the first file's names used to be taken for all."""
    paths = write(
        tmp_path, classes(["no", "maybe", "yes"], [0, 0], listed), classes(["yes", "maybe", "no"], [0, 0], listed)
    )
    table, names = read_tables(paths)
    assert names == {"label": ["no", "maybe", "yes"]}
    assert table["label"].to_pylist() == ([[0, 0], [2, 2]] if listed else [0, 0, 2, 2])


def test_a_class_that_only_a_later_shard_has(tmp_path: Path) -> None:
    paths = write(tmp_path, classes(["no", "yes"], [1]), classes(["maybe", "no"], [0, 1]))
    table, names = read_tables(paths)
    assert names == {"label": ["no", "yes", "maybe"]}
    assert table["label"].to_pylist() == [1, 2, 0]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (path,) = write(tmp_path, pa.table({"text": ["a"]}))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"00001.parquet: not a readable parquet file \(.*\); copy or fetch it again"):
        read_tables([path])
    with pytest.raises(DataError, match=r"gone.parquet: cannot be read"):
        read_tables([tmp_path / "gone.parquet"])


BOMB = """
import sys, resource
from pathlib import Path
from adaptstilts.data.parquet_tables import read_tables
from adaptstilts.errors import DataError
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
try:
    read_tables([Path(sys.argv[1])])
except DataError as error:
    print(error)
"""


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    """5 GiB of one text behind a dictionary: a file of a few KB."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["x" * 2**20]))
    (path,) = write(tmp_path, pa.table({"text": text}))
    assert path.stat().st_size < 2**20
    done = subprocess.run([sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, timeout=120)
    assert "its rows unpack to more than 4 GiB; drop columns, or take some" in done.stdout, done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
