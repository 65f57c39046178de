"""The rules of XTREME's ``evaluate.py`` (commit 838c13b, seqeval 0.0.12), written from their definition.

Nothing here uses the package: text is split and compared by plain Python, and what the script cannot score raises.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

Scores = dict[str, float]

TAGGED = ("udpos", "panx")
QUESTIONS = ("xquad", "mlqa", "tydiqa")
MLQA_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "ar": "ال",
}


def score(task: str, language: str, predicted: Path, gold: Path) -> Scores:
    """Score one file; raise if the script would."""
    if task in TAGGED:
        return _tags(_sentences(predicted), _sentences(gold))
    if task in QUESTIONS:
        return _answers(_unwrapped(predicted), _unwrapped(gold), task, language)
    if task == "mewslix":
        return _entities(_unwrapped(predicted), _unwrapped(gold))
    if task == "bucc2018":
        return _pairs(_stripped(predicted), _stripped(gold))
    if task == "xcopa":
        return _accuracy(_json_labels(predicted), _json_labels(gold))
    return _accuracy(_stripped(predicted), _stripped(gold))


def _stripped(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [line.strip() for line in lines]


def _json_labels(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["label"] for line in lines]


def _unwrapped(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content.get("data", content) if isinstance(content, dict) else content


def _sentences(path: Path) -> list[list[str]]:
    """A blank line ends a sentence, even one without words; the last sentence needs none."""
    sentences: list[list[str]] = [[]]
    for line in _stripped(path):
        if line:
            sentences[-1].append(line)
        else:
            sentences.append([])
    return sentences if sentences[-1] else sentences[:-1]


def _accuracy(predicted: list[Any], gold: list[Any]) -> Scores:
    assert len(predicted) == len(gold)
    return {"accuracy": 100 * sum(map(lambda p, g: p == g, predicted, gold)) / len(predicted)}


def _overlap(predicted: set[Any], gold: set[Any]) -> Scores:
    right = len(predicted & gold)
    precision = 100 * right / len(predicted) if predicted else 0.0
    recall = 100 * right / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}


def _pairs(predicted: list[str], gold: list[str]) -> Scores:
    scores = _overlap({tuple(line.split("\t")) for line in predicted}, {tuple(line.split("\t")) for line in gold})
    return scores if scores["f1"] else dict.fromkeys(scores, 0.0)


def _tags(predicted: list[list[str]], gold: list[list[str]]) -> Scores:
    assert len(predicted) == len(gold)
    return _overlap(_entities_of(predicted), _entities_of(gold))


def _entities_of(sentences: list[list[str]]) -> set[tuple[str, int, int]]:
    """Chunks of a whole file, each sentence followed by one place outside of any chunk."""
    tags = ["O"]
    for sentence in sentences:
        tags += [*sentence, "O"]
    entities, first = set(), 0
    for place in range(1, len(tags)):
        before, after = tags[place - 1], tags[place]
        new_type = before.split("-")[-1] != after.split("-")[-1]
        ends = before[0] in "ES" or (before[0] in "BI" and after[0] in "BSO") or (before[0] not in "O." and new_type)
        starts = after[0] in "BS" or (before[0] in "ESO" and after[0] in "EI") or (after[0] not in "O." and new_type)
        if ends:
            entities.add((before.split("-")[-1], first, place))
        if starts:
            first = place
    return entities


def _answers(predicted: dict[str, Any], articles: list[Any], task: str, language: str) -> Scores:
    f1, exact, count = 0.0, 0, 0
    for article in articles:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                count += 1
                if question["id"] not in predicted:
                    continue
                answer = _words(predicted[question["id"]], task, language)
                references = [_words(reference["text"], task, language) for reference in question["answers"]]
                exact += max(answer == reference for reference in references)
                f1 += max(_word_f1(answer, reference) for reference in references)
    return {"exact_match": 100 * exact / count, "f1": 100 * f1 / count}


def _word_f1(answer: list[str], reference: list[str]) -> float:
    same = sum((Counter(answer) & Counter(reference)).values())
    return 2 * same / (len(answer) + len(reference)) if same else 0.0


def _words(text: str, task: str, language: str) -> list[str]:
    marks = set(string.punctuation)
    articles = MLQA_ARTICLES["en"]
    if task == "mlqa":
        marks |= {char for char in text.lower() if unicodedata.category(char)[0] == "P"}
        articles = MLQA_ARTICLES.get(language, "(?!)")
    text = re.sub(articles, " ", "".join(char for char in text.lower() if char not in marks))
    if task == "mlqa" and language == "zh":
        text = re.sub("([\u4e00-\u9fa5])", r" \1 ", text)
    return text.split()


def _entities(predicted: dict[str, list[str]], gold: dict[str, list[str]]) -> Scores:
    total = 0.0
    for key, targets in gold.items():
        ranking = predicted.get(key, [])[:20]
        target = targets[0].strip()
        total += 1 / (ranking.index(target) + 1) if target in ranking else 0.0
    return {"map@20": 100 * total / len(gold) if gold else 0.0}
