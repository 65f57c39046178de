"""Natural language inference: MNLI, SNLI, ANLI and all three together, RTE and QNLI; XNLI in fifteen languages.

XNLI is trained on MNLI, as in XTREME. ANLI+ is the union of Phang et al. (2020).
"""

from dataclasses import replace

from adaptstilts.tasks.base import Source, Task
from adaptstilts.tasks.recipe import STILTS_INTERMEDIATE, X_STILTS, XTREME, stilts_target, xtreme

_LABELS = ("entailment", "neutral", "contradiction")
_PAIR = {"text_a": "premise", "text_b": "hypothesis", "label": "label"}
_BINARY = ("entailment", "not_entailment")

_XNLI = xtreme("train_xnli.sh", lr=3e-5, epochs=5, batch_size=32, max_length=128, keep="best", eval_every=100)

_ANLI = Source("facebook/anli", "plain_text", "{}")
_SNLI = Source("stanfordnlp/snli", "plain_text", "{}")
_MNLI = Source("nyu-mll/glue", "mnli", "{}")


def _union(*parts: tuple[Source, str]) -> Source:
    """Return splits of these names, one after the other."""
    places = [replace(source, split=split) for source, split in parts]
    return replace(places[0], more=tuple(places[1:]))


def _rounds(split: str) -> tuple[tuple[Source, str], ...]:
    return tuple((_ANLI, f"{split}_r{number}") for number in (1, 2, 3))


mnli = Task(
    name="mnli",
    kind="classification",
    languages=("en",),
    columns=_PAIR,
    labels=_LABELS,
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "mnli", "train"),
    dev=Source("nyu-mll/glue", "mnli", "validation_matched"),
    test=Source("nyu-mll/glue", "mnli", "validation_mismatched"),
    intermediate=True,
    train_rows=392_702,
    recipes={XTREME: _XNLI, X_STILTS: STILTS_INTERMEDIATE},
    licence="OANC and others, see the data card",
    citation="Williams, Nangia and Bowman 2018, arXiv 1704.05426",
)

snli = Task(
    name="snli",
    kind="classification",
    languages=("en",),
    columns=_PAIR,
    labels=_LABELS,
    no_gold=(-1,),
    train=Source("stanfordnlp/snli", "plain_text", "train"),
    dev=Source("stanfordnlp/snli", "plain_text", "validation"),
    test=Source("stanfordnlp/snli", "plain_text", "test"),
    intermediate=True,
    train_rows=549_367,
    licence="CC BY-SA 4.0",
    citation="Bowman et al. 2015, arXiv 1508.05326",
)

anli = Task(
    name="anli",
    kind="classification",
    languages=("en",),
    columns=_PAIR,
    labels=_LABELS,
    train=_union(*_rounds("train")),
    dev=_union(*_rounds("dev")),
    test=_union(*_rounds("test")),
    intermediate=True,
    train_rows=162_865,
    licence="CC BY-NC 4.0",
    citation="Nie et al. 2020, arXiv 1910.14599",
)

anli_plus = Task(
    name="anli_plus",
    kind="classification",
    languages=("en",),
    columns=_PAIR,
    labels=_LABELS,
    no_gold=(-1,),
    train=_union(*_rounds("train"), (_MNLI, "train"), (_SNLI, "train")),
    dev=_union(*_rounds("dev"), (_MNLI, "validation_matched"), (_SNLI, "validation")),
    test=_union(*_rounds("test"), (_MNLI, "validation_mismatched"), (_SNLI, "test")),
    intermediate=True,
    train_rows=1_104_934,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="CC BY-NC 4.0 and those of its parts",
    citation="Nie et al. 2020; Williams, Nangia and Bowman 2018; Bowman et al. 2015",
)

rte = Task(
    name="rte",
    kind="classification",
    languages=("en",),
    columns={"text_a": "sentence1", "text_b": "sentence2", "label": "label"},
    labels=_BINARY,
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "rte", "train"),
    dev=Source("nyu-mll/glue", "rte", "validation"),
    test=Source("nyu-mll/glue", "rte", "validation"),
    intermediate=True,
    train_rows=2_490,
    licence="that of the original data set; GLUE adds none",
    citation="Dagan et al. 2006 to Bentivogli et al. 2009; Wang et al. 2019, arXiv 1804.07461",
)

qnli = Task(
    name="qnli",
    kind="classification",
    languages=("en",),
    columns={"text_a": "question", "text_b": "sentence", "label": "label"},
    labels=_BINARY,
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "qnli", "train"),
    dev=Source("nyu-mll/glue", "qnli", "validation"),
    test=Source("nyu-mll/glue", "qnli", "validation"),
    intermediate=True,
    train_rows=104_743,
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016; Wang et al. 2019, arXiv 1804.07461",
)

xnli = Task(
    name="xnli",
    kind="classification",
    languages=tuple("ar bg de el en es fr hi ru sw th tr ur vi zh".split()),
    columns={"text_a": "sentence1", "text_b": "sentence2", "label": "gold_label"},
    labels=_LABELS,
    train_from=("mnli",),
    train_languages=Source("google/xtreme", "XNLI", "validation", where=("language", "{code}")),  # human-translated
    dev=Source("google/xtreme", "XNLI", "validation", where=("language", "{code}")),
    test=Source("google/xtreme", "XNLI", "test", where=("language", "{code}")),
    test_rows=5_010,
    parallel=True,
    equal_columns=("gold_label",),
    recipes={XTREME: _XNLI, X_STILTS: stilts_target(epochs=2)},
    licence="CC BY-NC 4.0",
    citation="Conneau et al. 2018, arXiv 1809.05053",
)
