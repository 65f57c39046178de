"""Sentence retrieval, evaluated without training: Tatoeba with the 36 languages of XTREME, or the 41 of XTREME-R.

XTREME-R encodes sentences with a model trained on SQuAD v1.1 instead of the encoder as it is.
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task

_TATOEBA = "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh kk tr et fi hu"

tatoeba = Task(
    name="tatoeba",
    kind="bitext",
    languages=tuple(_TATOEBA.split()),
    columns={"foreign": "source_sentence", "english": "target_sentence"},
    test=Source("google/xtreme", "tatoeba.{iso3}", "validation"),
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, arXiv 1812.10464",
)


def _sides(row: Row) -> dict[str, Any]:
    """The copies of XTREME and of MTEB name their columns differently."""
    if "source_sentence" in row:
        return {"foreign": row["source_sentence"], "english": row["target_sentence"]}
    return {"foreign": row["sentence1"], "english": row["sentence2"]}


tatoeba_r = Task(
    name="tatoeba_r",
    kind="bitext",
    languages=(*tatoeba.languages, "az", "lt", "pl", "uk", "ro"),
    columns={"foreign": "foreign", "english": "english"},
    adapt=_sides,
    train_from=("squad",),
    test=Source(
        "google/xtreme",
        "tatoeba.{iso3}",
        "validation",
        mirrors=(Source("mteb/tatoeba-bitext-mining", "{iso3}-eng", "test"),),
    ),
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, arXiv 1812.10464; Ruder et al. 2021, arXiv 2104.07412",
)
