"""Bitext mining, evaluated without training: foreign and English sentences, most of them without a translation.

BUCC 2018 is read from the original files: put those of the sample set (XTREME's dev) and of the training set (its
test) under ``<data root>/bucc2018/bucc/`` as ``de-en.de/sample.tsv``, ``de-en.en/sample.tsv``,
``de-en.gold/sample.tsv`` and ``.../training.tsv``. The copies on the hub hold gold pairs only, among which nothing is
to be mined. The two other sets have its layout and are smaller; neither is BUCC.
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task

_COLUMNS = {"id": "id", "text": "sentence", "foreign": "source_id", "english": "target_id"}
_SETS = {"foreign": "{code}", "english": "en", "gold": "gold"}


def _columns_of_lines(row: Row) -> dict[str, Any]:
    """``id<TAB>sentence`` of a side, ``foreign id<TAB>English id`` of the gold list."""
    first, second = row["0"], row["1"]
    return {"id": first, "sentence": second, "source_id": first, "target_id": second}


bucc = Task(
    name="bucc",
    kind="mining",
    languages=("de", "fr", "ru", "zh"),
    columns=_COLUMNS,
    adapt=_columns_of_lines,
    dev=Source("bucc2018/bucc", "{code}-en.{set}", "sample", format="tsv"),
    test=Source("bucc2018/bucc", "{code}-en.{set}", "training", format="tsv"),
    sets=_SETS,
    licence="research use",
    citation="Zweigenbaum, Sharoff and Rapp 2018; XTREME: Hu et al. 2020, arXiv 2003.11080",
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
# Real sentences: pairs of NTREX-128, and unaligned ones of NTREX-128 and the WMT news test sets around them.
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
