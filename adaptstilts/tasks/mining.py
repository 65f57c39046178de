"""Bitext mining, evaluated without training: foreign and English sentences, most of them without a translation.

Both sets have the layout of the BUCC shared task (Zweigenbaum et al. 2018) and are smaller; neither is BUCC.
"""

from adaptstilts.tasks.base import Source, Task

_COLUMNS = {"id": "id", "text": "sentence", "foreign": "source_id", "english": "target_id"}
_SETS = {"foreign": "{code}", "english": "en", "gold": "gold"}

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
