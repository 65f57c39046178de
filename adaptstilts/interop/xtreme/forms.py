"""The forms of XTREME's files, and the metrics of one language: a prediction file against its label file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.files import parse_object, read_lines, read_object, shorten
from adaptstilts.io.wording import counted
from adaptstilts.metrics.answer_text import rules
from adaptstilts.metrics.scores import (
    ExampleStats,
    Metric,
    accuracy,
    answer_f1,
    average_precision,
    chunk_f1,
    chunks,
    exact_match,
    f1_precision_recall,
    reciprocal_rank,
    token_accuracy,
)
from adaptstilts.metrics.xtreme import FileForm, TaskFormat

TOP = 20
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class FileScore:
    """Metrics of one task in one language.

    Attributes:
        metrics: metric -> points.
        n: number of examples.
        notes: remarks for the user.
    """

    metrics: Mapping[str, float]
    n: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilePair:
    """A prediction file and its label file.

    Attributes:
        task: the task that both belong to.
        code: language of both.
        predicted: the prediction file.
        gold: the label file.
    """

    task: TaskFormat
    code: str
    predicted: Path
    gold: Path


def score_file(pair: FilePair) -> FileScore:
    """Score one prediction file against its label file.

    Raises:
        DataError: a file does not have the form of its task, or the two do not match.
    """
    return _SCORERS[pair.task.form](pair)


def _score_labels(pair: FilePair) -> FileScore:
    want = read_lines(pair.gold)
    _check_labels(pair.gold, want, pair.task.labels)
    if withheld(want):
        raise DataError(f"{pair.gold}: every label is {want[0]!r}; the labels look withheld")
    have = read_lines(pair.predicted)
    _check_same_number(pair, len(have), len(want))
    _check_labels(pair.predicted, have, pair.task.labels)
    return _file_score({"accuracy": accuracy(have, want)}, len(want))


def _check_labels(path: Path, lines: Sequence[str], labels: Sequence[str]) -> None:
    for number, line in enumerate(lines, start=1):
        if line not in labels:
            raise _unknown_label(path, number, line, labels)
    if not lines:
        raise DataError(f"{path}: empty; expected one of {', '.join(labels)} per line")


def _unknown_label(path: Path, number: int, line: str, labels: Sequence[str]) -> DataError:
    expected = ", ".join(labels)
    return DataError(f"{path}:{number}: expected one of {expected}, found {shorten(line)}")


def _check_same_number(pair: FilePair, have: int, want: int, noun: str = "line") -> None:
    if have != want:
        raise DataError(f"{pair.predicted}: expected {counted(want, noun)}, as many as {pair.gold}, found {have}")


@dataclass(frozen=True)
class _TaggedSentence:
    """The tags of a sentence, and the number of the line with the first one."""

    line: int
    tags: list[str]


def _score_tags(pair: FilePair) -> FileScore:
    want = _read_sentences(pair.gold, pair.task.labels)
    have = _read_sentences(pair.predicted, pair.task.labels)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected a tag per line, blank lines between sentences")
    for sentence, gold in zip(have, want, strict=False):
        if len(sentence.tags) != len(gold.tags):
            raise DataError(
                f"{pair.predicted}:{sentence.line}: expected a sentence of {counted(len(gold.tags), 'tag')}, as at"
                f" {pair.gold}:{gold.line}, found {len(sentence.tags)}"
            )
    _check_same_number(pair, len(have), len(want), "sentence")
    predicted_tags = [sentence.tags for sentence in have]
    gold_tags = [sentence.tags for sentence in want]
    metrics = f1_precision_recall(chunk_f1(predicted_tags, gold_tags).stats)
    metrics["token_accuracy"] = token_accuracy(predicted_tags, gold_tags)
    notes = []
    if not any(map(chunks, gold_tags)):
        notes.append(f"{pair.gold}: no label but O; its F1 is 0 whatever is predicted")
    return _file_score(metrics, len(want), notes)


def _read_sentences(path: Path, labels: Sequence[str]) -> list[_TaggedSentence]:
    """Return the sentences of a file; blank lines at its end are ignored."""
    sentences = [_TaggedSentence(1, [])]
    for number, line in enumerate(read_lines(path), start=1):
        if line == "":
            sentences.append(_TaggedSentence(number + 1, []))
        elif line in labels:
            sentences[-1].tags.append(line)
        else:
            raise _unknown_label(path, number, line, labels)
    while sentences and not sentences[-1].tags:
        sentences.pop()
    return sentences


def _score_pairs(pair: FilePair) -> FileScore:
    want, have = _read_pairs(pair.gold), _read_pairs(pair.predicted)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected a foreign id, a tab and an English id per line")
    for side, name in enumerate(("a foreign", "an English")):
        _check_ids(pair.predicted, [ids[side] for ids in have], [ids[side] for ids in want], name)
    gold, predicted = set(want), set(have)
    right = len(predicted & gold)
    metrics = f1_precision_recall([(right, len(predicted), len(gold))])
    notes = []
    repeated = len(have) - len(predicted)
    if repeated:
        notes.append(f"{pair.predicted}: {counted(repeated, 'repeated pair')}, counted once")
    return _file_score(metrics, len(gold), notes)


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(read_lines(path), start=1):
        foreign, tab, english = line.partition("\t")
        if not (foreign and tab and english) or "\t" in english:
            raise DataError(f"{path}:{number}: expected a foreign id, a tab and an English id, found {shorten(line)}")
        pairs.append((foreign, english))
    return pairs


def _check_ids(path: Path, have: Sequence[str], want: Sequence[str], name: str) -> None:
    """Raise if ids do not begin as all ids of the labels do.

    Args:
        path: the prediction file.
        have: its ids of one side, one per line.
        want: the ids of that side in the label file.
        name: what messages call such an id, with its article.
    """
    start = _common_start(want)
    for number, key in enumerate(have, start=1):
        if not key.startswith(start):
            raise DataError(f"{path}:{number}: expected {name} id such as {want[0]!r}, found {key!r}")


def _common_start(ids: Sequence[str]) -> str:
    """Return ``de-`` if all ids begin with it; empty if they begin differently."""
    starts = {key.rpartition("-")[0] for key in ids}
    return f"{starts.pop()}-" if len(starts) == 1 and "" not in starts else ""


def _score_places(pair: FilePair) -> FileScore:
    want = _row_numbers(pair.gold, read_lines(pair.gold))
    lines = read_lines(pair.predicted)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected one row number per line")
    _check_same_number(pair, len(lines), len(want))
    rows = max(len(want), max(want) + 1)  # more than the number of lines if the labels are an excerpt
    have = _row_numbers(pair.predicted, lines, rows)
    return _file_score({"accuracy": accuracy(have, want)}, len(want))


def _row_numbers(path: Path, lines: Sequence[str], rows: int | None = None) -> list[int]:
    """Parse row numbers, one per line.

    Args:
        path: the file.
        lines: its lines.
        rows: number of rows; None if unknown.
    """
    allowed = "0 on" if rows is None else f"0 to {rows - 1}"
    for number, line in enumerate(lines, start=1):
        if not _WHOLE_NUMBER.fullmatch(line) or (rows is not None and int(line) >= rows):
            raise DataError(f"{path}:{number}: expected a row number from {allowed}, found {shorten(line)}")
    return [int(line) for line in lines]


def _score_choices(pair: FilePair) -> FileScore:
    want, have = _read_choices(pair.gold), _read_choices(pair.predicted)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected one JSON object with a label per line")
    _check_same_number(pair, len(have), len(want))
    return _file_score({"accuracy": accuracy(have, want)}, len(want))


def _read_choices(path: Path) -> list[int]:
    labels = []
    for number, line in enumerate(read_lines(path), start=1):
        label = parse_object(path, line, number).get("label")
        if type(label) is not int or label not in (0, 1):
            raise DataError(f"{path}:{number}: label: expected 0 or 1, found {shorten(label)}")
        labels.append(label)
    return labels


def _score_answers(pair: FilePair) -> FileScore:
    want, have = _read_references(pair.gold), read_object(pair.predicted)
    for key, answer in have.items():
        if not isinstance(answer, str):
            raise DataError(f"{pair.predicted}: {key!r}: expected the text of an answer, found {shorten(answer)}")
    keys = _answered(pair, have, want)
    answers, references = [have[key] for key in keys], [want[key] for key in keys]
    style_rules = rules("mlqa" if pair.task.name == "mlqa" else "squad", pair.code)
    unanswered = len(want) - len(keys)
    metrics = {
        "f1": _with_zeros(answer_f1(answers, references, style_rules), unanswered),
        "exact_match": _with_zeros(exact_match(answers, references, style_rules), unanswered),
    }
    return _file_score(metrics, len(want), _unanswered_notes(pair, unanswered, len(want)))


def _read_references(path: Path) -> dict[str, list[str]]:
    """Return the reference answers by question id, from a SQuAD file or a plain object."""
    content = read_object(path)
    pairs = list(content.items())
    if isinstance(content.get("data"), list):
        pairs = _squad_references(path, content["data"])
    references: dict[str, list[str]] = {}
    for key, texts in pairs:
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{path}: {key!r}: expected one or more answers, found {shorten(texts)}")
        if key in references:
            raise DataError(f"{path}: the question {key!r} occurs twice; keep one")
        references[key] = texts
    if not any(any(texts) for texts in references.values()):
        raise DataError(f"{path}: only empty answers; the labels look withheld")
    return references


def _squad_references(path: Path, articles: list[Any]) -> list[tuple[str, Any]]:
    """Return question ids with their reference answers, as a SQuAD file has them."""
    pairs = []
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    pairs.append((question["id"], [answer["text"] for answer in question["answers"]]))
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: expected data, paragraphs, qas, id and answers as in SQuAD ({error!r})") from None
    return pairs


def _score_rankings(pair: FilePair) -> FileScore:
    want, have = _read_rankings(pair.gold), _read_rankings(pair.predicted)
    single = pair.task.name == "mewslix"
    for key, ids in want.items():
        if not ids or (single and len(ids) > 1):
            number = "one id" if single else "one or more ids"
            raise DataError(f"{pair.gold}: {key!r}: expected a list of {number}, found {shorten(ids)}")
    if not want:
        raise DataError(f"{pair.gold}: empty; expected an id with a list each")
    keys = _answered(pair, have, want)
    rankings, targets = [have[key] for key in keys], [want[key] for key in keys]
    metric = reciprocal_rank(rankings, targets, TOP) if single else average_precision(rankings, targets, TOP)
    unanswered = len(want) - len(keys)
    metrics = {f"map@{TOP}": _with_zeros(metric, unanswered)}
    return _file_score(metrics, len(want), _unanswered_notes(pair, unanswered, len(want)))


def _read_rankings(path: Path) -> dict[str, list[str]]:
    rankings = read_object(path)
    for key, items in rankings.items():
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise DataError(f"{path}: {key!r}: expected a list of ids, found {shorten(items)}")
    return rankings


def _answered(pair: FilePair, have: Mapping[str, object], want: Mapping[str, object]) -> list[str]:
    """Return the ids that have a prediction, in the order of the labels.

    Args:
        pair: the files.
        have: the predictions by id.
        want: the labels by id.

    Raises:
        DataError: a prediction has an id that the labels lack.
    """
    unknown = [key for key in have if key not in want]
    if unknown:
        more = f" ({len(unknown)} such ids)" if len(unknown) > 1 else ""
        raise DataError(f"{pair.predicted}: expected ids of {pair.gold}, found {unknown[0]!r}{more}")
    return [key for key in want if key in have]


def _with_zeros(metric: Metric, unanswered: int) -> Metric:
    """Return a metric that counts every id without a prediction as 0."""
    zeros: ExampleStats = [(0.0, 1.0)] * unanswered
    return Metric(metric.measure, metric.stats + zeros)


def _unanswered_notes(pair: FilePair, unanswered: int, total: int) -> list[str]:
    if not unanswered:
        return []
    return [f"{pair.predicted}: {unanswered} of {counted(total, 'id')} without a prediction, counted as 0"]


def _file_score(metrics: Mapping[str, Metric], n: int, notes: Sequence[str] = ()) -> FileScore:
    return FileScore({name: metric.value for name, metric in metrics.items()}, n, tuple(notes))


_SCORERS: dict[FileForm, Callable[[FilePair], FileScore]] = {
    "labels": _score_labels,
    "tags": _score_tags,
    "pairs": _score_pairs,
    "places": _score_places,
    "answers": _score_answers,
    "choices": _score_choices,
    "rankings": _score_rankings,
}
