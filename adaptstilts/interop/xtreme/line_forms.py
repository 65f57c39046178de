"""Scores of files with one prediction per line: labels, tags, pairs of sentences and row numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.file_pair import FilePair, FileScore, file_score
from adaptstilts.interop.xtreme.files import read_lines, shorten
from adaptstilts.interop.xtreme.leniency import Leniencies
from adaptstilts.io.wording import counted
from adaptstilts.metrics.scores import accuracy, chunk_f1, chunks, f1_precision_recall, token_accuracy

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
Pair = tuple[str, ...]


def score_labels(pair: FilePair) -> FileScore:
    """Score one label per line (XNLI, PAWS-X)."""
    want = read_lines(pair.gold, pair.leniencies)
    _check_labels(pair, pair.gold, want)
    if withheld(want):
        pair.leniencies.accept_withheld(pair.gold, f"every label is {want[0]!r}")
    have = read_lines(pair.predicted, pair.leniencies)
    pair.check_same_number(len(have), len(want))
    _check_labels(pair, pair.predicted, have)
    return file_score({"accuracy": accuracy(have, want)}, len(want))


def _check_labels(pair: FilePair, path: Path, lines: Sequence[str]) -> None:
    labels = pair.task.labels
    if not lines:
        raise DataError(f"{path}: empty; expected one of {', '.join(labels)} per line")
    for number, line in enumerate(lines, start=1):
        if line not in labels:
            pair.leniencies.accept("label", path, number, _expected_label(line, labels))


def _expected_label(line: str, labels: Sequence[str]) -> str:
    return f"expected one of {', '.join(labels)}, found {shorten(line)}"


@dataclass(frozen=True)
class _TaggedSentence:
    """The tags of a sentence, and the number of the line with the first one."""

    line: int
    tags: list[str]


def score_tags(pair: FilePair) -> FileScore:
    """Score one tag per line, with blank lines between sentences (UD-POS, PAN-X).

    As in seqeval 0.0.12, chunks are identified by their place in the whole file: after a sentence of another length,
    those of all later sentences are at other places than in the labels.
    """
    want = _read_sentences(pair, pair.gold)
    have = _read_sentences(pair, pair.predicted)
    if not want:
        problem = "empty; expected a tag per line, blank lines between sentences"
        pair.leniencies.accept("empty labels", pair.gold, None, problem)
    for sentence, gold in zip(have, want, strict=False):
        if len(sentence.tags) != len(gold.tags):
            problem = (
                f"expected a sentence of {counted(len(gold.tags), 'tag')}, as at"
                f" {pair.gold}:{gold.line}, found {len(sentence.tags)}"
            )
            pair.leniencies.accept("sentence length", pair.predicted, sentence.line, problem)
    pair.check_same_number(len(have), len(want), "sentence")
    gold_tags = [sentence.tags for sentence in want]
    metrics = f1_precision_recall(chunk_f1([_joined(have)], [_joined(want)]).stats)
    fitting = [_fitted(sentence.tags, len(tags)) for sentence, tags in zip(have, gold_tags, strict=True)]
    metrics["token_accuracy"] = token_accuracy(fitting, gold_tags)
    notes = []
    if want and not any(map(chunks, gold_tags)):
        notes.append(f"{pair.gold}: no label but O; its F1 is 0 whatever is predicted")
    return file_score(metrics, len(want), notes)


def _joined(sentences: Sequence[_TaggedSentence]) -> list[str]:
    """Return the tags of all sentences, with one tag outside of any chunk after each."""
    tags = []
    for sentence in sentences:
        tags += [*sentence.tags, "O"]
    return tags


def _fitted(tags: Sequence[str], length: int) -> list[str]:
    """Return as many tags as a sentence has words; missing ones are empty."""
    return [*tags[:length], *[""] * (length - len(tags))]


def _read_sentences(pair: FilePair, path: Path) -> list[_TaggedSentence]:
    """Return the sentences of a file; blank lines at its end are ignored."""
    sentences = [_TaggedSentence(1, [])]
    for number, line in enumerate(read_lines(path, pair.leniencies), start=1):
        if line == "":
            sentences.append(_TaggedSentence(number + 1, []))
            continue
        if line not in pair.task.labels:
            pair.leniencies.accept("tag", path, number, _expected_label(line, pair.task.labels))
        sentences[-1].tags.append(line)
    while sentences and not sentences[-1].tags:
        sentences.pop()
    return sentences


def score_pairs(pair: FilePair) -> FileScore:
    """Score one pair of sentence ids per line (BUCC)."""
    want, have = _read_pairs(pair.gold, pair.leniencies), _read_pairs(pair.predicted, pair.leniencies)
    if not want:
        problem = "empty; expected a foreign id, a tab and an English id per line"
        pair.leniencies.accept("empty labels", pair.gold, None, problem)
    else:
        _check_ids(pair, have, want)
    gold, predicted = set(want), set(have)
    metrics = f1_precision_recall([(len(predicted & gold), len(predicted), len(gold))])
    notes = []
    repeated = len(have) - len(predicted)
    if repeated:
        notes.append(f"{pair.predicted}: {counted(repeated, 'repeated pair')}, counted once")
    return file_score(metrics, len(gold), notes)


def _read_pairs(path: Path, leniencies: Leniencies) -> list[Pair]:
    """Return the columns of every line; a correct line has two."""
    pairs = []
    for number, line in enumerate(read_lines(path, leniencies), start=1):
        columns = tuple(line.split("\t"))
        if len(columns) != 2 or not all(columns):
            problem = f"expected a foreign id, a tab and an English id, found {shorten(line)}"
            leniencies.accept("pair", path, number, problem)
        pairs.append(columns)
    return pairs


def _check_ids(pair: FilePair, have: Sequence[Pair], want: Sequence[Pair]) -> None:
    """Note ids that do not begin as all ids of the labels do."""
    for side, name in enumerate(("a foreign", "an English")):
        example = want[0][min(side, len(want[0]) - 1)]
        start = _common_start([columns[side] for columns in want if len(columns) == 2])
        for number, columns in enumerate(have, start=1):
            if len(columns) == 2 and not columns[side].startswith(start):
                problem = f"expected {name} id such as {example!r}, found {columns[side]!r}"
                pair.leniencies.accept("sentence id", pair.predicted, number, problem)


def _common_start(ids: Sequence[str]) -> str:
    """Return ``de-`` if all ids begin with it; empty if they begin differently."""
    starts = {key.rpartition("-")[0] for key in ids}
    return f"{starts.pop()}-" if len(starts) == 1 and "" not in starts else ""


def score_places(pair: FilePair) -> FileScore:
    """Score one row number per line, compared as text (Tatoeba)."""
    want = read_lines(pair.gold, pair.leniencies)
    have = read_lines(pair.predicted, pair.leniencies)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected one row number per line")
    _check_row_numbers(pair.gold, want, pair.leniencies)
    pair.check_same_number(len(have), len(want))
    largest = max((int(line) for line in want if _WHOLE_NUMBER.fullmatch(line)), default=0)
    rows = max(len(want), largest + 1)  # more than the number of lines if the labels are an excerpt
    _check_row_numbers(pair.predicted, have, pair.leniencies, rows)
    return file_score({"accuracy": accuracy(have, want)}, len(want))


def _check_row_numbers(path: Path, lines: Sequence[str], leniencies: Leniencies, rows: int | None = None) -> None:
    """Note lines that are not row numbers.

    Args:
        path: the file.
        lines: its lines.
        leniencies: where to note them.
        rows: number of rows; None if unknown.
    """
    allowed = "0 on" if rows is None else f"0 to {rows - 1}"
    for number, line in enumerate(lines, start=1):
        if not _WHOLE_NUMBER.fullmatch(line) or (rows is not None and int(line) >= rows):
            problem = f"expected a row number from {allowed}, found {shorten(line)}"
            leniencies.accept("row number", path, number, problem)
        elif line != str(int(line)):
            problem = f"expected a row number without leading zeros, found {shorten(line)}"
            leniencies.accept("leading zeros", path, number, problem)
