"""Metrics as XTREME computes them, as sufficient statistics per example so that intervals can be bootstrapped.

A metric of a test set is a measure of the *summed* statistics of its examples: ``ratio`` (hits, total) or ``f1``
(true positives, predicted, gold). Everything here is plain Python: reading results needs no torch.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

Stats = list[tuple[float, ...]]
Measure = Literal["ratio", "f1"]
Chunk = tuple[str, int, int]


@dataclass(frozen=True)
class Metric:
    """Statistics of one metric, one tuple per example."""

    measure: Measure
    stats: Stats

    @property
    def value(self) -> float:
        """The metric over all examples, times 100."""
        sums = [sum(column) for column in zip(*self.stats, strict=True)]
        return measure(self.measure, sums) if sums else 0.0


def measure(name: Measure, sums: Sequence[float]) -> float:
    """A measure of summed statistics, times 100; 0 where nothing could be counted."""
    top, bottom = (sums[0], sums[1]) if name == "ratio" else (2 * sums[0], sums[1] + sums[2])
    return 100.0 * top / bottom if bottom else 0.0


def accuracy(predicted: Sequence[object], gold: Sequence[object]) -> Metric:
    """Share of examples whose prediction equals the gold label."""
    return Metric("ratio", [(float(p == g), 1.0) for p, g in zip(predicted, gold, strict=True)])


def chunks(tags: Sequence[str]) -> list[Chunk]:
    """Chunks (type, first, last) of a tag sequence, by the rules of conlleval in its lenient reading.

    The first character of a tag is its position (B, I, O, E, S), the part after the last hyphen its type. Raw part
    of speech tags are read by the same rules, as XTREME does: runs of one tag fuse into one chunk, ``SCONJ`` and
    ``SYM`` begin with S and are chunks of their own, and ``X`` counts. Equal to seqeval 0.0.12.
    """
    found: list[Chunk] = []
    previous, previous_type, begin = "O", "", 0
    for i, tag in enumerate([*tags, "O"]):
        position, kind = tag[0], tag.split("-")[-1]
        changed = kind != previous_type
        if previous in "ES" or (previous in "BI" and position in "BSO") or (previous not in "O." and changed):
            found.append((previous_type, begin, i - 1))
        if position in "BS" or (previous in "ESO" and position in "EI") or (position not in "O." and changed):
            begin = i
        previous, previous_type = position, kind
    return found


def chunk_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Micro F1 over chunks (PAN-X, UD-POS); one example is one sentence."""
    stats: Stats = []
    for p, g in zip(predicted, gold, strict=True):
        have, want = set(chunks(p)), set(chunks(g))
        stats.append((float(len(have & want)), float(len(have)), float(len(want))))
    return Metric("f1", stats)


def token_accuracy(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Share of tokens whose tag is right; one example is one sentence."""
    pairs = zip(predicted, gold, strict=True)
    hits = [(float(sum(a == b for a, b in zip(p, g, strict=True))), float(len(g))) for p, g in pairs]
    return Metric("ratio", [(hit, total) for hit, total in hits])


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def normalize_answer(text: str) -> str:
    """SQuAD v1.1 normalisation: lower case, no ASCII punctuation, no English articles, single spaces."""
    bare = "".join(char for char in text.lower() if char not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(predicted: Sequence[str], gold: Sequence[Sequence[str]]) -> Metric:
    """Share of questions whose normalised answer equals one of the references."""
    stats: Stats = []
    for p, references in zip(predicted, gold, strict=True):
        answer = normalize_answer(p)
        stats.append((float(any(answer == normalize_answer(r) for r in references)), 1.0))
    return Metric("ratio", stats)


def answer_f1(predicted: Sequence[str], gold: Sequence[Sequence[str]]) -> Metric:
    """Token F1 of the normalised answer, the best over the references (SQuAD v1.1)."""
    stats: Stats = []
    for p, references in zip(predicted, gold, strict=True):
        stats.append((max((_overlap(p, r) for r in references), default=0.0), 1.0))
    return Metric("ratio", stats)


def _overlap(predicted: str, reference: str) -> float:
    have, want = normalize_answer(predicted).split(), normalize_answer(reference).split()
    same = sum((Counter(have) & Counter(want)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(have), same / len(want)
    return 2 * precision * recall / (precision + recall)


def pair_metrics(predicted: Sequence[object], gold: Sequence[Collection[object]]) -> dict[str, Metric]:
    """F1, precision and recall of extracted pairs (bitext mining); one example is one sentence of one side.

    Args:
        predicted: the partner given to each sentence; None where it has none.
        gold: the true partners of each sentence, mostly none.
    """
    sums = [(float(p in g), float(p is not None), float(len(g))) for p, g in zip(predicted, gold, strict=True)]
    return {
        "f1": Metric("f1", list(sums)),
        "precision": Metric("ratio", [(right, given) for right, given, _ in sums]),
        "recall": Metric("ratio", [(right, wanted) for right, _, wanted in sums]),
    }
