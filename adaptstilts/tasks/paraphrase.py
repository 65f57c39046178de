"""Paraphrase: QQP, MRPC and PAWS in English, PAWS-X in seven languages (trained on its English part), and STS-B."""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task
from adaptstilts.tasks.recipe import STILTS_INTERMEDIATE, X_STILTS, XTREME, stilts_target, xtreme

_SENTENCES = {"text_a": "sentence1", "text_b": "sentence2", "label": "label"}
_PAWS_X = "google-research-datasets/paws-x"
_UNTRANSLATED = "NS"


def _translated(row: Row) -> dict[str, Any]:
    """Return a row; one with an untranslated sentence (``NS``) gets that as its label, which is no gold label."""
    missing = _UNTRANSLATED in (row["sentence1"], row["sentence2"])
    return {**row, "label": _UNTRANSLATED} if missing else dict(row)


qqp = Task(
    name="qqp",
    kind="classification",
    languages=("en",),
    columns={"text_a": "question1", "text_b": "question2", "label": "label"},
    labels=("not_duplicate", "duplicate"),
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "qqp", "train"),
    dev=Source("nyu-mll/glue", "qqp", "validation"),
    test=Source("nyu-mll/glue", "qqp", "validation"),
    intermediate=True,
    train_rows=363_846,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="Quora's terms of service",
    citation="Iyer, Dandekar and Csernai 2017; Wang et al. 2019, arXiv 1804.07461",
)

mrpc = Task(
    name="mrpc",
    kind="classification",
    languages=("en",),
    columns=_SENTENCES,
    labels=("not_equivalent", "equivalent"),
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "mrpc", "train"),
    dev=Source("nyu-mll/glue", "mrpc", "validation"),
    test=Source("nyu-mll/glue", "mrpc", "validation"),
    metrics=("accuracy", "f1"),
    intermediate=True,
    train_rows=3_668,
    licence="that of the original data set; GLUE adds none",
    citation="Dolan and Brockett 2005; Wang et al. 2019, arXiv 1804.07461",
)

paws = Task(
    name="paws",
    kind="classification",
    languages=("en",),
    columns=_SENTENCES,
    labels=("0", "1"),
    train=Source("google-research-datasets/paws", "labeled_final", "train"),
    dev=Source("google-research-datasets/paws", "labeled_final", "validation"),
    test=Source("google-research-datasets/paws", "labeled_final", "test"),
    intermediate=True,
    train_rows=49_401,
    licence="free use with acknowledgement",
    citation="Zhang, Baldridge and He 2019, arXiv 1904.01130",
)

# The copy in google/xtreme lost rows to quoting, so it is only the mirror.
paws_x = Task(
    name="paws_x",
    kind="classification",
    languages=tuple("de en es fr ja ko zh".split()),
    columns=_SENTENCES,
    labels=("0", "1"),
    adapt=_translated,
    no_gold=(_UNTRANSLATED,),
    train=Source(_PAWS_X, "en", "train", mirrors=(Source("google/xtreme", "PAWS-X.en", "train"),)),
    train_languages=Source(
        _PAWS_X, "{code}", "validation", mirrors=(Source("google/xtreme", "PAWS-X.{code}", "validation"),)
    ),
    dev=Source(_PAWS_X, "{code}", "validation", mirrors=(Source("google/xtreme", "PAWS-X.{code}", "validation"),)),
    test=Source(_PAWS_X, "{code}", "test", mirrors=(Source("google/xtreme", "PAWS-X.{code}", "test"),)),
    parallel=True,
    equal_columns=("label",),
    defaults={"epochs": 5},
    train_rows=49_401,
    test_rows=2_000,
    recipes={
        XTREME: xtreme("train_pawsx.sh", lr=2e-5, epochs=5, batch_size=32, max_length=128, keep="best", eval_every=200),
        X_STILTS: stilts_target(epochs=5),
    },
    licence="free use with acknowledgement",
    citation="Yang et al. 2019, arXiv 1908.11828",
)

stsb = Task(
    name="stsb",
    kind="regression",
    languages=("en",),
    columns=_SENTENCES,
    no_gold=(-1,),
    train=Source("nyu-mll/glue", "stsb", "train"),
    dev=Source("nyu-mll/glue", "stsb", "validation"),
    test=Source("nyu-mll/glue", "stsb", "validation"),
    intermediate=True,
    train_rows=5_749,
    licence="that of the original data set; GLUE adds none",
    citation="Cer et al. 2017, arXiv 1708.00055; Wang et al. 2019, arXiv 1804.07461",
)
