"""What each of XTREME's files holds, and the metrics of one language: a prediction file against its label file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.files import brief, json_of, lines_of
from adaptstilts.metrics.answer_text import rules
from adaptstilts.metrics.scores import (
    Metric,
    Stats,
    accuracy,
    answer_f1,
    average_precision,
    chunk_f1,
    chunks,
    exact_match,
    reciprocal_rank,
    token_accuracy,
)
from adaptstilts.metrics.xtreme import Form, Format

TOP = 20
_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Scored:
    """Metrics of one task in one language, in points; how many examples they are over, and what must be said."""

    metrics: Mapping[str, float]
    n: int
    notes: tuple[str, ...] = ()


def score_file(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    """Score one prediction file against its label file.

    Raises:
        DataError: one of them is not what the task's form says, or they do not fit each other.
    """
    return _FORMS[held.form](held, code, predicted, gold)


def _labels(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want = _known(gold, lines_of(gold), held.labels)
    if withheld(want):
        raise DataError(f"{gold}: every label is {want[0]!r}; the labels look withheld")
    have = lines_of(predicted)
    _same_length(predicted, len(have), gold, len(want))
    return _plain({"accuracy": accuracy(_known(predicted, have, held.labels), want)}, len(want))


def _known(path: Path, lines: Sequence[str], labels: Sequence[str]) -> list[str]:
    for number, line in enumerate(lines, start=1):
        if line not in labels:
            raise DataError(f"{path}:{number}: expected one of {', '.join(labels)}, found {brief(line)}")
    if not lines:
        raise DataError(f"{path}: empty; expected one of {', '.join(labels)} per line")
    return list(lines)


def _same_length(predicted: Path, have: int, gold: Path, want: int, what: str = "lines") -> None:
    if have != want:
        raise DataError(f"{predicted}: expected {want} {what}, as many as {gold}, found {have}")


def _tags(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _sentences(gold, held.labels), _sentences(predicted, held.labels)
    if not want:
        raise DataError(f"{gold}: empty; expected a tag per line, blank lines between sentences")
    for (line, tags), (first, expected) in zip(have, want, strict=False):
        if len(tags) != len(expected):
            raise DataError(
                f"{predicted}:{line}: expected a sentence of {len(expected)} tags, as at {gold}:{first}, found"
                f" {len(tags)}"
            )
    _same_length(predicted, len(have), gold, len(want), "sentences")
    sides = [tags for _, tags in have], [tags for _, tags in want]
    f1 = chunk_f1(*sides)
    precision = Metric("ratio", [(right, given) for right, given, _ in f1.stats])
    recall = Metric("ratio", [(right, wanted) for right, _, wanted in f1.stats])
    found = {"f1": f1, "precision": precision, "recall": recall, "token_accuracy": token_accuracy(*sides)}
    notes = () if any(map(chunks, sides[1])) else (f"{gold}: no label but O; its F1 is 0 whatever is predicted",)
    return _plain(found, len(want), notes)


def _sentences(path: Path, labels: Sequence[str]) -> list[tuple[int, list[str]]]:
    """(line of the first tag, tags) of every sentence; blank lines at the end of the file are ignored."""
    found: list[tuple[int, list[str]]] = [(1, [])]
    for number, line in enumerate(lines_of(path), start=1):
        if line == "":
            found.append((number + 1, []))
        elif line in labels:
            found[-1][1].append(line)
        else:
            raise DataError(f"{path}:{number}: expected one of {', '.join(labels)}, found {brief(line)}")
    while found and not found[-1][1]:
        found.pop()
    return found


def _pairs(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _pair_lines(gold), _pair_lines(predicted)
    if not want:
        raise DataError(f"{gold}: empty; expected a foreign id, a tab and an English id per line")
    for side, name in enumerate(("a foreign", "an English")):
        start = _common_start([pair[side] for pair in want])
        for number, pair in enumerate(have, start=1):
            if not pair[side].startswith(start):
                raise DataError(
                    f"{predicted}:{number}: expected {name} id such as {want[0][side]!r}, found {pair[side]!r}"
                )
    given, right = set(have), len(set(have) & set(want))
    twice = len(have) - len(given)
    found = {
        "f1": Metric("f1", [(right, len(given), len(set(want)))]),
        "precision": Metric("ratio", [(right, len(given))]),
        "recall": Metric("ratio", [(right, len(set(want)))]),
    }
    return _plain(
        found, len(set(want)), (f"{predicted}: {twice} pairs are there twice, counted once",) if twice else ()
    )


def _pair_lines(path: Path) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(lines_of(path), start=1):
        foreign, tab, english = line.partition("\t")
        if not (foreign and tab and english) or "\t" in english:
            raise DataError(f"{path}:{number}: expected a foreign id, a tab and an English id, found {brief(line)}")
        found.append((foreign, english))
    return found


def _common_start(ids: Sequence[str]) -> str:
    """``de-`` where all ids begin so; empty where they begin differently."""
    starts = {text.rpartition("-")[0] for text in ids}
    return f"{starts.pop()}-" if len(starts) == 1 and "" not in starts else ""


def _places(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _indices(gold, lines_of(gold)), lines_of(predicted)
    if not want:
        raise DataError(f"{gold}: empty; expected one row number per line")
    _same_length(predicted, len(have), gold, len(want))
    rows = max(len(want), max(want) + 1)  # more than the lines where the labels are an excerpt
    return _plain({"accuracy": accuracy(_indices(predicted, have, rows), want)}, len(want))


def _indices(path: Path, lines: Sequence[str], rows: int | None = None) -> list[int]:
    """Row numbers, below ``rows`` where that is known."""
    limit = "0 on" if rows is None else f"0 to {rows - 1}"
    for number, line in enumerate(lines, start=1):
        if not _WHOLE.fullmatch(line) or (rows is not None and int(line) >= rows):
            raise DataError(f"{path}:{number}: expected a row number from {limit}, found {brief(line)}")
    return [int(line) for line in lines]


def _choices(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _choice_lines(gold), _choice_lines(predicted)
    if not want:
        raise DataError(f"{gold}: empty; expected one JSON object with a label per line")
    _same_length(predicted, len(have), gold, len(want))
    return _plain({"accuracy": accuracy(have, want)}, len(want))


def _choice_lines(path: Path) -> list[int]:
    found = []
    for number, line in enumerate(lines_of(path), start=1):
        label = json_of(path, line, number).get("label")
        if type(label) is not int or label not in (0, 1):
            raise DataError(f"{path}:{number}: label: expected 0 or 1, found {brief(label)}")
        found.append(label)
    return found


def _answers(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _gold_answers(gold), json_of(predicted)
    for key, answer in have.items():
        if not isinstance(answer, str):
            raise DataError(f"{predicted}: {key!r}: expected the text of an answer, found {brief(answer)}")
    asked, absent = _asked(predicted, have, gold, want)
    own = rules("mlqa" if held.name == "mlqa" else "squad", code)
    sides = [have[key] for key in asked], [want[key] for key in asked]
    none: Stats = [(0.0, 1.0)] * absent
    found = {
        "f1": Metric("ratio", answer_f1(*sides, own).stats + none),
        "exact_match": Metric("ratio", exact_match(*sides, own).stats + none),
    }
    return _plain(found, len(want), _unanswered(predicted, absent, len(want)))


def _gold_answers(path: Path) -> dict[str, list[str]]:
    """Question id -> reference answers, of a SQuAD file or of a plain object."""
    held = json_of(path)
    found: dict[str, list[str]] = {}
    try:
        if isinstance(held.get("data"), list):
            questions = [qa for part in held["data"] for block in part["paragraphs"] for qa in block["qas"]]
            pairs = [(qa["id"], [answer["text"] for answer in qa["answers"]]) for qa in questions]
        else:
            pairs = list(held.items())
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: expected data, paragraphs, qas, id and answers as in SQuAD ({error!r})") from None
    for key, texts in pairs:
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{path}: {key!r}: expected one or more answers, found {brief(texts)}")
        if key in found:
            raise DataError(f"{path}: the question {key!r} is there twice; keep one")
        found[key] = texts
    if not any(text for texts in found.values() for text in texts):
        raise DataError(f"{path}: no answer but empty ones; the labels look withheld")
    return found


def _rankings(held: Format, code: str, predicted: Path, gold: Path) -> Scored:
    want, have = _lists(gold), _lists(predicted)
    single = held.name == "mewslix"
    for key, items in want.items():
        if not items or (single and len(items) > 1):
            number = "one id" if single else "one or more ids"
            raise DataError(f"{gold}: {key!r}: expected a list of {number}, found {brief(items)}")
    if not want:
        raise DataError(f"{gold}: empty; expected an id with a list each")
    asked, absent = _asked(predicted, have, gold, want)
    metric = reciprocal_rank if single else average_precision
    found = metric([have[key] for key in asked], [want[key] for key in asked], TOP)
    none: Stats = [(0.0, 1.0)] * absent
    counted = Metric("ratio", found.stats + none)
    return _plain({f"map@{TOP}": counted}, len(want), _unanswered(predicted, absent, len(want)))


def _lists(path: Path) -> dict[str, list[str]]:
    held = json_of(path)
    for key, items in held.items():
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise DataError(f"{path}: {key!r}: expected a list of ids, found {brief(items)}")
    return held


def _asked(
    predicted: Path, have: Mapping[str, object], gold: Path, want: Mapping[str, object]
) -> tuple[list[str], int]:
    """The ids that have a prediction, in the order of the labels, and how many have none."""
    unknown = [key for key in have if key not in want]
    if unknown:
        more = f" ({len(unknown)} such ids)" if len(unknown) > 1 else ""
        raise DataError(f"{predicted}: expected ids of {gold}, found {unknown[0]!r}{more}")
    asked = [key for key in want if key in have]
    return asked, len(want) - len(asked)


def _unanswered(predicted: Path, absent: int, n: int) -> tuple[str, ...]:
    return (f"{predicted}: {absent} of {n} ids have no prediction, counted as 0",) if absent else ()


def _plain(found: Mapping[str, Metric], n: int, notes: tuple[str, ...] = ()) -> Scored:
    return Scored({name: metric.value for name, metric in found.items()}, n, notes)


_FORMS: dict[Form, Callable[[Format, str, Path, Path], Scored]] = {
    "labels": _labels,
    "tags": _tags,
    "pairs": _pairs,
    "places": _places,
    "answers": _answers,
    "choices": _choices,
    "rankings": _rankings,
}
