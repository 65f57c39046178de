"""Mewsli-X: find the description, in any of 50 languages, of an entity that a news sentence mentions.

Training uses pairs of the English Wikipedia; evaluation uses Wikinews in eleven languages and one set of candidates.
``get-mewsli-x.sh`` of google-research (``dense_representations_for_entity_retrieval/mel``) writes the files: put those
of its ``output/dataset`` into ``<data root>/google-research/mewsli-x/dataset/``. Queries and candidates are worded as
in XTREME-R (Ruder et al. 2021, arXiv 2104.07412).
"""

import re
from typing import Any

from adaptstilts.tasks.base import LeftOut, Row, Source, Task
from adaptstilts.tasks.row_values import UnfitRow

AdaptedRows = list[dict[str, Any] | LeftOut]

_REPO, _FOLDER = "google-research/mewsli-x", "dataset"
_MARKED = re.compile(r"\{([^\n]*?)\}")  # markers that the text itself contains


def _adapt(row: Row) -> dict[str, Any] | LeftOut | AdaptedRows:
    """Return a training pair, the mentions of an article, or an entity as a candidate."""
    if "contextual_mention" in row:
        pair = row["contextual_mention"]
        query = _mention(pair["context"], pair["mention"])
        return query if isinstance(query, LeftOut) else {**query, "text": _description(row["entity"])}
    if "mentions" in row:
        return [_mention(row["context"], mention) for mention in row["mentions"]]
    return {"id": None, "query": None, "candidate": row["entity_id"], "text": _description(row)}


def _mention(context: Row, mention: Row) -> dict[str, Any] | LeftOut:
    """Return the sentence with the mention in markers, after the mention itself, which no length limit then cuts off.

    Raises:
        UnfitRow: the mention is not in the text at its place.
    """
    text, span = context["text"], mention["mention_span"]
    begin, end = span["start"], span["end"]
    if text[begin:end] != span["text"]:
        raise UnfitRow(f"mention {mention['example_id']}: expected {span['text']!r} at {begin}, with the text restored")
    around = [s for s in context["sentence_spans"] if s["start"] <= begin < end <= s["end"]]
    if not around:
        return LeftOut("the mention is not within one sentence")
    left, right = (
        _MARKED.sub(r"(\1)", part) for part in (text[around[0]["start"] : begin], text[end : around[0]["end"]])
    )
    query = _spaced(f"{span['text']}: {left} {{ {span['text']} }} {right}")
    return {"id": mention["example_id"], "query": query, "candidate": mention["entity_id"], "text": None}


def _description(entity: Row) -> str:
    """Return the sentences of an entity's description."""
    return _spaced(" ".join(entity["description"][s["start"] : s["end"]] for s in entity["sentence_spans"]))


def _spaced(text: str) -> str:
    """Return a text as one line with single spaces."""
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
    # XTREME-R accumulates four batches of 64, which share no negatives either.
    defaults={"max_length": 64, "epochs": 2, "batch_size": 64},
    licence="CC BY-SA (text of Wikipedia and Wikinews)",
    citation="Botha, Shan and Gillick 2020, arXiv 2011.02690; Ruder et al. 2021, arXiv 2104.07412",
)
