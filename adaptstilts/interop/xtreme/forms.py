"""The forms of XTREME's files, and what scores each."""

from __future__ import annotations

from collections.abc import Callable

from adaptstilts.interop.xtreme.file_pair import FilePair, FileScore
from adaptstilts.interop.xtreme.json_forms import score_answers, score_choices, score_rankings
from adaptstilts.interop.xtreme.line_forms import score_labels, score_pairs, score_places, score_tags
from adaptstilts.metrics.xtreme import FileForm

_SCORERS: dict[FileForm, Callable[[FilePair], FileScore]] = {
    "labels": score_labels,
    "tags": score_tags,
    "pairs": score_pairs,
    "places": score_places,
    "answers": score_answers,
    "choices": score_choices,
    "rankings": score_rankings,
}


def score_file(pair: FilePair) -> FileScore:
    """Score one prediction file against its label file.

    Raises:
        DataError: a file does not have the form of its task, or the two do not match.
    """
    return _SCORERS[pair.task.form](pair)
