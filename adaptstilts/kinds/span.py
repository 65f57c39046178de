"""Extractive question answering: the start and the end of the answer in the context, over sliding windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example, text_problem
from adaptstilts.kinds.base import Batch, Feature, Features, TokenHead, initialize
from adaptstilts.metrics import Metric, answer_f1, exact_match
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.tokenizer import Tokenizer

QUERY_TOKENS = 64
STRIDE = 128
ANSWER_TOKENS = 30


class Span:
    """Fields: ``id``, ``question``, ``context`` and ``answers`` (``text`` and ``answer_start`` lists)."""

    name = "span"
    headline = ("f1", "exact_match")
    trainable = True

    def check(self, example: Example, task: Task) -> str | None:
        """Texts are text, and every answer has a place."""
        answers = example["answers"]
        if not isinstance(answers, dict) or not {"text", "answer_start"} <= set(answers):
            return f"answers: expected text and answer_start, found {answers!r}"
        if len(answers["text"]) != len(answers["answer_start"]) or not answers["text"]:
            return f"answers: expected one or more texts with a start each, found {answers!r}"
        if not all(isinstance(text, str) for text in answers["text"]):
            return f"answers: expected texts, found {answers['text']!r}"
        if not all(isinstance(start, int) for start in answers["answer_start"]):
            return f"answers: expected whole numbers as starts, found {answers['answer_start']!r}"
        return text_problem(example, "question", "context")

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """``<s> question </s></s> window </s>``; windows start ``STRIDE`` tokens apart.

        The target is the answer's (first, last) token, or (0, 0) in windows without it. ``place`` is the position of
        the window's first token and the characters of its tokens. An answer whose offset does not fit its text is
        found again next to the offset; where that fails the row trains on no answer and counts as truncated.
        """
        questions = tokenizer.ids([row["question"] for row in rows])
        contexts = tokenizer.spans([row["context"] for row in rows])
        items, truncated = [], 0
        for i, row in enumerate(rows):
            question = questions[i][: min(QUERY_TOKENS, max_length // 3)]
            answer = _located(row)
            found = False
            for first, ids, spans in _windows(contexts[i], max_length - len(question) - 4):
                head = [tokenizer.begin, *question, tokenizer.end, tokenizer.end]
                target = _tokens_of(answer, spans, len(head)) if answer else (0, 0)
                found |= target != (0, 0)
                items.append(Feature(i, ([*head, *ids, tokenizer.end],), target, (len(head), first, spans)))
            truncated += len(question) < len(questions[i]) or not found
        return Features(items, truncated)

    def head(self, hidden: int, dropout: float, task: Task) -> nn.Module:
        """Two outputs per token: start and end."""
        return initialize(TokenHead(hidden, 2, 0.0))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean of the cross-entropies of start and end, one term per window."""
        start, end = _logits(head, states, batch)
        target = torch.tensor([feature.target for feature in batch.features], device=states.device)
        total = functional.cross_entropy(start, target[:, 0], reduction="sum")
        total = total + functional.cross_entropy(end, target[:, 1], reduction="sum")
        return total / 2, torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """The best (score, first token, last token) of each window, among all answers of up to 30 tokens."""
        start, end = _logits(head, states, batch)
        width = start.shape[1]
        position = torch.arange(width, device=states.device)
        band = (position[None, :] >= position[:, None]) & (position[None, :] < position[:, None] + ANSWER_TOKENS)
        outputs = []
        for i, feature in enumerate(batch.features):
            begin, _, spans = feature.place
            inside = (position >= begin) & (position < begin + len(spans))
            allowed = band & inside[:, None] & inside[None, :]
            scores = (start[i][:, None] + end[i][None, :]).masked_fill(~allowed, float("-inf"))
            best = int(scores.argmax())
            outputs.append((float(scores.view(-1)[best]), best // width - begin, best % width - begin))
        return outputs

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Answer texts, cut from the original context: the best span over a question's windows."""
        best: dict[int, tuple[float, str]] = {}
        for feature, (score, first, last) in zip(features.items, outputs, strict=True):
            _, _, spans = feature.place
            if spans and score > best.get(feature.example, (float("-inf"), ""))[0]:
                text = rows[feature.example]["context"][spans[first][0] : spans[last][1]]
                best[feature.example] = (score, text)
        return [best.get(i, (0.0, ""))[1] for i in range(len(rows))]

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Every reference answer."""
        return [list(row["answers"]["text"]) for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any]) -> Mapping[str, Metric]:
        """SQuAD v1.1 F1 and exact match."""
        return {"f1": answer_f1(predictions, gold), "exact_match": exact_match(predictions, gold)}


def _located(row: Example) -> tuple[int, int] | None:
    """[begin, end) characters of the first answer; the nearest occurrence when its offset is off."""
    text, start = row["answers"]["text"][0], row["answers"]["answer_start"][0]
    context = row["context"]
    if context[start : start + len(text)] != text:
        places = []
        at = context.find(text)
        while at >= 0 and text:
            places.append(at)
            at = context.find(text, at + 1)
        if not places:
            return None
        start = min(places, key=lambda place: abs(place - start))
    return start, start + len(text)


def _windows(
    context: tuple[list[int], list[tuple[int, int]]], room: int
) -> Iterator[tuple[int, list[int], list[tuple[int, int]]]]:
    ids, spans = context
    step = min(STRIDE, max(room // 2, 1))
    first = 0
    while True:
        yield first, ids[first : first + room], spans[first : first + room]
        if first + room >= len(ids):
            return
        first += step


def _tokens_of(answer: tuple[int, int], spans: Sequence[tuple[int, int]], shift: int) -> tuple[int, int]:
    """(first, last) token that covers the answer, or (0, 0) when the window does not hold all of it."""
    begin, end = answer
    inside = [i for i, (a, b) in enumerate(spans) if a < end and b > begin]
    if not inside or spans[inside[0]][0] > begin or spans[inside[-1]][1] < end:
        return 0, 0
    return inside[0] + shift, inside[-1] + shift


def _logits(head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    logits = head(states).float().masked_fill(batch.mask[:, :, None] == 0, float("-inf"))
    return logits[:, :, 0], logits[:, :, 1]


KIND = Span()
