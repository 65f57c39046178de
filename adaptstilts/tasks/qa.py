"""Extractive question answering: SQuAD v1.1 and v2.0 in English; XQuAD, MLQA and TyDiQA-GoldP.

XQuAD and MLQA are evaluated with the model trained on SQuAD v1.1, as in XTREME, so one training serves both. TyDiQA's
training rows have nine languages, which only their ids tell apart; the English rows are used. Its only dev rows are
those on which XTREME tests, so selection uses SQuAD's.
"""

from adaptstilts.tasks.base import Source, Task
from adaptstilts.tasks.recipe import STILTS_INTERMEDIATE, X_STILTS, XTREME, stilts_target, xtreme

_COLUMNS = {"id": "id", "question": "question", "context": "context", "answers": "answers"}
_DEFAULTS = {"max_length": 384, "epochs": 2, "batch_size": 16}
_XTREME = xtreme(
    "train_qa.sh",
    lr=3e-5,
    epochs=3,
    batch_size=32,
    max_length=384,
    warmup_steps=500,
    weight_decay=1e-4,
    keep="last",
)
_STILTS = stilts_target(epochs=2, batch_size=16, max_length=384)
_SQUAD_DEV = Source("rajpurkar/squad", "plain_text", "validation")

squad = Task(
    name="squad",
    kind="span",
    languages=("en",),
    columns=_COLUMNS,
    train=Source("rajpurkar/squad", "plain_text", "train"),
    dev=_SQUAD_DEV,
    test=_SQUAD_DEV,
    intermediate=True,
    defaults=_DEFAULTS,
    train_rows=87_599,
    recipes={XTREME: _XTREME, X_STILTS: STILTS_INTERMEDIATE},
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016, arXiv 1606.05250",
)

squad_v2 = Task(
    name="squad_v2",
    kind="span",
    languages=("en",),
    columns=_COLUMNS,
    train=Source("rajpurkar/squad_v2", "squad_v2", "train"),
    dev=Source("rajpurkar/squad_v2", "squad_v2", "validation"),
    test=Source("rajpurkar/squad_v2", "squad_v2", "validation"),
    unanswerable=True,
    intermediate=True,
    defaults=_DEFAULTS,
    train_rows=130_319,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="CC BY-SA 4.0",
    citation="Rajpurkar, Jia and Liang 2018, arXiv 1806.03822",
)

xquad = Task(
    name="xquad",
    kind="span",
    languages=tuple("en es de el ru tr ar vi th zh hi".split()),
    more_languages=("ro",),
    columns=_COLUMNS,
    train_from=("squad",),
    test=Source(
        "google/xtreme",
        "XQuAD.{code}",
        "validation",
        mirrors=(Source("google/xquad", "xquad.{code}", "validation"),),
    ),
    test_rows=1_190,
    parallel=True,
    recipes={XTREME: _XTREME, X_STILTS: _STILTS},
    licence="CC BY-SA 4.0",
    citation="Artetxe, Ruder and Yogatama 2020, arXiv 1910.11856",
)

mlqa = Task(
    name="mlqa",
    kind="span",
    languages=tuple("en es de ar hi vi zh".split()),
    columns=_COLUMNS,
    train_from=("squad",),
    dev=Source(
        "google/xtreme",
        "MLQA.{code}.{code}",
        "validation",
        mirrors=(Source("facebook/mlqa", "mlqa.{code}.{code}", "validation"),),
    ),
    test=Source(
        "google/xtreme",
        "MLQA.{code}.{code}",
        "test",
        mirrors=(Source("facebook/mlqa", "mlqa.{code}.{code}", "test"),),
    ),
    shared_training=True,
    answers="mlqa",
    item="id",
    recipes={XTREME: _XTREME, X_STILTS: _STILTS},
    licence="CC BY-SA 3.0",
    citation="Lewis et al. 2020, arXiv 1910.07475",
)

tydiqa = Task(
    name="tydiqa",
    kind="span",
    languages=tuple("en ar bn fi id ko ru sw te".split()),
    columns=_COLUMNS,
    train=Source(
        "google/xtreme",
        "tydiqa",
        "train",
        where=("id", "english-*"),
        mirrors=(Source("google-research-datasets/tydiqa", "secondary_task", "train", where=("id", "english-*")),),
    ),
    train_languages=Source(
        "google/xtreme",
        "tydiqa",
        "train",
        where=("id", "{lower}-*"),
        mirrors=(Source("google-research-datasets/tydiqa", "secondary_task", "train", where=("id", "{lower}-*")),),
    ),
    dev=_SQUAD_DEV,
    test=Source(
        "google/xtreme",
        "tydiqa",
        "validation",
        where=("id", "{lower}-*"),
        mirrors=(Source("google-research-datasets/tydiqa", "secondary_task", "validation", where=("id", "{lower}-*")),),
    ),
    defaults=_DEFAULTS,
    train_rows=3_696,
    recipes={XTREME: _XTREME, X_STILTS: _STILTS},
    licence="Apache-2.0",
    citation="Clark et al. 2020, arXiv 2003.05002",
)
