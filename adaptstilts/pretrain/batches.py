"""Batches of the three objectives; each batch is a function of (corpus, seed, step) alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptstilts.data.batches import by_tokens
from adaptstilts.errors import DataError
from adaptstilts.models.seeds import seeded
from adaptstilts.pretrain.encoded import Ints, TokenizedCorpus
from adaptstilts.pretrain.recipe import Shape
from adaptstilts.pretrain.vocabulary import BEGIN, BETWEEN, END, PAD, SPECIAL

POOL = 16  # steps whose pairs are drawn at once
RUNS = (32, 64, 128, 256)  # lengths of running text
SMOOTHING = 0.5  # a language's share grows with this power of its size
PIVOT = 0.75  # how often a sentence is paired with English if it has an English translation


@dataclass(frozen=True)
class MaskedBatch:
    """Sequences some of whose tokens are to be predicted.

    Attributes:
        ids: (sequences, tokens), masked.
        mask: (sequences, tokens), 1 for tokens and 0 for padding.
        places: (targets,) positions in the flattened ids.
        targets: (targets,) the tokens that were there.
    """

    ids: Tensor
    mask: Tensor
    places: Tensor
    targets: Tensor


@dataclass(frozen=True)
class PairBatch:
    """Sentences and their translations.

    Attributes:
        ids: (2 x pairs, tokens), sentences first, translations in the same order after them.
        mask: (2 x pairs, tokens), 1 for tokens and 0 for padding.
        group: (pairs,) pairs of the same group are no negatives of each other.
    """

    ids: Tensor
    mask: Tensor
    group: Tensor


class Drawer:
    """Draws batches from a corpus.

    Args:
        corpus: tokenized groups.
        shape: objectives, tokens per step, lengths, seed.
        vocabulary: number of tokens; the last id is the mask token.
        positions: longest sequence in tokens.

    Raises:
        DataError: an objective needs translations and there are none.
    """

    def __init__(self, corpus: TokenizedCorpus, shape: Shape, vocabulary: int, positions: int) -> None:
        self.corpus, self.shape, self.vocabulary, self.positions = corpus, shape, vocabulary, positions
        self._running_text = _running_text(corpus)
        has_translation = np.diff(corpus.bounds) > 1
        self._is_paired = has_translation[corpus.group]
        if shape.objectives.tlm + shape.objectives.ranking > 0 and not self._is_paired.any():
            raise DataError("no sentence of the text has a translation, and tlm and ranking need some")
        self._paired_by_language = []
        for sentences in _by_language(corpus):
            self._paired_by_language.append(sentences[self._is_paired[sentences]])
        self._pools: dict[tuple[str, int], list[list[tuple[int, int]]]] = {}

    def objective(self, step: int) -> str:
        """Return the objective of a step, drawn by the shares."""
        shares = self.shape.objectives.model_dump()
        source = random.Random(f"objective-{self.shape.seed}-{step}")
        (name,) = source.choices(list(shares), list(shares.values()))
        return str(name)

    def mlm(self, step: int) -> MaskedBatch:
        """Draw runs of text of one length, each from one language."""
        source = self._random("mlm", step)
        lengths = [run for run in RUNS if run <= self.positions] or [self.positions]
        length = int(source.choice(lengths))
        sizes = np.array([len(text) for text in self._running_text], float)
        weights = np.where(sizes > length, sizes, 0) ** SMOOTHING
        if not weights.sum():  # no language has enough text: take all of the largest one
            length, weights = int(sizes.max()), (sizes == sizes.max()).astype(float)
        count = max(self.shape.tokens // length, 1)
        ids = np.empty((count, length), np.int64)
        languages = source.choice(len(sizes), count, p=weights / weights.sum())
        for row, language in enumerate(languages):
            text = self._running_text[language]
            start = int(source.integers(0, len(text) - (length - 2) + 1))
            ids[row] = [BEGIN, *text[start : start + length - 2], END]
        return self._masked(torch.from_numpy(ids), source)

    def tlm(self, step: int) -> MaskedBatch:
        """Draw sentences with their translations beside them."""
        longest = min(self.shape.max_length - 2, (self.positions - 2 - len(BETWEEN)) // 2)
        rows = []
        for a, b in self._pairs_of("tlm", step):
            first, second = self.corpus.ids(a)[:longest], self.corpus.ids(b)[:longest]
            rows.append([BEGIN, *first, *BETWEEN, *second, END])
        return self._masked(padded(rows), self._random("tlm-mask", step))

    def ranking(self, step: int) -> PairBatch:
        """Draw pairs of translations of similar lengths."""
        pairs = self._pairs_of("ranking", step)
        first, second = [a for a, _ in pairs], [b for _, b in pairs]
        longest = self.shape.max_length - 2
        ids = padded([[BEGIN, *self.corpus.ids(sentence)[:longest], END] for sentence in first + second])
        group = torch.from_numpy(self.corpus.group[first].astype(np.int64))
        return PairBatch(ids, (ids != PAD).long(), group)

    def _pairs_of(self, name: str, step: int) -> list[tuple[int, int]]:
        """Return the pairs of a step: one of the batches that were drawn for several steps at once."""
        pool, place = divmod(step, POOL)
        if (name, pool) not in self._pools:
            self._pools = {key: value for key, value in self._pools.items() if key[0] != name}
            self._pools[name, pool] = self._pool(name, pool)
        return self._pools[name, pool][place]

    def _pool(self, name: str, pool: int) -> list[list[tuple[int, int]]]:
        """Draw many pairs, sort them by length, and cut them into batches of the wanted number of tokens."""
        source = self._random(name, pool)
        limited = np.minimum(self.corpus.lengths + 2, self.shape.max_length)
        mean = float(limited[self._is_paired].mean())
        count = int(2 * POOL * self.shape.tokens / (2 * mean)) + 64
        pairs = self._draw_pairs(source, count)
        lengths = [int(max(limited[a], limited[b])) for a, b in pairs]
        order = sorted(range(len(pairs)), key=lambda i: lengths[i])
        runs = by_tokens(order, [2] * len(pairs), lengths, self.shape.tokens)
        chosen = source.permutation(len(runs))
        batches = []
        for j in range(POOL):
            run = runs[chosen[j % len(runs)]]
            batches.append([pairs[i] for i in run])
        return batches

    def _draw_pairs(self, source: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """Draw a language by its size, one of its sentences, and a translation: mostly English, else any."""
        sizes = np.array([len(sentences) for sentences in self._paired_by_language], float)
        largest = int(np.argmax(sizes))
        sizes[largest] = min(sizes[largest], np.partition(sizes, -2)[-2])  # English is in nearly every group
        weights = sizes**SMOOTHING
        pairs = []
        for language in source.choice(len(sizes), count, p=weights / weights.sum()):
            sentences = self._paired_by_language[language]
            sentence = int(sentences[source.integers(len(sentences))])
            pairs.append((sentence, self._draw_translation(source, sentence)))
        return pairs

    def _draw_translation(self, source: np.random.Generator, sentence: int) -> int:
        corpus = self.corpus
        group = corpus.group[sentence]
        members = range(corpus.bounds[group], corpus.bounds[group + 1])
        others = [s for s in members if s != sentence]
        english = [s for s in others if corpus.language[s] == 0]
        if english and source.random() < PIVOT:
            return english[0]
        return others[int(source.integers(len(others)))]

    def _masked(self, ids: Tensor, source: np.random.Generator) -> MaskedBatch:
        """Mask some tokens: of ten, eight become the mask token, one another token, one stays (Devlin et al. 2019).

        Args:
            ids: (sequences, tokens).
            source: draws the tokens and what becomes of them.
        """
        flat = ids.reshape(-1).clone()
        candidates = np.flatnonzero((flat >= len(SPECIAL)).numpy())
        count = max(round(len(candidates) * self.shape.mask), 1)
        places = torch.from_numpy(np.sort(source.choice(candidates, count, replace=False)))
        targets = flat[places].clone()
        fate = torch.from_numpy(source.random(count))
        other = torch.from_numpy(source.integers(len(SPECIAL), self.vocabulary - 1, count))
        unmasked = torch.where(fate < 0.9, other, targets)
        flat[places] = torch.where(fate < 0.8, self.vocabulary - 1, unmasked)
        return MaskedBatch(flat.view_as(ids), (ids != PAD).long(), places, targets)

    def _random(self, *parts: object) -> np.random.Generator:
        return np.random.default_rng(seeded(*parts, self.shape.seed))


def _by_language(corpus: TokenizedCorpus) -> list[Ints]:
    """Return the numbers of the sentences of every language."""
    return [corpus.of_language(language) for language in range(int(corpus.language.max()) + 1)]


def _running_text(corpus: TokenizedCorpus) -> list[Ints]:
    """Return all text of each language, its sentences separated by the end token."""
    texts = []
    for sentences in _by_language(corpus):
        size = int(corpus.lengths[sentences].sum()) + len(sentences)
        text, at = np.full(size, END, np.int32), 0
        for sentence in sentences:
            length = corpus.lengths[sentence]
            start = corpus.starts[sentence]
            text[at : at + length] = corpus.tokens[start : start + length]
            at += length + 1
        texts.append(text)
    return texts


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return (rows, longest) int64 ids, filled with the padding token."""
    ids = torch.full((len(rows), max(map(len, rows))), PAD, dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids
