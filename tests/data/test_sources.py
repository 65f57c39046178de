"""Finding splits in a local folder: which files, in which order, and what is not accepted."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts.data.cards import files_of
from adaptstilts.data.sources import Sources
from adaptstilts.errors import DataError
from adaptstilts.io import hashing
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks import Source

SOURCE = Source("owner/name", "conf", "test")
CARD = """---
license: mit
configs:
- config_name: conf
  data_files:
  - split: test
    path: odd/place-*.parquet
  - split: train
    path: [one.parquet, two/*.parquet]
---
# A card
"""


def write(root: Path, name: str, rows: list[dict[str, Any]], repo: str = "owner/name") -> Path:
    """Write a parquet file of a repository."""
    path = root / repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


# Which files


@pytest.mark.parametrize(
    ("config", "split", "expected"),
    [
        ("conf", "test", ["conf/test-00000-of-00002.parquet", "conf/test-00001-of-00002.parquet"]),
        ("conf", "train", ["conf/train/0000.parquet"]),
        ("conf", "dev", ["conf/dev.parquet"]),
        ("other", "test", ["other/test-00000-of-00001.parquet"]),
        ("default", "test", ["data/test-00000-of-00001.parquet"]),
        ("default", "train", ["train-00000-of-00001.parquet"]),
        ("conf", "absent", []),
        ("absent", "test", []),
        ("con", "test", []),
    ],
)
def test_usual_names(config: str, split: str, expected: list[str]) -> None:
    names = [
        "conf/test-00001-of-00002.parquet",
        "conf/test-00000-of-00002.parquet",
        "conf/test-00000-of-00002.parquet.lock",
        "conf/train/0000.parquet",
        "conf/dev.parquet",
        "conf/latest-00000-of-00001.parquet",
        "other/test-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
        "conf/test.jsonl",
        "README.md",
    ]
    assert files_of("", names, config, split) == expected


def test_a_card_goes_before_the_usual_names() -> None:
    names = ["odd/place-1.parquet", "odd/place-0.parquet", "conf/test-0.parquet", "one.parquet", "two/x.parquet"]
    assert files_of(CARD, names, "conf", "test") == ["odd/place-0.parquet", "odd/place-1.parquet"]
    assert files_of(CARD, names, "conf", "train") == ["one.parquet", "two/x.parquet"]
    assert files_of(CARD, [*names, "conf/dev-0.parquet"], "conf", "dev") == [], "a card lists every split"
    assert files_of(CARD, ["conf/test-0.parquet"], "conf", "test") == [], "the card says where they are"


REFUSED = "refused"


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("configs: [conf]", REFUSED),
        ("configs: 5", REFUSED),
        ("configs: {config_name: conf}", REFUSED),
        ("configs:\n- config_name: conf\n  data_files: 5", REFUSED),
        ("configs:\n- config_name: conf\n  data_files: test.parquet", []),
        ("configs:\n- config_name: conf\n  data_files:\n  - split: [x]\n    path: {a: b}", REFUSED),
        ("configs: null", ["conf/test-0.parquet"]),
        ("- a list", ["conf/test-0.parquet"]),
        ("date: 2020-99-99", REFUSED),
        ("a: !!python/object:os.system x", REFUSED),
        ("a: [", REFUSED),
        ("a: " + "[" * 5000, REFUSED),
        ("a: &x [*x]", ["conf/test-0.parquet"]),
    ],
)
def test_a_strange_card(front: str, expected: Any) -> None:
    """Cards are written by others: one that may list files, but cannot be followed, is not as good as none."""
    if expected != REFUSED:
        assert files_of(f"---\n{front}\n---\n", ["conf/test-0.parquet"], "conf", "test") == expected
        return
    with pytest.raises(DataError) as caught:
        files_of(f"---\n{front}\n---\n", ["conf/test-0.parquet"], "conf", "test")
    assert str(caught.value).startswith("README.md:")
    assert "\n" not in str(caught.value)


@given(st.text("-:abcons[]{}&*! \n\t'\"0", max_size=60))
def test_any_card_is_survived(front: str) -> None:
    try:
        files = files_of(f"---\n{front}\n---\n", ["conf/test-0.parquet"], "conf", "test")
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert files == ["conf/test-0.parquet"]


def test_a_card_that_lists_other_splits_is_named(tmp_path: Path) -> None:
    write(tmp_path, "conf/dev-0.parquet", [{"a": 1}])
    (tmp_path / "owner/name/README.md").write_text(CARD)
    with pytest.raises(DataError) as caught:
        Sources(tmp_path).get(replace(SOURCE, split="dev"))
    card = tmp_path / "owner/name/README.md"
    assert str(caught.value).endswith(
        f"{card} lists only the split 'test', 'train' of this config; list it there as well"
    )


@pytest.mark.parametrize("names", [["test-00000-of-00002"], ["test-00000-of-00001", "test-00000-of-00001 (1)"]])
def test_a_set_of_shards_that_is_not_complete_and_exact(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write(tmp_path, f"conf/{name}.parquet", [{"a": 1}])
    with pytest.raises(
        DataError, match=r"owner/name/conf/test.*(expected 2 shards, found 1|\(1\)\.parquet: looks like)"
    ):
        Sources(tmp_path).find(SOURCE)


# Local roots


def test_a_split_of_two_files(tmp_path: Path) -> None:
    second = write(tmp_path, "conf/test-00001-of-00002.parquet", [{"a": 2}])
    first = write(tmp_path, "conf/test-00000-of-00002.parquet", [{"a": 1}])
    split = Sources(tmp_path).get(SOURCE)
    assert split.files == (first, second)
    assert split.digest == hashing.of([hashing.of_file(first), hashing.of_file(second)])
    assert split.source == SOURCE


def test_the_digest_is_of_the_content_and_not_the_place(tmp_path: Path) -> None:
    write(tmp_path / "one", "conf/test-00000-of-00001.parquet", [{"a": 1}])
    (tmp_path / "two/owner/name/odd").mkdir(parents=True)
    shutil.copyfile(
        tmp_path / "one/owner/name/conf/test-00000-of-00001.parquet", tmp_path / "two/owner/name/odd/place-7.parquet"
    )
    (tmp_path / "two/owner/name/README.md").write_text(CARD)
    assert Sources(tmp_path / "one").get(SOURCE).digest == Sources(tmp_path / "two").get(SOURCE).digest


def test_mirrors_are_tried_in_order(tmp_path: Path) -> None:
    write(tmp_path, "conf/test-0.parquet", [{"a": 2}], repo="mirror/two")
    source = replace(SOURCE, mirrors=tuple(replace(SOURCE, repo=repo) for repo in ("mirror/one", "mirror/two")))
    assert Sources(tmp_path).get(source).files[0].parts[-4:-2] == ("mirror", "two")
    write(tmp_path / "more", "conf/test-0.parquet", [{"a": 2}], repo="mirror/two")
    write(tmp_path / "more", "conf/test-0.parquet", [{"a": 1}])
    assert Sources(tmp_path / "more").get(source).files[0].parts[-4:-2] == ("owner", "name")


def test_a_missing_split(tmp_path: Path) -> None:
    write(tmp_path, "conf/train-0.parquet", [{"a": 1}])
    sources = Sources(tmp_path)
    assert sources.find(SOURCE) is None
    with pytest.raises(DataError, match=r"no split 'test' of config 'conf' in owner/name or a/mirror under "):
        sources.get(replace(SOURCE, mirrors=(replace(SOURCE, repo="a/mirror"),)))


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data root is not a folder"):
        Sources(tmp_path / "absent")


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-10], lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>404</html>"],
)
def test_a_file_that_is_not_parquet(tmp_path: Path, damage: Any) -> None:
    path = write(tmp_path, "conf/test-0.parquet", [{"a": i} for i in range(100)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        Sources(tmp_path).get(SOURCE)
    assert str(caught.value).startswith(f"{path}: not a readable parquet file")


def test_a_card_that_is_not_text(tmp_path: Path) -> None:
    path = write(tmp_path, "conf/test-0.parquet", [{"a": 1}])
    (tmp_path / "owner/name/README.md").write_bytes(b"\xff\xfe---")
    try:
        assert Sources(tmp_path).get(SOURCE).files == (path,)
    except DataError as error:
        assert "README.md" in str(error)  # noqa: PT017


def test_data_added_later_are_found_by_a_new_look(tmp_path: Path) -> None:
    """As a notebook does it: an error says what is missing, the user adds it and runs the same again."""
    write(tmp_path, "conf/train-0.parquet", [{"a": 1}])
    assert Sources(tmp_path).find(SOURCE) is None
    path = write(tmp_path, "conf/test-0.parquet", [{"language": "en"}])
    assert Sources(tmp_path).get(SOURCE).files == (path,)
    german = replace(SOURCE, where=("language", "de"))
    assert Sources(tmp_path).find(german) is None
    write(tmp_path, "conf/test-0.parquet", [{"language": "de"}])
    assert Sources(tmp_path).get(german).files == (path,)


# Where


def test_where_tells_the_languages_of_a_shared_file_apart(tmp_path: Path) -> None:
    write(tmp_path, "conf/test-0.parquet", [{"language": "en"}, {"language": "de"}])
    sources, source = Sources(tmp_path), replace(SOURCE, where=("language", "{code}"))
    german = sources.get(source.at(LANGUAGES["de"]))
    assert german.source.where == ("language", "de")
    assert german.files == sources.get(source.at(LANGUAGES["en"])).files
    assert sources.find(source.at(LANGUAGES["fr"])) is None
    with pytest.raises(DataError, match="no split"):
        sources.get(source.at(LANGUAGES["fr"]))


def test_where_needs_its_column(tmp_path: Path) -> None:
    path = write(tmp_path, "conf/test-0.parquet", [{"a": 1}])
    with pytest.raises(DataError) as caught:
        Sources(tmp_path).find(replace(SOURCE, where=("language", "de")))
    assert str(path) in str(caught.value)
    assert "'language'" in str(caught.value)


# Pins


def test_other_content_than_at_first_is_an_error(tmp_path: Path) -> None:
    path, pins = write(tmp_path / "data", "conf/test-0.parquet", [{"a": 1}]), tmp_path / "pins"
    first = Sources(tmp_path / "data", pins=pins).get(SOURCE)
    assert Sources(tmp_path / "data", pins=pins).get(SOURCE) == first
    write(tmp_path / "data", "conf/test-0.parquet", [{"a": 2}])
    with pytest.raises(DataError, match="is not what it was when it was first loaded") as caught:
        Sources(tmp_path / "data", pins=pins).get(SOURCE)
    (pin,) = pins.rglob("*.json")
    assert str(pin) in str(caught.value)
    assert Sources(tmp_path / "data").get(SOURCE).digest != first.digest
    pin.unlink()
    assert Sources(tmp_path / "data", pins=pins).get(SOURCE).files == (path,)


def test_the_pin_holds_wherever_the_data_lie(tmp_path: Path) -> None:
    write(tmp_path / "one", "conf/test-0.parquet", [{"a": 1}])
    Sources(tmp_path / "one", pins=tmp_path / "pins").get(SOURCE)
    write(tmp_path / "two", "conf/test-0.parquet", [{"a": 2}])
    with pytest.raises(DataError, match="is not what it was"):
        Sources(tmp_path / "two", pins=tmp_path / "pins").get(SOURCE)
    (pin,) = (tmp_path / "pins").rglob("*.json")
    assert str(tmp_path) not in pin.read_text()


def test_pins_of_different_splits_are_different_files(tmp_path: Path) -> None:
    for split in ("test", "dev"):
        write(tmp_path / "data", f"conf/{split}-0.parquet", [{"a": split}])
    for split in ("test", "dev"):
        Sources(tmp_path / "data", pins=tmp_path / "pins").get(replace(SOURCE, split=split))
    assert len(list((tmp_path / "pins").rglob("*.json"))) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_damaged_pin_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    """It cannot be told whether the content changed, so nobody may go on in silence."""
    write(tmp_path / "data", "conf/test-0.parquet", [{"a": 1}])
    Sources(tmp_path / "data", pins=tmp_path / "pins").get(SOURCE)
    (pin,) = (tmp_path / "pins").rglob("*.json")
    pin.write_text(text)
    with pytest.raises(DataError) as caught:
        Sources(tmp_path / "data", pins=tmp_path / "pins").get(SOURCE)
    assert str(pin) in str(caught.value)


def _load(root: Path, barrier: Any, splits: int, told: Any) -> None:
    barrier.wait()
    try:
        sources = Sources(root / "data", pins=root / "pins")
        for i in range(splits):
            sources.get(replace(SOURCE, split=f"s{i}"))
        told.put("")
    except Exception as error:
        told.put(repr(error))


def test_processes_may_pin_the_same_splits_at_once(tmp_path: Path) -> None:
    for i in range(100):
        write(tmp_path / "data", f"conf/s{i}-0.parquet", [{"a": i}])
    context = multiprocessing.get_context("fork")
    barrier, told = context.Barrier(4), context.Queue()
    running = [context.Process(target=_load, args=(tmp_path, barrier, 100, told)) for _ in range(4)]
    for process in running:
        process.start()
    assert [told.get(timeout=60) for _ in running] == [""] * 4
    for process in running:
        process.join()
    assert len(list((tmp_path / "pins").rglob("*.json"))) == 100
    for pin in (tmp_path / "pins").rglob("*.json"):
        assert set(json.loads(pin.read_text())) == {"sha256"}
    assert [p for p in (tmp_path / "pins").rglob("*") if p.is_file() and p.suffix != ".json"] == []


# Real data


def test_digests_of_real_data_do_not_depend_on_the_order_of_asking(shared: Path) -> None:
    source = Source("cambridgeltl/xcopa", "{code}", "test")
    one, other = Sources(shared / "hub"), Sources(shared / "hub")
    found = {code: one.find(source.at(LANGUAGES[code])) for code in ("et", "it", "zh")}
    again = {code: other.find(source.at(LANGUAGES[code])) for code in ("zh", "it", "et")}
    assert found == again
