"""Text that a study names, as a task."""

from __future__ import annotations

from adaptstilts.study import Masked, TextSource, masked_text
from adaptstilts.tasks import Source


def test_braces_in_names_are_no_placeholders() -> None:
    text = Masked(
        text=(TextSource(repo="a/b", config="{code}", split="{x.__class__}"), TextSource(repo="a/b", config="en"))
    )
    task = masked_text.of(text)
    assert task.train is not None
    filled = task.fill(task.train)
    assert filled == Source("a/b", "{code}", "{x.__class__}", more=(Source("a/b", "en", "train"),))
