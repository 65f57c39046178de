"""Which sentences of a text file are mined: those of which the tokenizer knows a word and, if asked for, no copies.

Sentences without a known word have almost the same vectors, whatever they say, and would be each other's best matches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts.io import hashed_arrays
from adaptstilts.models.tokenizer import Ids, Tokenizer
from adaptstilts.models.unknown_tokens import KnownWords, TokenCount
from adaptstilts.retrieval.text_file import DIGEST_BYTES, SentenceFile, first_of_equal

_BLOCK = 2**12  # sentences whose tokens are in memory at once


@dataclass(frozen=True)
class Selection:
    """The sentences of a file that are mined.

    Attributes:
        sentences: what is mined of the file.
        unknown: sentences left out because the tokenizer knows no word of them.
        same_tokens: other sentences that have the tokens of an earlier one, once cut to the maximum length; left out if
            that was asked for.
        tokens: of all sentences.
    """

    sentences: SentenceFile
    unknown: int
    same_tokens: int
    tokens: TokenCount


def select(
    file: SentenceFile,
    tokenizer: Tokenizer,
    max_length: int,
    distinct_tokens: bool,
    saved: Path,
    report: Callable[[int, int], None],
    prefix: str = "",
) -> Selection:
    """Choose the sentences of a file that are mined.

    Args:
        file: its sentences.
        tokenizer: of the model.
        max_length: tokens of a sentence, special ones included.
        distinct_tokens: leave out sentences with the tokens of an earlier one.
        saved: file that keeps the choice, without the hash that its name gets; it is read if it is there.
        report: called with the sentences that were looked at, and all.
        prefix: text put before every sentence.
    """
    path = hashed_arrays.find(saved)
    if path is None:
        path = hashed_arrays.save(saved, **_choose(file, tokenizer, max_length, distinct_tokens, report, prefix))
    with np.load(path) as arrays:
        rows = arrays["rows"]
        unknown, same_tokens, tokens, unknown_tokens = arrays["counts"].tolist()
    sentences = replace(file, numbers=file.numbers[rows], offsets=file.offsets[rows])
    return Selection(sentences, unknown, same_tokens, TokenCount(tokens, unknown_tokens))


def _choose(
    file: SentenceFile,
    tokenizer: Tokenizer,
    max_length: int,
    distinct_tokens: bool,
    report: Callable[[int, int], None],
    prefix: str,
) -> dict[str, Any]:
    """Return what is saved: the rows of the chosen sentences, and counts; arguments as of :func:`select`."""
    words, digests = KnownWords(tokenizer), bytearray()
    known, tokens, unknown_tokens = np.zeros(len(file), bool), 0, 0
    texts = file.texts(slice(None))
    for start in range(0, len(file), _BLOCK):
        block = list(islice(texts, _BLOCK))
        plain = _tokens(block, tokenizer, max_length)
        prefixed = _tokens([prefix + text for text in block], tokenizer, max_length) if prefix else plain
        for row, (seen, encoded) in enumerate(zip(plain, prefixed, strict=True), start):
            known[row] = words.is_known(seen)
            tokens += len(seen)
            unknown_tokens += seen.count(tokenizer.unknown)
            if known[row]:
                digests += _digest(encoded)
        report(min(start + _BLOCK, len(file)), len(file))
    rows = np.flatnonzero(known)
    first = rows[first_of_equal(digests)]
    counts = np.array([len(file) - len(rows), len(rows) - len(first), tokens, unknown_tokens], np.int64)
    return {"rows": first if distinct_tokens else rows, "counts": counts}


def _tokens(texts: list[str], tokenizer: Tokenizer, max_length: int) -> list[Ids]:
    """Return the tokens of texts, cut to a length, without special ones."""
    return [tokenizer.without_ends(tokenizer.single(ids, max_length).ids) for ids in tokenizer.ids(texts)]


def _digest(ids: Ids) -> bytes:
    return hashlib.blake2b(np.array(ids, np.int64).tobytes(), digest_size=DIGEST_BYTES).digest()
