"""Classification of single English sentences: SST-2 (sentiment) and CoLA (acceptability)."""

from adaptstilts.tasks.base import Source, Task

_COLUMNS = {"text_a": "sentence", "label": "label"}

sst2 = Task(
    name="sst2",
    kind="classification",
    languages=("en",),
    columns=_COLUMNS,
    labels=("negative", "positive"),
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "sst2", "train"),
    dev=Source("nyu-mll/glue", "sst2", "validation"),
    test=Source("nyu-mll/glue", "sst2", "validation"),
    intermediate=True,
    train_rows=67_349,
    licence="that of the original data set; GLUE adds none",
    citation="Socher et al. 2013; Wang et al. 2019, arXiv 1804.07461",
)

cola = Task(
    name="cola",
    kind="classification",
    languages=("en",),
    columns=_COLUMNS,
    labels=("unacceptable", "acceptable"),
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "cola", "train"),
    dev=Source("nyu-mll/glue", "cola", "validation"),
    test=Source("nyu-mll/glue", "cola", "validation"),
    metrics=("matthews",),
    intermediate=True,
    train_rows=8_551,
    licence="that of the original data set; GLUE adds none",
    citation="Warstadt, Singh and Bowman 2019, arXiv 1805.12471; Wang et al. 2019, arXiv 1804.07461",
)
