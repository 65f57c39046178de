"""Scores of JSON files: choices, answers and rankings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaptstilts.data.examples import withheld
from adaptstilts.errors import DataError
from adaptstilts.interop.xtreme.file_pair import FilePair, FileScore, file_score
from adaptstilts.interop.xtreme.files import read_json, read_json_lines, read_object, shorten
from adaptstilts.io.wording import counted
from adaptstilts.metrics.answer_text import rules
from adaptstilts.metrics.scores import (
    ExampleStats,
    Metric,
    accuracy,
    answer_f1,
    average_precision,
    exact_match,
    reciprocal_rank,
)

TOP = 20
Question = tuple[str, list[str]]  # id and reference answers


def score_choices(pair: FilePair) -> FileScore:
    """Score JSON objects with a label, one per line (XCOPA)."""
    want, have = _read_choices(pair, pair.gold), _read_choices(pair, pair.predicted)
    if not want:
        raise DataError(f"{pair.gold}: empty; expected one JSON object with a label per line")
    if withheld([str(label) for label in want]):
        pair.leniencies.accept_withheld(pair.gold, f"every label is {want[0]!r}")
    pair.check_same_number(len(have), len(want))
    return file_score({"accuracy": accuracy(have, want)}, len(want))


def _read_choices(pair: FilePair, path: Path) -> list[Any]:
    labels = []
    for number, content in enumerate(read_json_lines(path, pair.leniencies), start=1):
        label = content.get("label")
        problem = f"label: expected 0 or 1, found {shorten(label)}"
        if "label" not in content:
            raise DataError(f"{path}:{number}: {problem}")
        if type(label) is not int or label not in (0, 1):
            pair.leniencies.accept("choice", path, number, problem)
        labels.append(label)
    return labels


def score_answers(pair: FilePair) -> FileScore:
    """Score answers by question id (XQuAD, MLQA, TyDiQA)."""
    questions = _read_questions(pair)
    have = read_object(pair.predicted, pair.leniencies)
    _accept_unknown(pair, have, {key for key, _ in questions})
    answered = [(key, texts) for key, texts in questions if key in have]
    answers = [_answer(pair, key, have[key]) for key, _ in answered]
    references = [texts for _, texts in answered]
    style_rules = rules("mlqa" if pair.task.name == "mlqa" else "squad", pair.code)
    unanswered = len(questions) - len(answered)
    metrics = {
        "f1": _with_zeros(answer_f1(answers, references, style_rules), unanswered),
        "exact_match": _with_zeros(exact_match(answers, references, style_rules), unanswered),
    }
    return file_score(metrics, len(questions), _unanswered_notes(pair, unanswered, len(questions)))


def _answer(pair: FilePair, key: str, answer: object) -> str:
    if not isinstance(answer, str):
        raise DataError(f"{pair.predicted}: {key!r}: expected the text of an answer, found {shorten(answer)}")
    return answer


def _read_questions(pair: FilePair) -> list[Question]:
    """Return the reference answers by question id, from a SQuAD file or a plain object."""
    path, content = pair.gold, read_json(pair.gold, pair.leniencies)
    if isinstance(content, list):
        problem = f"expected a JSON object, found {shorten(content)}"
        pair.leniencies.accept("article list", path, 1, problem)
        questions = _squad_questions(path, content)
    elif not isinstance(content, dict):
        raise DataError(f"{path}:1: expected a JSON object, found {shorten(content)}")
    elif isinstance(content.get("data"), list):
        questions = _squad_questions(path, content["data"])
    else:
        questions = list(content.items())
    seen: set[str] = set()
    for key, texts in questions:
        if not isinstance(key, str):
            raise DataError(f"{path}: expected a question id that is text, found {shorten(key)}")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{path}: {key!r}: expected one or more answers, found {shorten(texts)}")
        if key in seen:
            pair.leniencies.accept("repeated question", path, None, f"the question {key!r} occurs twice; keep one")
        seen.add(key)
    if not questions:
        raise DataError(f"{path}: empty; expected questions with their answers")
    if not any(any(texts) for _, texts in questions):
        pair.leniencies.accept_withheld(path, "only empty answers")
    return questions


def _squad_questions(path: Path, articles: list[Any]) -> list[Question]:
    """Return question ids with their reference answers, as a SQuAD file has them."""
    questions = []
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    questions.append((question["id"], [answer["text"] for answer in question["answers"]]))
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: expected data, paragraphs, qas, id and answers as in SQuAD ({error!r})") from None
    return questions


def score_rankings(pair: FilePair) -> FileScore:
    """Score ranked ids by query id (Mewsli-X, LAReQA)."""
    want, have = _read_rankings(pair, pair.gold), _read_rankings(pair, pair.predicted)
    single = pair.task.name == "mewslix"
    if not want:
        pair.leniencies.accept("empty labels", pair.gold, None, "empty; expected an id with a list each")
    for key, ids in want.items():
        problem = f"{key!r}: expected a list of {'one id' if single else 'one or more ids'}, found {shorten(ids)}"
        if not ids or (single and not isinstance(ids[0], str)):
            raise DataError(f"{pair.gold}: {problem}")
        if single and len(ids) > 1:
            pair.leniencies.accept("several targets", pair.gold, None, problem)
    _accept_unknown(pair, have, want)
    keys = [key for key in want if key in have]
    rankings = [have[key] for key in keys]
    if single:
        metric = reciprocal_rank(rankings, [[want[key][0].strip()] for key in keys], TOP)
    else:
        metric = average_precision(rankings, [want[key] for key in keys], TOP)
    unanswered = len(want) - len(keys)
    metrics = {f"map@{TOP}": _with_zeros(metric, unanswered)}
    return file_score(metrics, len(want), _unanswered_notes(pair, unanswered, len(want)))


def _read_rankings(pair: FilePair, path: Path) -> dict[str, list[Any]]:
    rankings = read_object(path, pair.leniencies)
    for key, items in rankings.items():
        problem = f"{key!r}: expected a list of ids, found {shorten(items)}"
        if not isinstance(items, list) or any(isinstance(item, list | dict) for item in items):
            raise DataError(f"{path}: {problem}")
        if not all(isinstance(item, str) for item in items):
            pair.leniencies.accept("item", path, None, problem)
    return rankings


def _accept_unknown(pair: FilePair, have: Iterable[str], want: Mapping[str, object] | set[str]) -> None:
    """Note predictions for ids that the labels lack.

    Args:
        pair: the files.
        have: ids of the predictions.
        want: ids of the labels.
    """
    unknown = [key for key in have if key not in want]
    if unknown:
        problem = f"expected ids of {pair.gold}, found {unknown[0]!r}"
        pair.leniencies.accept("unknown id", pair.predicted, None, problem, len(unknown))


def _with_zeros(metric: Metric, unanswered: int) -> Metric:
    """Return the metric with every id without a prediction counted as 0."""
    zeros: ExampleStats = [(0.0, 1.0)] * unanswered
    return Metric(metric.measure, metric.stats + zeros)


def _unanswered_notes(pair: FilePair, unanswered: int, total: int) -> list[str]:
    if not unanswered:
        return []
    return [f"{pair.predicted}: {unanswered} of {counted(total, 'id')} without a prediction, counted as 0"]
