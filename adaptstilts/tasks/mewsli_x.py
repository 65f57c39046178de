"""Mewsli-X: find the description, in any of 50 languages, of an entity that a news sentence mentions.

Training uses pairs of the English Wikipedia; evaluation uses Wikinews in eleven languages and one set of candidates.
``get-mewsli-x.sh`` of google-research (``dense_representations_for_entity_retrieval/mel``) writes the files: put those
of its ``output/dataset`` into ``<data root>/google-research/mewsli-x/dataset/``. Queries and candidates are worded as
in XTREME-R (Ruder et al. 2021, arXiv 2104.07412).
"""

import re
from typing import Any

from adaptstilts.tasks.base import LeftOut, Row, Source, Task
from adaptstilts.tasks.recipe import XTREME, xtreme
from adaptstilts.tasks.row_values import UnfitRow, fields, objects, text, whole

AdaptedRows = list[dict[str, Any] | LeftOut]

_REPO, _FOLDER = "google-research/mewsli-x", "dataset"
_MARKED = re.compile(r"\{([^\n]*?)\}")  # markers that the text itself contains


def _adapt(row: Row) -> dict[str, Any] | LeftOut | AdaptedRows:
    """Return a training pair, the mentions of an article, or an entity as a candidate."""
    if "contextual_mention" in row:
        pair = row["contextual_mention"]
        query = _mention(fields(pair, "context"), fields(pair, "mention"))
        return query if isinstance(query, LeftOut) else {**query, "text": _description(fields(row, "entity"))}
    if "mentions" in row:
        return [_mention(fields(row, "context"), mention) for mention in objects(row, "mentions")]
    return {"id": None, "query": None, "candidate": text(row, "entity_id"), "text": _description(row)}


def _mention(context: Row, mention: Row) -> dict[str, Any] | LeftOut:
    """Return the sentence with the mention in markers, after the mention itself, which no length limit then cuts off.

    Raises:
        UnfitRow: the mention is not in the text at its place.
    """
    body, name = text(context, "text"), text(mention, "mention_span.text")
    begin, end = whole(mention, "mention_span.start"), whole(mention, "mention_span.end")
    if body[begin:end] != name:
        key = text(mention, "example_id")
        raise UnfitRow(f"mention {key}: expected {name!r} at {begin}, with the text restored")
    around = [span for span in _sentence_spans(context) if span[0] <= begin < end <= span[1]]
    if not around:
        return LeftOut("the mention is not within one sentence")
    left, right = (_MARKED.sub(r"(\1)", part) for part in (body[around[0][0] : begin], body[end : around[0][1]]))
    query = _spaced(f"{name}: {left} {{ {name} }} {right}")
    return {
        "id": text(mention, "example_id"),
        "query": query,
        "candidate": text(mention, "entity_id"),
        "text": None,
    }


def _description(entity: Row) -> str:
    """Return the sentences of an entity's description."""
    description = text(entity, "description")
    return _spaced(" ".join(description[begin:end] for begin, end in _sentence_spans(entity)))


def _sentence_spans(row: Row) -> list[tuple[int, int]]:
    """Return the sentences of a text as [begin, end) characters."""
    return [(whole(span, "start"), whole(span, "end")) for span in objects(row, "sentence_spans")]


def _spaced(words: str) -> str:
    """Return a text as one line with single spaces."""
    return " ".join(words.split())


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
    # XTREME-R accumulates four batches of 64 (multilingual BERT) or 8 (XLM-R large), which share no negatives either.
    defaults={"max_length": 64, "epochs": 2, "batch_size": 64},
    recipes={XTREME: xtreme("train_mewslix.sh", lr=1e-5, epochs=2, batch_size=32, max_length=64, keep="last")},
    licence="CC BY-SA (text of Wikipedia and Wikinews)",
    citation="Botha, Shan and Gillick 2020, arXiv 2011.02690; Ruder et al. 2021, arXiv 2104.07412",
)
