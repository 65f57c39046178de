"""Two text files of translations as one table, as LASER's Tatoeba has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import read
from adaptstilts.data.sources import Sources, row_count
from adaptstilts.errors import DataError
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks import Source

TASK = tasks.get("tatoeba_laser")


def write(root: Path, iso3: str, foreign: list[str], english: list[str]) -> Path:
    folder = root / "laser/tatoeba/v1"
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in ((iso3, foreign), ("eng", english)):
        (folder / f"tatoeba.{iso3}-eng.{name}").write_text("".join(f"{t}\n" for t in texts), encoding="utf-8")
    return folder


@pytest.mark.parametrize("code", ["ang", "zh", "wuu"])  # names before and after eng
def test_both_sides(tmp_path: Path, code: str) -> None:
    write(tmp_path, LANGUAGES[code].iso3, ["eins, zwei", "", 'drei\t"vier'], ["one, two", "nothing", "three four"])
    assert TASK.test is not None
    split = Sources(tmp_path).get(TASK.test.at(LANGUAGES[code]))
    assert len(split.files) == 2
    assert row_count(split) == 3
    found = read(split, TASK, kinds.get("bitext").check)
    assert [row["foreign"] for row in found.rows] == ["eins, zwei", "", 'drei\t"vier']
    assert [row["english"] for row in found.rows] == ["one, two", "nothing", "three four"]
    assert found.ids == [0, 1, 2]


def test_another_order_of_files_is_no_other_data(tmp_path: Path) -> None:
    write(tmp_path, "ang", ["a"], ["b"])
    assert TASK.test is not None
    here = Sources(tmp_path).get(TASK.test.at(LANGUAGES["ang"]))
    write(tmp_path / "other", "ang", ["b"], ["a"])
    there = Sources(tmp_path / "other").get(TASK.test.at(LANGUAGES["ang"]))
    assert here.digest != there.digest


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    assert TASK.test is not None
    folder = write(tmp_path, "ang", ["a", "b"], ["c"])
    split = Sources(tmp_path).get(TASK.test.at(LANGUAGES["ang"]))
    with pytest.raises(DataError, match=r"tatoeba.ang-eng.eng: expected 2 lines, as tatoeba.ang-eng.ang has, found 1"):
        read(split, TASK, kinds.get("bitext").check)
    (folder / "tatoeba.ang-eng.eng").unlink()
    split = Sources(tmp_path).get(TASK.test.at(LANGUAGES["ang"]))
    with pytest.raises(DataError, match=r"expected two files of translations, line by line, found tatoeba.ang-eng.ang"):
        read(split, TASK, kinds.get("bitext").check)


def test_a_missing_one_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected files like laser/tatoeba/v1/tatoeba.afr-eng\.\*"):
        Sources(tmp_path).get(Source("laser/tatoeba", "v1", "tatoeba.afr-eng", format="parallel"))


def test_the_whole_set_holds_those_of_the_benchmarks() -> None:
    assert len(TASK.languages) == 112
    assert set(tasks.get("tatoeba").languages) < set(tasks.get("tatoeba_r").languages) < set(TASK.languages)
    names = {LANGUAGES[code].iso3 for code in TASK.languages}
    assert {"lvs", "cmn", "pes", "swh", "zsm", "nob", "kzj", "tzl"} <= names
    assert "eng" not in names
