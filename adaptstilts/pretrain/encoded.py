"""Tokenized groups of translations as flat arrays: what batches are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adaptstilts.errors import ArtifactError
from adaptstilts.models.tokenizer import Tokenizer

ENGLISH = "en"
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TokenizedCorpus:
    """The sentences of all groups, one after the other.

    Attributes:
        tokens: (tokens,) ids without special tokens.
        starts: (sentences + 1,) where each sentence begins; the last one is where all end.
        group: (sentences,) number of the group; sentences of a group are translations of each other.
        language: (sentences,) index into the languages, English first.
    """

    tokens: Ints
    starts: Ints
    group: Ints
    language: Ints

    def save(self, path: Path) -> None:
        """Write the arrays as a safetensors file."""
        from safetensors.numpy import save_file

        save_file({item.name: np.ascontiguousarray(getattr(self, item.name)) for item in fields(self)}, str(path))

    def __len__(self) -> int:
        return len(self.group)

    def ids(self, sentence: int) -> list[int]:
        """Return the token ids of one sentence."""
        ids: list[int] = self.tokens[self.starts[sentence] : self.starts[sentence + 1]].tolist()
        return ids

    @cached_property
    def lengths(self) -> Ints:
        """(sentences,) number of tokens of each."""
        lengths: Ints = np.diff(self.starts)
        return lengths

    @cached_property
    def bounds(self) -> Ints:
        """(groups + 1,) first sentence of each group; groups are contiguous."""
        count = int(self.group[-1]) + 1 if len(self) else 0
        return np.searchsorted(self.group, np.arange(count + 1)).astype(np.int32)

    def of_language(self, language: int) -> Ints:
        """Return the numbers of the sentences of one language, in order."""
        return np.flatnonzero(self.language == language).astype(np.int32)


def english_first(codes: Iterable[str]) -> list[str]:
    """Return language codes in the order in which a tokenized corpus numbers them."""
    return sorted(codes, key=lambda code: code != ENGLISH)


def encode(groups: Sequence[Mapping[str, str]], languages: Sequence[str], tokenizer: Tokenizer) -> TokenizedCorpus:
    """Tokenize groups of translations; sentences without a token are left out.

    Args:
        groups: language -> sentence, for each group.
        languages: all codes that occur.
        tokenizer: splits the sentences; its special tokens are not added.
    """
    number = {code: i for i, code in enumerate(english_first(languages))}
    texts: list[str] = []
    group_of: list[int] = []
    language_of: list[int] = []
    for i, group in enumerate(groups):
        for code, text in group.items():
            texts.append(text)
            group_of.append(i)
            language_of.append(number[code])
    ids = tokenizer.ids(texts)
    lengths = np.array([len(sentence) for sentence in ids], np.int64)
    kept = lengths > 0
    return TokenizedCorpus(
        tokens=np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum())),
        starts=np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int32),
        group=np.array(group_of, np.int32)[kept],
        language=np.array(language_of, np.int32)[kept],
    )


def load(path: Path) -> TokenizedCorpus:
    """Read what :meth:`TokenizedCorpus.save` wrote.

    Raises:
        ArtifactError: it is not such a file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return TokenizedCorpus(**load_file(str(path)))
    except (SafetensorError, OSError, TypeError) as error:
        raise ArtifactError(f"{path}: not a tokenized corpus ({error})") from None
