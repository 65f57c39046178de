"""Mewsli-X: to the mention of an entity in a news sentence, the description of the entity, in any of 50 languages.

Trained on pairs of the English Wikipedia; evaluated on Wikinews in eleven languages, against one set of candidates.
``get-mewsli-x.sh`` of google-research (``dense_representations_for_entity_retrieval/mel``) makes the files: put those
of its ``output/dataset`` under ``<data root>/google-research/mewsli-x/dataset/``. Queries and candidates are worded as
XTREME-R has them (Ruder et al. 2021, arXiv 2104.07412).
"""

import re
from typing import Any

from adaptstilts.tasks.base import LeftOut, Row, Source, Task

Rows = list[dict[str, Any] | LeftOut]

_REPO, _FOLDER = "google-research/mewsli-x", "dataset"
_MARKED = re.compile(r"\{([^\n]*?)\}")  # markers that the text itself has


def _adapt(row: Row) -> dict[str, Any] | LeftOut | Rows:
    """A pair to train on, an article with its mentions, or an entity."""
    if "contextual_mention" in row:
        held = row["contextual_mention"]
        found = _mention(held["context"], held["mention"])
        return found if isinstance(found, LeftOut) else {**found, "text": _description(row["entity"])}
    if "mentions" in row:
        return [_mention(row["context"], mention) for mention in row["mentions"]]
    return {"id": None, "query": None, "candidate": row["entity_id"], "text": _description(row)}


def _mention(context: Row, mention: Row) -> dict[str, Any] | LeftOut:
    """The one sentence with the mention in markers, and the mention in front, where no length limit cuts it off.

    Raises:
        ValueError: the mention is not in the text at its place.
    """
    text, span = context["text"], mention["mention_span"]
    begin, end = span["start"], span["end"]
    if text[begin:end] != span["text"]:
        raise ValueError(
            f"mention {mention['example_id']}: expected {span['text']!r} at {begin}, with the text restored"
        )
    around = [s for s in context["sentence_spans"] if s["start"] <= begin < end <= s["end"]]
    if not around:
        return LeftOut("the mention is not within one sentence")
    left, right = (
        _MARKED.sub(r"(\1)", part) for part in (text[around[0]["start"] : begin], text[end : around[0]["end"]])
    )
    query = _spaced(f"{span['text']}: {left} {{ {span['text']} }} {right}")
    return {"id": mention["example_id"], "query": query, "candidate": mention["entity_id"], "text": None}


def _description(entity: Row) -> str:
    """The sentences of an entity's description."""
    return _spaced(" ".join(entity["description"][s["start"] : s["end"]] for s in entity["sentence_spans"]))


def _spaced(text: str) -> str:
    """In one line, words apart by one space."""
    return " ".join(text.split())


mewsli_x = Task(
    name="mewsli_x",
    kind="ranking",
    languages=tuple("ar de en es fa ja pl ro ta tr uk".split()),
    columns={name: name for name in ("id", "query", "candidate", "text")},
    adapt=_adapt,
    train=Source(_REPO, _FOLDER, "wikipedia_pairs-train", format="jsonl"),
    dev=Source(_REPO, _FOLDER, "wikipedia_pairs-dev", format="jsonl"),
    test=Source(_REPO, _FOLDER, "wikinews_mentions-test", where=("context.language", "{code}"), format="jsonl"),
    pool=Source(_REPO, _FOLDER, "candidate_set_entities", format="jsonl"),
    # XTREME-R accumulates four batches of 64, whose negatives do not come from one another either.
    defaults={"max_length": 64, "epochs": 2, "batch_size": 64},
    licence="CC BY-SA (text of Wikipedia and Wikinews)",
    citation="Botha, Shan and Gillick 2020, arXiv 2011.02690; Ruder et al. 2021, arXiv 2104.07412",
)
