"""LAReQA (XQuAD-R): find the sentences that answer a question, among those of eleven languages at once.

Every sentence of every paragraph, in all languages, is a candidate; those that answer the question in one of its
eleven translations are right. Put the files of google-research-datasets/lareqa into the data root as they are:
``google-research-datasets/lareqa/xquad-r/de.json`` and so on. Training uses SQuAD v1.1, split into sentences by rules
(``adaptstilts.tasks._sentences``). A candidate is a sentence and, as a second segment, its paragraph.
"""

from typing import Any, TypeVar

from adaptstilts.tasks._sentences import Span, index_at, sentences
from adaptstilts.tasks.base import LeftOut, Row, Source, Task
from adaptstilts.tasks.recipe import XTREME, xtreme
from adaptstilts.tasks.row_values import UnfitRow, objects, pairs, text, texts, whole, wholes

AdaptedRows = list[dict[str, Any] | LeftOut]
Value = TypeVar("Value")


def _adapt(row: Row) -> dict[str, Any] | LeftOut | AdaptedRows:
    """Return candidates and questions for a paragraph of XQuAD-R, and a pair for a question of SQuAD."""
    return _paragraph(row) if "qas" in row else _pair(row)


def _paragraph(row: Row) -> AdaptedRows:
    """Return every sentence, then every question with the id of the sentence in which its answer begins."""
    context, spans = text(row, "context"), pairs(row, "sentence_breaks")
    rows: AdaptedRows = [
        _row(candidate=f"{row['paragraph']}_{i}", text=context[begin:end], context=context)
        for i, (begin, end) in enumerate(spans)
    ]
    for question in objects(row, "qas"):
        index = index_at(spans, whole(_first(objects(question, "answers"), "qas.answers"), "answer_start"))
        if index is None:
            rows.append(LeftOut("the answer begins in no sentence"))
        else:
            candidate = f"{row['paragraph']}_{index}"
            rows.append(_row(id=text(question, "id"), query=text(question, "question"), candidate=candidate))
    return rows


def _pair(row: Row) -> dict[str, Any] | LeftOut:
    """Return a question and the sentence that contains the first of its answers."""
    context, start = text(row, "context"), _first(wholes(row, "answers.answer_start"), "answers.answer_start")
    answer = _first(texts(row, "answers.text"), "answers.text")
    spans: list[Span] = sentences(context)
    index = index_at(spans, start)
    if index is None:
        return LeftOut("the answer begins in no sentence")
    begin, end = spans[index]
    if start + len(answer) > end:
        return LeftOut("the answer crosses a sentence break")
    return _row(id=row["id"], query=text(row, "question"), text=context[begin:end], context=context)


def _first(values: list[Value], column: str) -> Value:
    """Return the first value of a list.

    Raises:
        UnfitRow: it is empty.
    """
    if not values:
        raise UnfitRow(f"{column}: expected one or more, found none")
    return values[0]


def _row(**fields: Any) -> dict[str, Any]:
    return {**dict.fromkeys(("id", "query", "candidate", "text", "context")), **fields}


lareqa = Task(
    name="lareqa",
    kind="ranking",
    languages=tuple("ar de el en es hi ru th tr vi zh".split()),
    columns={name: name for name in ("id", "query", "candidate", "text", "context")},
    adapt=_adapt,
    train=Source("rajpurkar/squad", "plain_text", "train"),
    dev=Source("rajpurkar/squad", "plain_text", "validation"),
    test=Source("google-research-datasets/lareqa", "xquad-r", "{code}", format="squad"),
    query_length=96,
    item="id",
    # XTREME-R accumulates four batches of 4 and takes negatives from the 4; here they come from all 16.
    defaults={"max_length": 256, "epochs": 3, "batch_size": 16},
    train_rows=87_599,
    # The length of 352 in the script is that of a query, 96, and an answer with its paragraph, 256.
    recipes={
        XTREME: xtreme(
            "train_lareqa.sh, scripts/run_eval_lareqa.sh",
            lr=2e-5,
            epochs=3,
            batch_size=16,
            max_length=256,
            keep="best",
            eval_every=1000,
        )
    },
    licence="CC BY-SA 4.0",
    citation="Roy et al. 2020, arXiv 2004.05484; Ruder et al. 2021, arXiv 2104.07412",
)
