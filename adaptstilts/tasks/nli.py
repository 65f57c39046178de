"""Natural language inference: MNLI in English, XNLI in fifteen languages (trained on MNLI, as in XTREME)."""

from adaptstilts.tasks.base import Source, Task

_LABELS = ("entailment", "neutral", "contradiction")

mnli = Task(
    name="mnli",
    kind="classification",
    languages=("en",),
    columns={"text_a": "premise", "text_b": "hypothesis", "label": "label"},
    labels=_LABELS,
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "mnli", "train"),
    dev=Source("nyu-mll/glue", "mnli", "validation_matched"),
    test=Source("nyu-mll/glue", "mnli", "validation_mismatched"),
    intermediate=True,
    licence="OANC and others, see the data card",
    citation="Williams, Nangia and Bowman 2018, arXiv 1704.05426",
)

xnli = Task(
    name="xnli",
    kind="classification",
    languages=tuple("ar bg de el en es fr hi ru sw th tr ur vi zh".split()),
    columns={"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"},
    labels=_LABELS,
    train_from=("mnli",),
    dev=Source("google/xtreme", "XNLI", "validation", where=("language", "{code}")),
    test=Source("google/xtreme", "XNLI", "test", where=("language", "{code}")),
    parallel=True,
    licence="CC BY-NC 4.0",
    citation="Conneau et al. 2018, arXiv 1809.05053",
)
