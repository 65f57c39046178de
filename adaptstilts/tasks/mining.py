"""Bitext mining, evaluated without training: foreign and English sentences, most of them without a translation.

BUCC 2018 is read from its original files. Put those of the sample set (XTREME's dev) and of the training set (its test)
into ``<data root>/bucc2018/bucc/`` as ``de-en.de/sample.tsv``, ``de-en.en/sample.tsv``, ``de-en.gold/sample.tsv`` and
``.../training.tsv``. The copies in google/xtreme and mteb/bucc-bitext-mining have gold pairs only, so nothing is left
to mine. The copy in mteb/BUCC has the full training sets, but no sample sets to set a threshold on. Each set is
therefore a task of its own as well, scored at its own best threshold, which is an oracle: the sample sets as in
XTREME's dev scores, the training sets as in LASER's.

The other tasks have BUCC's layout and are smaller; none of them is BUCC.
"""

from dataclasses import replace
from typing import Any

from adaptstilts.tasks.base import Adapt, Row, Source, Task
from adaptstilts.tasks.row_values import pairs, texts

_COLUMNS = {"id": "id", "text": "sentence", "foreign": "source_id", "english": "target_id"}
_SETS = {"foreign": "{code}", "english": "en", "gold": "gold"}
_SAMPLE = Source("bucc2018/bucc", "{code}-en.{set}", "sample", format="tsv")
_TRAINING = Source("bucc2018/bucc", "{code}-en.{set}", "training", format="tsv")
_HINT = (
    "BUCC 2018 is read from its original files, {sets}, in <data root>/bucc2018/bucc (de-en.gold/sample.tsv and so on);"
    " the hub's copies in google/xtreme (bucc18.*) and mteb/bucc-bitext-mining have gold pairs only, so nothing is left"
    " to mine"
)


def _side(column: str) -> Adapt:
    """Return the function that reads the sentences of one side.

    They come as lines ``id<TAB>sentence``, as a table, or as a list (mteb/BUCC) in which the number is the id.
    """

    def adapt(row: Row) -> Any:
        if "gold" in row:
            return [{"id": str(number), "sentence": sentence} for number, sentence in enumerate(texts(row, column), 1)]
        return {"id": row["0"], "sentence": row["1"]} if "0" in row else dict(row)

    return adapt


def _pairs(row: Row) -> Any:
    """Return gold pairs: lines ``foreign id<TAB>English id``, a table, or a list of pairs of numbers from 1."""
    if "gold" in row:
        return [{"source_id": str(foreign), "target_id": str(english)} for foreign, english in pairs(row, "gold")]
    return {"source_id": row["0"], "target_id": row["1"]} if "0" in row else dict(row)


bucc = Task(
    name="bucc",
    kind="mining",
    languages=("de", "fr", "ru", "zh"),
    columns=_COLUMNS,
    adapt={"foreign": _side("sentence1"), "english": _side("sentence2"), "gold": _pairs},
    dev=_SAMPLE,
    test=_TRAINING,
    sets=_SETS,
    licence="research use",
    citation="Zweigenbaum, Sharoff and Rapp 2018; XTREME: Hu et al. 2020, arXiv 2003.11080",
    hint=_HINT.format(sets="sample and training sets"),
)

bucc_sample = replace(
    bucc,
    name="bucc_sample",
    dev=None,
    test=replace(_SAMPLE, mirrors=(Source("local/bucc2018-sample", "{code}-en.{set}", "validation"),)),
    metrics=("oracle_f1",),
    hint=_HINT.format(sets="here the sample sets"),
)
bucc_training = replace(
    bucc,
    name="bucc_training",
    dev=None,
    test=replace(_TRAINING, mirrors=(Source("mteb/BUCC", "{code}-en", "test"),)),
    metrics=("oracle_f1",),
    hint=_HINT.format(sets="here the training sets, or from mteb/BUCC"),
)

sample_mining = Task(
    name="sample_mining",
    kind="mining",
    languages=("de", "es", "fr", "ru", "ar", "hi", "sw", "tr", "zh"),
    columns=_COLUMNS,
    dev=Source("adaptstilts/sample", "mining.{code}-en.{set}", "train"),
    test=Source("adaptstilts/sample", "mining.{code}-en.{set}", "test"),
    sets=_SETS,
    licence="Apache-2.0",
    citation="made for this package, in the layout of Zweigenbaum et al. 2018",
)
# Real sentences: pairs of NTREX-128 among unaligned sentences of NTREX-128 and the WMT news test sets.
ntrex_mining = Task(
    name="ntrex_mining",
    kind="mining",
    languages=("de", "fr", "ru", "zh"),
    columns=_COLUMNS,
    dev=Source("local/ntrex-bucc", "{code}-en.{set}", "train"),
    test=Source("local/ntrex-bucc", "{code}-en.{set}", "test"),
    sets=_SETS,
    licence="NTREX-128: CC BY-SA 4.0; WMT news test sets: research use",
    citation="Federmann et al. 2022 (NTREX-128); findings of WMT 2019 to 2022",
)
