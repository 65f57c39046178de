"""Extractive question answering: the start and the end of the answer in the context, over sliding windows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import Probe, TokenHead, TrainableDefaults, initialize
from adaptstilts.metrics import answer_text
from adaptstilts.metrics.scores import Metric, answer_f1, exact_match
from adaptstilts.models import graphemes
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.models.graphemes import Span
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

QUERY_TOKENS = 64
STRIDE = 128
ANSWER_TOKENS = 30
OTHER_PROBES = 4  # tokens that are drawn beside the first one of an answer
MOVED, UNUSABLE, INSIDE = "answer moved", "answer not in context", "answer is part of its tokens"


class SpanExtraction(TrainableDefaults):
    """Extractive answers; fields ``id``, ``question``, ``context``, ``answers`` (``text``, ``answer_start``)."""

    name = "span"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that texts are text and every answer has a place."""
        return row_checks.span(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn every row into pairs of the question and a window of the context; windows start ``STRIDE`` tokens apart.

        The target is the (first, last) token of the answer's visible characters, or (0, 0) in windows without all of
        them. ``place`` is the position of the window's first token and the characters of its tokens. An answer whose
        offset does not fit its text is found again next to the offset and counted as moved; where that fails, or
        nothing of it is visible, the row trains on no answer and is counted as unusable. Answers whose first or last
        token has more than them are counted too: no span of tokens is exactly these.
        """
        questions = tokenizer.ids([row["question"] for row in rows])
        contexts = tokenizer.spans([row["context"] for row in rows])
        items, truncated = [], 0
        counts: Counter[str] = Counter()
        for i, row in enumerate(rows):
            question = questions[i][: min(QUERY_TOKENS, max_length // 3)]
            answer, fates = _answer_tokens(row, contexts[i][1])
            counts.update(fates)
            has_answer = answer is None
            room = max_length - len(question) - tokenizer.special_count(pair=True)
            for first, ids, spans in _windows(contexts[i], room):
                sequence = tokenizer.joined(question, ids)
                assert sequence.second is not None  # noqa: S101
                target = (0, 0)
                if answer and first <= answer[0] and answer[1] < first + len(ids):
                    target = (answer[0] - first + sequence.second, answer[1] - first + sequence.second)
                    has_answer = True
                items.append(Feature.of(i, [sequence], target, (sequence.second, first, spans)))
            truncated += len(question) < len(questions[i]) or not has_answer
        return Features(items, truncated, dict(counts))

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with two outputs per token, for start and end."""
        return initialize(SpanHead(encoder.hidden, task.unanswerable))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the mean of the cross-entropies of start and end, one term per window."""
        start, end = _logits(head, states, batch)
        target = torch.tensor([feature.target for feature in batch.features], device=states.device)
        total = functional.cross_entropy(start, target[:, 0], reduction="sum")
        total = total + functional.cross_entropy(end, target[:, 1], reduction="sum")
        return total / 2, torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the best (score, first token, last token) of each window, among all answers of up to 30 tokens.

        Where questions may have no answer, then also the score of having none: that of the first token.
        """
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
            none = (float(start[i, 0] + end[i, 0] + head.none),) if _may_be_empty(head) else ()
            outputs.append((scores.view(-1)[best].item(), best // width - begin, best % width - begin, *none))
        return outputs

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return answer texts, cut from the original context: the best span over a question's windows.

        Where questions may have no answer, the empty one when having none scores higher in every window.
        """
        return [text if lead >= 0 else "" for lead, text in _best(outputs, features, rows)]

    def calibrates(self, task: Task) -> bool:
        """Return whether a question may have no answer, whose score then needs a shift."""
        return task.unanswerable

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """Shift the score of having no answer to where F1 on the English dev rows is best (Rajpurkar et al. 2018)."""
        assert isinstance(head, SpanHead)  # noqa: S101
        best = _best(outputs, features, rows)
        gold, rules = self.gold(rows, task), answer_text.rules(task.answers, "en")
        answered = answer_f1([text for _, text in best], gold, rules, True).stats
        empty = answer_f1([""] * len(best), gold, rules, True).stats
        order = sorted(range(len(best)), key=lambda i: -best[i][0])
        gains = [0.0, *accumulate(answered[i][0] - empty[i][0] for i in order)]
        kept = max(range(len(gains)), key=gains.__getitem__)  # so many of the surest answers are given
        leads = [best[i][0] for i in order]
        if 0 < kept < len(leads):
            shift = (leads[kept - 1] + leads[kept]) / 2
        else:
            shift = leads[0] + 1 if kept == 0 else leads[-1] - 1
        head.none += shift

    def labels(self, gold: Sequence[Any]) -> Sequence[object]:
        """Return nothing: answers are no labels."""
        return ()

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the answer's first token with 1 and a few other tokens with 0; nothing for a window without it."""
        if feature.target == (0, 0):
            return []
        first, size = feature.target[0], feature.length
        others = random.Random(feature.example).sample(range(1, size), min(OTHER_PROBES, size - 1))
        return [(0, token, float(token == first)) for token in dict.fromkeys((first, *others))]

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return every reference answer."""
        return [list(row["answers"]["text"]) for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute F1 and exact match by the rules that the task names."""
        rules = answer_text.rules(task.answers, language)
        return {
            "f1": answer_f1(predictions, gold, rules, task.unanswerable),
            "exact_match": exact_match(predictions, gold, rules, task.unanswerable),
        }


class SpanHead(TokenHead):
    """A head for start and end of every token; ``none`` is added to the score of having no answer."""

    none: Tensor

    def __init__(self, hidden: int, unanswerable: bool) -> None:
        super().__init__(hidden, 2, 0.0)
        self.unanswerable = unanswerable
        if unanswerable:
            self.register_buffer("none", torch.zeros(()))


def _may_be_empty(head: nn.Module) -> TypeGuard[SpanHead]:
    return isinstance(head, SpanHead) and head.unanswerable


def _best(outputs: Sequence[Any], features: Features, rows: Sequence[Example]) -> list[tuple[float, str]]:
    """Of every question its best answer, and by how much it leads the score of having none (the lowest of a window)."""
    best: dict[int, tuple[float, str]] = {}
    none: dict[int, float] = {}
    for feature, (score, first, last, *least) in zip(features.items, outputs, strict=True):
        _, _, spans = feature.place
        for value in least:
            none[feature.example] = min(value, none.get(feature.example, value))
        if spans and score > best.get(feature.example, (float("-inf"), ""))[0]:
            text = rows[feature.example]["context"][spans[first][0] : spans[last][1]]
            best[feature.example] = (score, text)
    answers = [best.get(i, (0.0, "")) for i in range(len(rows))]
    return [(score - none[i] if i in none else 0.0, text) for i, (score, text) in enumerate(answers)]


def _answer_tokens(row: Example, spans: Sequence[Span]) -> tuple[Span | None, list[str]]:
    """Return the (first, last) token of the first answer in the context, and what is counted of it.

    Args:
        row: row with the answers.
        spans: [begin, end) characters of every token of the context.

    Returns:
        None instead of the tokens if there is no answer, or no token of it.
    """
    context, answers = row["context"], row["answers"]
    if not answers["text"]:
        return None, []
    place, fates = _located(context, answers["text"][0], answers["answer_start"][0])
    inside = [i for i, (begin, end) in enumerate(spans) if begin < place[1] and end > place[0]]
    if not inside:
        return None, [UNUSABLE]
    first, last = inside[0], inside[-1]
    if graphemes.visible(context, spans[first][0], spans[last][1]) != place:
        exact = _exact_tokens(spans, inside, place)
        if exact is None:
            fates.append(INSIDE)
        else:
            first, last = exact
    return (first, last), fates


def _exact_tokens(spans: Sequence[Span], inside: Sequence[int], place: Span) -> Span | None:
    """Return the (first, last) of the tokens in a place that begin and end with it exactly; None if there are none.

    Two tokens that share a character both have all of it, so that one of them may be enough.

    Args:
        spans: [begin, end) characters of every token.
        inside: the tokens that have a part of the place.
        place: [begin, end) characters.
    """
    firsts = [i for i in inside if spans[i][0] == place[0]]
    lasts = [i for i in inside if spans[i][1] == place[1]]
    if not firsts or not lasts or firsts[0] > lasts[-1]:
        return None
    return firsts[0], lasts[-1]


def _located(context: str, answer: str, start: int) -> tuple[Span, list[str]]:
    """Return the [begin, end) visible characters of an answer, empty if it is nowhere, and what was done to find it.

    Args:
        context: to find it in.
        answer: its text.
        start: where it should begin.
    """
    begin, end = graphemes.visible(answer, 0, len(answer))
    text, start = answer[begin:end], start + begin
    if not text:
        return (0, 0), []
    if start >= 0 and context.startswith(text, start):
        return (start, start + len(text)), []
    places = []
    at = context.find(text)
    while at >= 0:
        places.append(at)
        at = context.find(text, at + 1)
    if not places:
        return (0, 0), []
    nearest = min(places, key=lambda place: abs(place - start))
    return (nearest, nearest + len(text)), [MOVED]


def _windows(context: tuple[list[int], list[Span]], room: int) -> Iterator[tuple[int, list[int], list[Span]]]:
    ids, spans = context
    step = min(STRIDE, max(room // 2, 1))
    first = 0
    while True:
        yield first, ids[first : first + room], spans[first : first + room]
        if first + room >= len(ids):
            return
        first += step


def _logits(head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    logits = head(states).float().masked_fill(batch.mask[:, :, None] == 0, float("-inf"))
    return logits[:, :, 0], logits[:, :, 1]


KIND = SpanExtraction()
