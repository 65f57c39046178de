"""CCG supertagging from the user's own file: CCGbank is not free to pass on, and no stand-in is called by its name.

Put ``train.tsv``, ``validation.tsv`` and ``test.tsv`` under ``<data root>/ccgbank/supertags/default/``: a sentence a
line, its words with blanks between them, a tab, as many tags with blanks between them (the format that jiant reads).
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task

_REPO = "ccgbank/supertags"


def _words_and_tags(row: Row) -> dict[str, Any]:
    return {"tokens": row["0"].split(" "), "tags": row["1"].split(" ")}


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
    licence="LDC; bring your own copy",
    citation="Hockenmaier and Steedman 2007, CCGbank",
)
