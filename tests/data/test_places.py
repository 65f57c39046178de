"""Mirrors in other layouts and splits of several places: what is found, its identity, and what errors name."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import REMEDY, Example, Examples, read, text_problem
from adaptstilts.data.sources import Sources, Split, byte_size, row_count
from adaptstilts.errors import DataError
from adaptstilts.io import hashing
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks import Source, Task

ONE = Source("owner/one", "plain", "train_r1")
TWO = Source("owner/one", "plain", "train_r2")
OTHER = Source("owner/other", "mnli", "train", where=("genre", "fiction"))
UNION = replace(ONE, more=(TWO, OTHER))
TASK = Task(
    name="toy",
    kind="classification",
    languages=("en",),
    columns={"text_a": "text", "label": "gold"},
    labels=("yes", "no"),
    no_gold=(-1,),
)
FIRST_LOADED = (  # a parquet file to the byte, whichever version of a library writes others
    "UEFSMRUAFSgVKCwVBBUAFQYVBhwAAAACAAAABAEDAAAAb25lAwAAAHR3bxUEGSw1ABgGc2NoZW1hFQIAFQwlAhgEdGV4dCUATBwAAAAWBBkcGRwm"
    "ABwVDBklBgAZGAR0ZXh0FQAWBBZOFk4mCEkcFQAVABUCADwWDBkGGSYABAAAABZOFgQmCBZOACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAy"
    "Ni4wLjEZHBwAAACIAAAAUEFSMQ=="
)
DIGEST = "7a80c6ea414f10e43d316e3e4790f6e9f2b53f4a3b1bf218e2e85cfd593fca30"
IDENTITY = "0b48cf64c37d17b333771924427b5d142fe5a8570bbf50b2062d417d2734d01f"


def put(root: Path, source: Source, rows: list[dict[str, Any]], number: int = 0) -> Path:
    """A parquet file of a source."""
    path = root / source.repo / source.config / f"{source.split}-{number:05}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def rows(*golds: Any, name: str = "t", **more: Any) -> list[dict[str, Any]]:
    return [{"text": f"{name}{i}", "gold": gold, **more} for i, gold in enumerate(golds)]


def check(example: Example, task: Task) -> str | None:
    return text_problem(example, "text_a")


def taken(split: Split, task: Task = TASK, **more: Any) -> Examples:
    return read(split, task, check, **more)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rounds, the second in two files, and another data set whose labels have names in another order."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "root"
    put(root, ONE, rows(0, 1, -1, name="one"))
    put(root, TWO, rows(1, 1, name="two", uid="x"), 0)
    put(root, TWO, rows(0, name="three", uid="x"), 1)
    names = datasets.ClassLabel(names=["no", "yes"])
    text = datasets.Value("string")
    features = datasets.Features({"genre": text, "text": text, "gold": names})
    held = [{"genre": genre, "text": f"{genre}{i}", "gold": i % 2} for i, genre in enumerate(["fiction", "news"] * 3)]
    path = put(root, OTHER, [])
    datasets.Dataset.from_list(held, features=features).to_parquet(str(path))
    return root


# Identity


def test_the_digest_of_one_place_is_what_it_always_was(tmp_path: Path) -> None:
    """Content keys of all results so far hold it."""
    path = tmp_path / "owner/one/plain/train_r1-0.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(base64.b64decode(FIRST_LOADED))
    for source in (ONE, replace(ONE, where=("text", "one")), replace(ONE, repo="gone/one", mirrors=(ONE,))):
        split = Sources(tmp_path).get(source)
        assert (split.digest, split.identity(1)) == (DIGEST, IDENTITY)


def test_the_digest_of_several_covers_all_in_order(root: Path) -> None:
    sources = Sources(root)
    split = sources.get(UNION)
    each = [sources.get(source).digest for source in (ONE, TWO, OTHER)]
    assert split.digest == hashing.of(each)
    assert [part.digest for part in split.parts] == each
    assert sources.get(replace(ONE, more=(OTHER, TWO))).digest != split.digest
    assert len({*each, split.digest, split.identity(1), split.identity(2)}) == 6


def test_what_was_found_is_found_again_by_its_own_source(root: Path) -> None:
    asked = replace(UNION, repo="gone/one", mirrors=(ONE,))
    split = Sources(root).get(asked)
    assert split.source == UNION
    assert Sources(root).get(split.source) == split
    assert str(split.source) == "owner/one plain train_r1 + owner/one plain train_r2 + owner/other mnli train"


# Several places


def test_rows_follow_each_other(root: Path) -> None:
    split = Sources(root).get(UNION)
    found = taken(split)
    texts = ["one0", "one1", "two0", "two1", "three0", "fiction0", "fiction2", "fiction4"]
    assert [row["text_a"] for row in found.rows] == texts
    assert [row["label"] for row in found.rows] == [0, 1, 1, 1, 0, 1, 1, 1], "label names are those of each file"
    assert (found.ids, found.total) == ([0, 1, 3, 4, 5, 6, 7, 8], 8)
    assert found.dropped == {"no gold label (-1)": 1}
    assert taken(split, limit=3).ids == [i for i in taken(split, limit=3).ids if i in found.ids]


def test_rows_are_counted_without_reading_them(root: Path) -> None:
    sources = Sources(root)
    assert row_count(sources.get(UNION)) == 3 + 3 + 3
    assert [row_count(sources.get(source)) for source in (ONE, TWO, OTHER)] == [3, 3, 3]
    whole = sources.get(replace(OTHER, where=None))
    assert byte_size(sources.get(OTHER)) == pytest.approx(byte_size(whole) / 2, abs=1)
    assert byte_size(sources.get(UNION)) == sum(byte_size(part) for part in sources.get(UNION).parts)


@pytest.mark.parametrize("gone", [ONE, TWO, OTHER])
def test_a_part_that_is_missing(root: Path, gone: Source) -> None:
    for path in (root / gone.repo / gone.config).glob(f"{gone.split}-*"):
        path.unlink()
    assert Sources(root).find(UNION) is None
    with pytest.raises(DataError, match=f"no split '{gone.split}' of config '{gone.config}'.* in {gone.repo} under "):
        Sources(root).get(UNION)


@pytest.mark.parametrize(
    ("source", "number", "place"),
    [(ONE, 0, "row 1"), (TWO, 0, "row 1"), (TWO, 1, "row 1")],
)
def test_errors_name_the_file_and_its_row(root: Path, source: Source, number: int, place: str) -> None:
    path = put(root, source, rows(0, 7, uid="x"), number)
    with pytest.raises(DataError) as caught:
        taken(Sources(root).get(UNION))
    assert str(caught.value) == f"{path}: {place}: gold: expected one of yes, no, found 7; {REMEDY}"


def test_errors_count_rows_of_the_file_and_not_of_those_kept(root: Path) -> None:
    held = (("news", 9), ("fiction", 0), ("fiction", 5))
    path = put(root, OTHER, [{"genre": genre, "text": genre, "gold": gold} for genre, gold in held])
    with pytest.raises(DataError) as caught:
        taken(Sources(root).get(UNION))
    assert str(caught.value) == f"{path}: row 2: gold: expected one of yes, no, found 5; {REMEDY}"


def test_offenders_of_several_files(root: Path) -> None:
    first, second = put(root, ONE, rows(7, 8)), put(root, TWO, rows(9, 9, uid="x"))
    with pytest.raises(DataError) as caught:
        taken(Sources(root).get(UNION))
    told = str(caught.value)
    assert told.startswith(f"{first}: row 0: gold: ")
    assert f"found 8; {second}: row 0: gold: expected one of yes, no, found 9 (4 such rows)" in told


def test_a_column_that_one_part_lacks(root: Path) -> None:
    path = put(root, TWO, [{"text": "a", "label": 0}])
    path.with_name("train_r2-00001.parquet").unlink()
    with pytest.raises(DataError) as caught:
        taken(Sources(root).get(UNION))
    assert str(caught.value) == f"{path}: no column 'gold'; found text, label"


def test_labels_that_one_part_names_otherwise(root: Path) -> None:
    with pytest.raises(DataError, match=r"other/mnli/train-00000\.parquet: label has the labels no, yes; toy declares"):
        taken(Sources(root).get(UNION), replace(TASK, labels=("a", "b")))


# Mirrors


def test_a_mirror_in_another_layout(root: Path) -> None:
    """As XNLI: one data set has a config a language, the other one file of all."""
    mirror = replace(OTHER, where=("genre", "{lower}*"))
    task = Source("gone/xnli", "{code}", "test", mirrors=(replace(ONE, split="no"), mirror))
    news = replace(LANGUAGES["en"], code="ns", name="News")
    split = Sources(root).get(task.at(news))
    assert (split.source, row_count(split)) == (replace(OTHER, where=("genre", "news*")), 3)
    assert [row["text_a"] for row in taken(split).rows] == ["news1", "news3", "news5"]
    assert Sources(root).find(task.at(LANGUAGES["de"])) is None
    with pytest.raises(DataError) as caught:
        Sources(root).get(task.at(LANGUAGES["de"]))
    assert "'de' in gone/xnli or owner/one plain no or owner/other mnli train under " in str(caught.value)


def test_the_source_goes_before_its_mirrors(root: Path) -> None:
    sources = Sources(root)
    assert sources.get(replace(ONE, mirrors=(TWO,))).source == ONE
    assert sources.get(replace(ONE, mirrors=(TWO,), where=("text", "two*"))).source == TWO, "it has no such rows"


def test_a_mirror_of_several_places_and_a_source_with_more(root: Path) -> None:
    gone = Source("gone/all", "plain", "train", mirrors=(replace(ONE, more=(TWO,)),))
    assert Sources(root).get(gone).source == replace(ONE, more=(TWO,))
    whole = Sources(root).get(replace(gone, more=(replace(gone, mirrors=(OTHER,)),)))
    assert whole == Sources(root).get(UNION)
    assert Sources(root).find(replace(gone, more=(gone, replace(gone, mirrors=())))) is None


def test_placeholders_are_filled_in_everywhere() -> None:
    part = Source("a/b", "{iso3}-{set}", "{name}", where=("id", "{lower}-*"))
    filled = replace(part, mirrors=(replace(part, more=(part,)),), more=(part,)).at(LANGUAGES["ko"], "{code}")
    for source in (filled, filled.mirrors[0], filled.mirrors[0].more[0], filled.more[0]):
        assert (source.config, source.split, source.where) == ("kor-ko", "Korean", ("id", "korean-*"))


# Real data


def test_languages_told_apart_by_the_beginning_of_an_id(shared: Path) -> None:
    sources = Sources(shared / "hub")
    tests = Source("google/xtreme", "tydiqa", "validation", where=("id", "{lower}-*"))
    count = {code: row_count(sources.get(tests.at(LANGUAGES[code]))) for code in "ar bn en fi id ko ru sw te".split()}
    assert count == {"ar": 921, "bn": 113, "en": 440, "fi": 782, "id": 565, "ko": 276, "ru": 812, "sw": 499, "te": 669}
    train = sources.get(replace(tests, split="train").at(LANGUAGES["en"]))
    found = read(train, tasks.get("squad"), kinds.get("span").check, limit=50)
    assert (found.total, row_count(train)) == (3696, 3696)
    assert all(row["id"].startswith("english-") for row in found.rows)
    assert sources.find(tests.at(LANGUAGES["de"])) is None


def test_three_rounds_of_a_real_data_set(shared: Path) -> None:
    rounds = [Source("facebook/anli", "plain_text", f"dev_r{i}") for i in (1, 2, 3)]
    split = Sources(shared / "hub").get(replace(rounds[0], more=tuple(rounds[1:])))
    found = read(split, tasks.get("mnli"), kinds.get("classification").check)
    assert (row_count(split), found.total, len(found.ids)) == (3198, 3198, 3198)
    assert found.ids == list(range(3198))
