"""Extractive question answering: SQuAD v1.1 in English, XQuAD in eleven languages (trained on SQuAD)."""

from adaptstilts.tasks.base import Source, Task

_COLUMNS = {"id": "id", "question": "question", "context": "context", "answers": "answers"}
_DEFAULTS = {"max_length": 384, "epochs": 2, "batch_size": 16}

squad = Task(
    name="squad",
    kind="span",
    languages=("en",),
    columns=_COLUMNS,
    train=Source("rajpurkar/squad", "plain_text", "train"),
    dev=Source("rajpurkar/squad", "plain_text", "validation"),
    test=Source("rajpurkar/squad", "plain_text", "validation"),
    intermediate=True,
    defaults=_DEFAULTS,
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016, arXiv 1606.05250",
)

xquad = Task(
    name="xquad",
    kind="span",
    languages=tuple("en es de el ru tr ar vi th zh hi".split()),
    columns=_COLUMNS,
    train_from=("squad",),
    dev=Source("rajpurkar/squad", "plain_text", "validation"),
    test=Source("google/xtreme", "XQuAD.{code}", "validation"),
    parallel=True,
    defaults=_DEFAULTS,
    licence="CC BY-SA 4.0",
    citation="Artetxe, Ruder and Yogatama 2020, arXiv 1910.11856",
)
