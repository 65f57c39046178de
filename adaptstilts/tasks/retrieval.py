"""Sentence retrieval, evaluated without training: Tatoeba with the 36 languages of XTREME, the 41 of XTREME-R, or all.

XTREME-R encodes sentences with a model trained on SQuAD v1.1 instead of the encoder as it is. The whole set, version 1
of LASER's, has 112 languages. If the copies on the hub are not available, its plain files (``tatoeba.afr-eng.afr`` and
``tatoeba.afr-eng.eng``, aligned line by line) are read from ``<data root>/laser/tatoeba/v1/``.
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task
from adaptstilts.tasks.row_values import UnfitRow

_LASER = (
    "af am ang ar arq arz ast awa az be bn ber bs br bg ca cbk ceb cs ch zh kw csb cy da de dsb dtp el eo et eu fo fi"
    " fr fy gd ga gl gsw he hi hr hsb hu hy io ie ia id is it jv ja kab ka kk km ko ku kzj la lfn lt lv ml mr max mhr"
    " mk mn nds nl nn nb nov oc orv pam fa pms pl pt ro ru sk sl es sq sr sv swg sw ta tt te tl th tk tr tzl ug uk ur"
    " uz vi war wuu xh yi yue ms"
)
_TATOEBA = "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh kk tr et fi hu"

tatoeba = Task(
    name="tatoeba",
    kind="bitext",
    languages=tuple(_TATOEBA.split()),
    columns={"foreign": "source_sentence", "english": "target_sentence"},
    test=Source("google/xtreme", "tatoeba.{iso3}", "validation"),
    item="english",
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, arXiv 1812.10464",
)


def _sides(row: Row) -> dict[str, Any]:
    """Return both sides of a row; the copies of XTREME, of MTEB and of LASER name their columns differently."""
    if "source_sentence" in row:
        return {"foreign": row["source_sentence"], "english": row["target_sentence"]}
    if "sentence1" in row:
        return {"foreign": row["sentence1"], "english": row["sentence2"]}
    others = [name for name in row if name != "eng"]
    if len(others) != 1:
        names = ", ".join(row)
        raise UnfitRow(f"source_sentence: no such column, and no eng beside one other language; found {names}")
    return {"foreign": row[others[0]], "english": row["eng"]}


tatoeba_r = Task(
    name="tatoeba_r",
    kind="bitext",
    languages=(*tatoeba.languages, "az", "lt", "pl", "uk", "ro"),
    columns={"foreign": "foreign", "english": "english"},
    adapt=_sides,
    train_from=("squad",),
    item="english",
    test=Source(
        "google/xtreme",
        "tatoeba.{iso3}",
        "validation",
        mirrors=(Source("mteb/tatoeba-bitext-mining", "{iso3}-eng", "test"),),
    ),
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, arXiv 1812.10464; Ruder et al. 2021, arXiv 2104.07412",
)

tatoeba_laser = Task(
    name="tatoeba_laser",
    kind="bitext",
    languages=tuple(_LASER.split()),
    columns={"foreign": "foreign", "english": "english"},
    adapt=_sides,
    item="english",
    test=Source(
        "google/xtreme",
        "tatoeba.{iso3}",
        "validation",
        mirrors=(
            Source("mteb/tatoeba-bitext-mining", "{iso3}-eng", "test"),
            Source("laser/tatoeba", "v1", "tatoeba.{iso3}-eng", format="parallel"),
        ),
    ),
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, arXiv 1812.10464",
)
