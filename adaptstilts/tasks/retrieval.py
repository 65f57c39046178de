"""Sentence retrieval, evaluated without training: Tatoeba with the 36 languages of XTREME."""

from adaptstilts.tasks.base import Source, Task

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
