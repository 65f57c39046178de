"""What comparisons read of an entry: values of every example, and which examples of several languages are one item."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptstilts import tasks
from adaptstilts.metrics.intervals import Difference, paired_difference
from adaptstilts.reports.comparisons import read
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry


def entry(folder: Path, languages: dict[str, dict[str, Any]]) -> Entry:
    """An entry of an evaluate phase: language -> hits, and what its files have of them."""
    metrics, scores = {}, {}
    for code, given in languages.items():
        stored = {"measure": "ratio", "stats": [[hit, 1] for hit in given["hits"]]}
        metrics[code] = {name: stored for name in ("accuracy", "f1", "exact_match")}
        values = {"accuracy": 100 * float(np.mean(given["hits"]))}
        scores[code] = {"values": values, "n": len(given["hits"]), "rows": given["rows"], "dropped": given["dropped"]}
        names = {"items": given["items"]} if "items" in given else {}
        entries.predictions(code).write(folder, {"ids": given["ids"], "predictions": given["hits"], **names})
    entries.STATS.write(folder, metrics)  # type: ignore[arg-type]
    entries.SCORES.write(folder, scores)  # type: ignore[arg-type]
    files = {}
    for path in folder.rglob("*.json"):
        content = path.read_bytes()
        files[str(path.relative_to(folder))] = [len(content), hashlib.sha256(content).hexdigest()]
    return Entry(folder, {"key": "k", "spec": {}, "files": files})


def language(hits: list[int], **more: Any) -> dict[str, Any]:
    return {"hits": hits, "ids": list(range(len(hits))), "rows": len(hits), "dropped": {}, **more}


def shared(scored: Any, one: str, other: str) -> int:
    return len(set(scored.items[one].tolist()) & set(scored.items[other].tolist()))


def test_translated_rows_are_one_item_also_if_one_language_lost_some(tmp_path: Path) -> None:
    """PAWS-X: row 1 of the French file is not translated and left out; row 2 is still the German row 2."""
    french = {"hits": [1, 0, 1], "ids": [0, 2, 3], "rows": 3, "dropped": {"no gold label ('NS')": 1}}
    scored = read(entry(tmp_path, {"de": language([1, 1, 0, 1]), "fr": french}), tasks.get("paws_x"))
    assert scored.items["fr"].tolist() == scored.items["de"][[0, 2, 3]].tolist()
    assert scored.is_joined


def test_a_file_that_lost_rows_for_good_has_rows_of_its_own(tmp_path: Path) -> None:
    """The copy of PAWS-X in google/xtreme: nobody knows which rows are missing, so nothing is joined with them."""
    scored = read(entry(tmp_path, {"de": language([1, 1, 0]), "ko": language([1, 1])}), tasks.get("paws_x"))
    assert shared(scored, "de", "ko") == 0


def test_questions_are_joined_by_their_id(tmp_path: Path) -> None:
    """MLQA: every German id is in English, too, at another place."""
    german = language([1, 0], items=["c", "a"])
    english = language([0, 1, 1], items=["a", "b", "c"])
    scored = read(entry(tmp_path, {"en": english, "de": german}), tasks.get("mlqa"))
    assert scored.items["de"].tolist() == scored.items["en"][[2, 0]].tolist()
    assert scored.is_joined


def test_entries_without_items_are_read_and_say_so(tmp_path: Path) -> None:
    scored = read(entry(tmp_path, {"en": language([0, 1, 1]), "de": language([1, 0])}), tasks.get("mlqa"))
    assert shared(scored, "en", "de") == 0
    assert not scored.is_joined


def test_tagging_has_sentences_of_its_own(tmp_path: Path) -> None:
    scored = read(entry(tmp_path, {"en": language([0, 1]), "de": language([1, 0])}), tasks.get("panx"))
    assert shared(scored, "en", "de") == 0
    assert scored.is_joined


@pytest.mark.parametrize(
    ("name", "joined"),
    [
        ("xnli", "row"),
        ("xcopa", "row"),
        ("xquad", "row"),
        ("paws_x", "row"),
        ("mlqa", "id"),
        ("lareqa", "id"),
        ("tatoeba", "english"),
        ("tatoeba_r", "english"),
        ("tatoeba_laser", "english"),
        *((name, "own") for name in ("udpos", "panx", "tydiqa", "mewsli_x", "bucc")),
        *((f"sample_{name}", "row") for name in ("nli", "choice", "qa", "tagging", "retrieval")),
    ],
)
def test_every_task_of_the_benchmarks_declares_how_items_are_joined(name: str, joined: str) -> None:
    task = tasks.get(name)
    assert (task.item or ("row" if task.parallel else "own")) == joined


def test_joined_items_widen_the_interval(tmp_path: Path) -> None:
    """Two languages that fail on the same questions say no more than one does."""
    generator = np.random.default_rng(0)
    hits = generator.integers(0, 2, 200).tolist()
    ids = [f"q{number}" for number in range(200)]

    def interval(folder: str, **more: Any) -> Difference:
        (tmp_path / folder).mkdir()
        sides = {code: language(hits, **more) for code in ("en", "de")}
        scored = read(entry(tmp_path / folder, sides), tasks.get("mlqa"))
        zeros = {code: np.zeros(200) for code in sides}
        return paired_difference([scored.values], [zeros], scored.items)

    assert interval("joined", items=ids).error == pytest.approx(interval("own").error * 2**0.5)
