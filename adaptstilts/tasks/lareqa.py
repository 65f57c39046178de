"""LAReQA (XQuAD-R): to a question, the sentences that answer it, in eleven languages at once.

Every sentence of every paragraph, in all languages, is a candidate; those that answer the question in one of its
eleven translations are right. Put the files of google-research-datasets/lareqa under ``<data root>`` as they are:
``google-research-datasets/lareqa/xquad-r/de.json`` and so on. Trained on SQuAD v1.1, whose sentences are found by
rules (``adaptstilts.tasks._sentences``); candidates are a sentence and, as a second segment, its paragraph.
"""

from typing import Any

from adaptstilts.tasks._sentences import Span, holding, sentences
from adaptstilts.tasks.base import LeftOut, Row, Source, Task

Rows = list[dict[str, Any] | LeftOut]


def _adapt(row: Row) -> dict[str, Any] | LeftOut | Rows:
    """A paragraph of XQuAD-R gives candidates and questions, a question of SQuAD gives a pair."""
    return _paragraph(row) if "qas" in row else _pair(row)


def _paragraph(row: Row) -> Rows:
    """Every sentence, then every question with the number of the sentence in which its answer begins."""
    context, spans = row["context"], [(begin, end) for begin, end in row["sentence_breaks"]]
    found: Rows = [
        _row(candidate=f"{row['paragraph']}_{i}", text=context[begin:end], context=context)
        for i, (begin, end) in enumerate(spans)
    ]
    for question in row["qas"]:
        at = holding(spans, question["answers"][0]["answer_start"])
        if at is None:
            found.append(LeftOut("the answer begins in no sentence"))
        else:
            number = f"{row['paragraph']}_{at}"
            found.append(_row(id=question["id"], query=question["question"], candidate=number))
    return found


def _pair(row: Row) -> dict[str, Any] | LeftOut:
    """The question, and the sentence that the first of its answers is in."""
    context, start = row["context"], row["answers"]["answer_start"][0]
    spans: list[Span] = sentences(context)
    at = holding(spans, start)
    if at is None:
        return LeftOut("the answer begins in no sentence")
    begin, end = spans[at]
    if start + len(row["answers"]["text"][0]) > end:
        return LeftOut("the answer crosses a sentence break")
    return _row(id=row["id"], query=row["question"], text=context[begin:end], context=context)


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
    parallel=True,
    # XTREME-R takes 4 x 4 rows, whose negatives come from the 4; here they come from all 16.
    defaults={"max_length": 256, "epochs": 3, "batch_size": 16},
    train_rows=87_599,
    licence="CC BY-SA 4.0",
    citation="Roy et al. 2020, arXiv 2004.05484; Ruder et al. 2021, arXiv 2104.07412",
)
