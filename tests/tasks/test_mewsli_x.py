"""Mewsli-X: mentions in one sentence, between markers, and entities by their descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.ranking import MEWSLI, jsonl_file, write_mewsli

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import REMEDY, read
from adaptstilts.data.sources import Sources
from adaptstilts.errors import DataError
from adaptstilts.languages import LANGUAGES
from adaptstilts.tasks import Source
from adaptstilts.tasks.base import LeftOut

TASK = tasks.get("mewsli_x")
KIND = kinds.get("ranking")
TEXT = "Title\n\nIt  was {Smith} who said: {no}.\nSmith {left} then {a\nb} came. End."
SPANS = [(0, 5), (7, 38), (39, 68), (69, 73)]


def adapted(row: dict[str, Any]) -> Any:
    assert TASK.adapt is not None
    return TASK.adapt(row)


def mention(begin: int, end: int, key: str = "m", **more: Any) -> dict[str, Any]:
    span = {"start": begin, "end": end, "text": TEXT[begin:end]}
    return {"example_id": key, "mention_span": span, "entity_id": "Q1", "metadata": None, **more}


def article(*mentions: dict[str, Any], text: str = TEXT) -> dict[str, Any]:
    spans = [{"start": begin, "end": end} for begin, end in SPANS]
    return {"context": {"language": "de", "text": text, "sentence_spans": spans}, "mentions": list(mentions)}


def query(begin: int, end: int) -> str:
    (found,) = adapted(article(mention(begin, end)))
    return str(found["query"])


def test_declaration() -> None:
    assert TASK.languages == tuple("ar de en es fa ja pl ro ta tr uk".split())
    assert TASK.defaults == {"max_length": 64, "epochs": 2, "batch_size": 64}
    german, tamil = (TASK.reads("test", LANGUAGES[code]) for code in ("de", "ta"))
    assert set(german) == {"de", "pool"}
    assert german["pool"] == tamil["pool"] == Source(MEWSLI, "dataset", "candidate_set_entities", format="jsonl")
    assert german["de"].where == ("context.language", "de")
    assert set(TASK.reads("dev", LANGUAGES["de"])) == {"de"}


def test_the_mention_is_marked_within_its_sentence() -> None:
    at = TEXT.index("Smith")
    assert query(at, at + 5) == "Smith: It was { { Smith } } who said: (no)."
    at = TEXT.index("who")
    assert query(at, at + 3) == "who: It was (Smith) { who } said: (no)."


def test_markers_of_the_text_are_replaced_where_they_are_pairs_of_one_line() -> None:
    at = TEXT.index("Smith {left}")
    assert query(at, at + 5) == "Smith: { Smith } (left) then {a b} came."
    assert query(0, 5) == "Title: { Title }"


def test_mentions_across_sentences_are_left_out() -> None:
    at = TEXT.index("came")
    crossing, outside = mention(at, at + 9), mention(5, 7)
    assert adapted(article(crossing, outside)) == [LeftOut("the mention is not within one sentence")] * 2


def test_several_mentions_of_one_article() -> None:
    found = adapted(article(mention(0, 5, "a"), mention(69, 72, "b", entity_id="Q2")))
    assert [(row["id"], row["candidate"], row["text"]) for row in found] == [("a", "Q1", None), ("b", "Q2", None)]
    assert [row["query"] for row in found] == ["Title: { Title }", "End: { End } ."]


def test_an_entity_is_what_its_sentences_say() -> None:
    spans = [{"start": 0, "end": 6}, {"start": 8, "end": 15}]
    row = {"entity_id": "Q5", "title": "T", "description": "A b\nc.  D  e f. More", "sentence_spans": spans}
    assert adapted(row) == {"id": None, "query": None, "candidate": "Q5", "text": "A b c. D e f."}
    held = article(mention(0, 5))
    pair = adapted({"contextual_mention": {"context": held["context"], "mention": held["mentions"][0]}, "entity": row})
    assert pair == {"id": "m", "query": "Title: { Title }", "candidate": "Q1", "text": "A b c. D e f."}


def test_from_the_original_files(tmp_path: Path) -> None:
    write_mewsli(tmp_path)
    here = Sources(tmp_path)
    assert TASK.train is not None
    assert TASK.pool is not None
    pool = {row["candidate"]: row["text"] for row in read(here.get(TASK.pool), TASK, KIND.check).rows}
    assert len(pool) == 30
    pairs = read(here.get(TASK.train), TASK, KIND.check).rows
    assert len(pairs) == 40
    assert all(pool[row["candidate"]] == row["text"] for row in pairs)
    for code in ("de", "ta"):
        source = TASK.reads("test", LANGUAGES[code])[code]
        found = read(here.get(source), TASK, KIND.check)
        assert len(found.rows) == 6
        assert all(row["id"].startswith(code) and row["candidate"] in pool for row in found.rows)
        assert found.ids == list(range(6))
    assert here.find(TASK.reads("test", LANGUAGES["tr"])["tr"]) is None


@pytest.mark.parametrize("text", ["", "Another text that is long enough for it"])
def test_articles_without_their_text_are_refused(tmp_path: Path, text: str) -> None:
    path = jsonl_file(
        tmp_path / MEWSLI / "dataset" / "wikinews_mentions-test.jsonl", [article(mention(0, 5), text=text)]
    )
    with pytest.raises(DataError) as caught:
        read(Sources(tmp_path).get(TASK.reads("test", LANGUAGES["de"])["de"]), TASK, KIND.check)
    told = "line 1: mention m: expected 'Title' at 0, with the text restored"
    assert str(caught.value) == f"{path}: {told}; {REMEDY}"
