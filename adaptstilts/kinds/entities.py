"""Named entities in plain text: the text is cut into words, tagged as in sequence labelling, and scored as strings.

An answer is a list of pairs, the label of an entity and its string, as XTREME-UP has it (Ruder et al. 2023, arXiv
2305.11938): where an entity stands in the text does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import TokenHead, initialize
from adaptstilts.kinds.tagging import Tagging
from adaptstilts.metrics.scores import Metric, chunks, span_f1
from adaptstilts.models.batching import Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

Word = tuple[int, int]  # first character, and the one after the last
Entity = tuple[str, str]  # label and string

_WORD = re.compile(r"\w+|[^\w\s]")


class EntityRecognition(Tagging):
    """Named entities; fields ``text``, and for every entity ``starts``, ``ends`` (in characters) and ``labels``.

    ``labels`` are indices into the task's labels, which are the types of entities. An entity that begins or ends within
    a word is taken to be made of whole words in training.
    """

    name = "entities"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that there is text, and that the entities are in it and do not overlap."""
        return row_checks.entities(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Cut every text into words and every word into pieces; see :meth:`Tagging.features`."""
        tagged: list[Example] = []
        for row in rows:
            spans = words(row["text"])
            tokens = [row["text"][begin:end] for begin, end in spans]
            tagged.append({"tokens": tokens, "tags": _tags(row, spans)})
        return super().features(tagged, tokenizer, task, max_length)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with one output for words outside entities, and two for every label: first word and others."""
        return initialize(TokenHead(encoder.hidden, len(tag_names(task.labels)), encoder.dropout))

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return the [label, string] of every entity, in the order of the text."""
        names = tag_names(task.labels)
        tags: list[list[str]] = [[] for _ in rows]
        for feature, output in zip(features.items, outputs, strict=True):
            tags[feature.example] += [names[tag] for tag in output]
        return [_entities(row["text"], row_tags) for row, row_tags in zip(rows, tags, strict=True)]

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return the [label, string] of every entity."""
        answers = []
        for row in rows:
            entities = zip(row["labels"], row["starts"], row["ends"], strict=True)
            answers.append([[task.labels[label], row["text"][start:end]] for label, start, end in entities])
        return answers

    def labels(self, gold: Sequence[Any]) -> Sequence[object]:
        """Return nothing: many texts without entities are nothing unusual."""
        return ()

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute span F1 as XTREME-UP does."""
        return {"span_f1": span_f1(list(map(_scored, predictions)), list(map(_scored, gold)))}


def words(text: str) -> list[Word]:
    """Return the words of a text: runs of letters, digits and underscores, and every other visible character alone."""
    return [match.span() for match in _WORD.finditer(text)]


def tag_names(labels: Sequence[str]) -> list[str]:
    """Return the tags of words: ``O``, then ``B-`` and ``I-`` with each label."""
    names = ["O"]
    for label in labels:
        names += [f"B-{label}", f"I-{label}"]
    return names


def _tags(row: Example, spans: Sequence[Word]) -> list[int]:
    """Return the index of every word's tag."""
    tags = [0] * len(spans)
    for label, start, end in zip(row["labels"], row["starts"], row["ends"], strict=True):
        inside = [i for i, (begin, after) in enumerate(spans) if begin < end and start < after]
        for i in inside:
            tags[i] = 2 * label + 2
        if inside:
            tags[inside[0]] = 2 * label + 1
    return tags


def _entities(text: str, tags: Sequence[str]) -> list[list[str]]:
    """Return the [label, string] of every chunk of tags, one tag for each word of the text."""
    spans = words(text)
    return [[label, text[spans[first][0] : spans[last][1]]] for label, first, last in chunks(tags)]


def _scored(entities: Iterable[Sequence[str]]) -> list[Entity]:
    """Return the entities that count: the benchmark writes ``label: string``, and leaves out what has more colons."""
    return [(label, string.strip()) for label, string in entities if ":" not in string]


KIND = EntityRecognition()
