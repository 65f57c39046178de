"""Batches of the three objectives: each a function of (corpus, seed, step) alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptstilts.data.batches import by_tokens
from adaptstilts.errors import DataError
from adaptstilts.models.encoder import seeded
from adaptstilts.pretrain.encoded import Encoded, Ints
from adaptstilts.pretrain.recipe import Shape
from adaptstilts.pretrain.vocabulary import BEGIN, END, PAD, SPECIAL

POOL = 16
RUNS = (32, 64, 128, 256)
SMOOTHING = 0.5
PIVOT = 0.75


@dataclass(frozen=True)
class Masked:
    """Sequences of which some tokens are asked for.

    Attributes:
        ids: (sequences, tokens), masked.
        mask: (sequences, tokens), 1 where there is a token.
        places: (asked,) positions in the flattened ids.
        asked: (asked,) the tokens that were there.
    """

    ids: Tensor
    mask: Tensor
    places: Tensor
    asked: Tensor


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations.

    Attributes:
        ids: (2 x pairs, tokens), sentences first, translations in the same order after them.
        mask: (2 x pairs, tokens).
        group: (pairs,) pairs of the same group are no negatives of each other.
    """

    ids: Tensor
    mask: Tensor
    group: Tensor


class Drawer:
    """Draws batches.

    Args:
        corpus: tokenized groups.
        shape: objectives, tokens per step, lengths, seed.
        vocabulary: size of the tokenizer; the last id is the mask token.
        positions: longest sequence.

    Raises:
        DataError: an objective needs translations and there are none.
    """

    def __init__(self, corpus: Encoded, shape: Shape, vocabulary: int, positions: int) -> None:
        self.corpus, self.shape, self.vocabulary, self.positions = corpus, shape, vocabulary, positions
        self._streams = _streams(corpus)
        several = np.diff(corpus.bounds) > 1
        self._paired = several[corpus.group]
        if shape.objectives.tlm + shape.objectives.ranking > 0 and not self._paired.any():
            raise DataError("no sentence of the text has a translation; tlm and ranking need some")
        self._by_language = [
            own[self._paired[own]] for own in (corpus.of_language(i) for i in range(int(corpus.language.max()) + 1))
        ]
        self._pools: dict[tuple[str, int], list[list[tuple[int, int]]]] = {}

    def objective(self, step: int) -> str:
        """Which objective a step has: drawn by the shares."""
        shares = self.shape.objectives.model_dump()
        return str(random.Random(f"objective-{self.shape.seed}-{step}").choices([*shares], [*shares.values()])[0])

    def mlm(self, step: int) -> Masked:
        """Runs of text of one length, each from one language."""
        source = self._random("mlm", step)
        length = int(source.choice([run for run in RUNS if run <= self.positions] or [self.positions]))
        sizes = np.array([len(stream) for stream in self._streams], float)
        chances = np.where(sizes > length, sizes, 0) ** SMOOTHING
        if not chances.sum():
            length, chances = int(sizes.max()), (sizes == sizes.max()).astype(float)
        rows = max(self.shape.tokens // length, 1)
        ids = np.empty((rows, length), np.int64)
        for row, language in enumerate(source.choice(len(sizes), rows, p=chances / chances.sum())):
            stream = self._streams[language]
            start = int(source.integers(0, len(stream) - (length - 2) + 1))
            ids[row] = [BEGIN, *stream[start : start + length - 2], END]
        return self._masked(torch.from_numpy(ids), source)

    def tlm(self, step: int) -> Masked:
        """Sentences with their translations beside them."""
        corpus, longest = self.corpus, min(self.shape.max_length - 2, (self.positions - 4) // 2)
        rows = []
        for a, b in self._drawn("tlm", step):
            rows.append([BEGIN, *corpus.ids(a)[:longest], END, END, *corpus.ids(b)[:longest], END])
        return self._masked(padded(rows), self._random("tlm-mask", step))

    def ranking(self, step: int) -> Pairs:
        """Pairs of translations of like lengths."""
        corpus, longest = self.corpus, self.shape.max_length
        drawn = self._drawn("ranking", step)
        rows = [[BEGIN, *corpus.ids(s)[: longest - 2], END] for side in (0, 1) for s in (pair[side] for pair in drawn)]
        ids = padded(rows)
        group = torch.from_numpy(corpus.group[[a for a, _ in drawn]].astype(np.int64))
        return Pairs(ids, (ids != PAD).long(), group)

    def _drawn(self, name: str, step: int) -> list[tuple[int, int]]:
        """The pairs of a step: from a pool of many, sorted by length and cut into batches of so many tokens."""
        pool, place = divmod(step, POOL)
        if (name, pool) not in self._pools:
            self._pools = {key: value for key, value in self._pools.items() if key[0] != name}
            self._pools[name, pool] = self._pool(name, pool)
        return self._pools[name, pool][place]

    def _pool(self, name: str, pool: int) -> list[list[tuple[int, int]]]:
        source = self._random(name, pool)
        longest = np.minimum(self.corpus.lengths + 2, self.shape.max_length)
        mean = float(longest[self._paired].mean())
        wanted = int(2 * POOL * self.shape.tokens / (2 * mean)) + 64
        pairs = self._pairs(source, wanted)
        lengths = [int(max(longest[a], longest[b])) for a, b in pairs]
        order = sorted(range(len(pairs)), key=lambda i: lengths[i])
        runs = by_tokens(order, [2] * len(pairs), lengths, self.shape.tokens)
        chosen = source.permutation(len(runs))
        return [[pairs[i] for i in runs[chosen[j % len(runs)]]] for j in range(POOL)]

    def _pairs(self, source: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """A language by its size, one of its sentences, and a translation: English mostly, else any."""
        corpus = self.corpus
        sizes = np.array([len(own) for own in self._by_language], float)
        sizes[int(np.argmax(sizes))] = min(sizes[int(np.argmax(sizes))], np.partition(sizes, -2)[-2])
        chances = sizes**SMOOTHING
        found = []
        for language in source.choice(len(sizes), count, p=chances / chances.sum()):
            own = self._by_language[language]
            a = int(own[source.integers(len(own))])
            begin, end = corpus.bounds[corpus.group[a]], corpus.bounds[corpus.group[a] + 1]
            others = [s for s in range(begin, end) if s != a]
            english = [s for s in others if corpus.language[s] == 0]
            pivot = english and source.random() < PIVOT
            found.append((a, english[0] if pivot else others[int(source.integers(len(others)))]))
        return found

    def _masked(self, ids: Tensor, source: np.random.Generator) -> Masked:
        """Ask for some tokens: of ten, eight become the mask, one another token, one stays (Devlin et al. 2019)."""
        flat = ids.reshape(-1).clone()
        able = np.flatnonzero((flat >= len(SPECIAL)).numpy())
        count = max(round(len(able) * self.shape.mask), 1)
        places = torch.from_numpy(np.sort(source.choice(able, count, replace=False)))
        asked = flat[places].clone()
        fate = torch.from_numpy(source.random(count))
        other = torch.from_numpy(source.integers(len(SPECIAL), self.vocabulary - 1, count))
        flat[places] = torch.where(fate < 0.8, self.vocabulary - 1, torch.where(fate < 0.9, other, asked))
        return Masked(flat.view_as(ids), (ids != PAD).long(), places, asked)

    def _random(self, *parts: object) -> np.random.Generator:
        return np.random.default_rng(seeded(*parts, self.shape.seed))


def _streams(corpus: Encoded) -> list[Ints]:
    """All text of each language, one sentence after the other with the end token between them."""
    streams = []
    for language in range(int(corpus.language.max()) + 1):
        own = corpus.of_language(language)
        size = int(corpus.lengths[own].sum()) + len(own)
        stream, at = np.full(size, END, np.int32), 0
        for sentence in own:
            length = corpus.lengths[sentence]
            stream[at : at + length] = corpus.tokens[corpus.starts[sentence] : corpus.starts[sentence + 1]]
            at += length + 1
        streams.append(stream)
    return streams


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """(rows, longest) int64, filled with the padding token."""
    ids = torch.full((len(rows), max(map(len, rows))), PAD, dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids
