"""CCG supertagging, from your own copy of CCGbank, which may not be redistributed.

Put ``train.tsv``, ``validation.tsv`` and ``test.tsv`` into ``<data root>/ccgbank/supertags/default/``. Each line has a
sentence: its words with spaces between them, a tab, and as many tags with spaces between them (the format of jiant).
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task
from adaptstilts.tasks.recipe import STILTS_INTERMEDIATE, X_STILTS
from adaptstilts.tasks.row_values import text

_REPO = "ccgbank/supertags"


def _words_and_tags(row: Row) -> dict[str, Any]:
    return {"tokens": text(row, "0").split(" "), "tags": text(row, "1").split(" ")}


ccg = Task(
    name="ccg",
    kind="tagging",
    languages=("en",),
    columns={"tokens": "tokens", "tags": "tags"},
    adapt=_words_and_tags,
    open_labels=True,
    train=Source(_REPO, "default", "train", format="tsv"),
    dev=Source(_REPO, "default", "validation", format="tsv"),
    test=Source(_REPO, "default", "test", format="tsv"),
    metrics=("token_accuracy",),
    intermediate=True,
    train_rows=38_015,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="LDC User Agreement; bring your own copy",
    citation="Hockenmaier and Steedman 2007, CCGbank",
)
