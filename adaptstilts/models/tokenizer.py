"""The tokenizer of an encoder: turn text into token ids and offsets, and into sequences with special tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures, graphemes
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.config import read_config

Ids = list[int]


@dataclass(frozen=True)
class TokenSequence:
    """One text, or a pair of texts, with special tokens.

    Attributes:
        ids: all tokens.
        second: place of the first token of the second text; None if there is one text.
        typed: whether the tokens from there on have a type of their own.
        cut: whether tokens of the texts were left out.
    """

    ids: Ids
    second: int | None = None
    cut: bool = False
    typed: bool = False


class Tokenizer:
    """A ``tokenizer.json`` and the text format of its encoder.

    Args:
        folder: has ``tokenizer.json``.
        architecture: of the encoder; None for that of the encoder in the folder or, if it has only a tokenizer, for
            that of the encoders that are pretrained here.

    Raises:
        ArtifactError: the file is not a tokenizer, or lacks special tokens of the format.
    """

    def __init__(self, folder: Path, architecture: Architecture | None = None) -> None:
        import tokenizers

        path = folder / "tokenizer.json"
        try:
            self._inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:
            raise ArtifactError(f"{path}: not a tokenizer ({str(error).splitlines()[0]})") from None
        self._inner.no_padding()
        self._inner.no_truncation()
        self._word_ids: dict[str, Ids] = {}
        self._format = (architecture or _architecture_of(folder)).format_of(self._inner.get_vocab())
        self.begin = self._special(self._format.begin)
        self.end = self._special(self._format.end)
        self.pad = self._special(self._format.pad)
        self.unknown = self._special(self._format.unknown)
        self.between = [self._special(token) for token in self._format.between]
        self.size: int = self._inner.get_vocab_size()

    @property
    def mask(self) -> int:
        """Return the id of the token that hides another one; only masked language modelling needs it."""
        return self._special(self._format.mask)

    def special_count(self, pair: bool = False) -> int:
        """Return how many special tokens a sequence has."""
        return 2 + (len(self.between) if pair else 0)

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of each text, without special tokens."""
        return [encoding.ids for encoding in self._inner.encode_batch(list(texts), add_special_tokens=False)]

    def spans(self, texts: Sequence[str]) -> list[tuple[Ids, list[tuple[int, int]]]]:
        """Return the token ids of each text, and the [begin, end) characters of every token.

        Spans exclude blanks around the token, and never split what a reader sees as one character, so that
        two tokens may share a character. A token without a visible character has an empty span.
        """
        encodings = self._inner.encode_batch(list(texts), add_special_tokens=False)
        results = []
        for text, encoding in zip(texts, encodings, strict=True):
            results.append((encoding.ids, graphemes.whole(text, encoding.offsets)))
        return results

    def plain_tokens(self) -> dict[str, int]:
        """Return the id of every token that is not special; tokens as the vocabulary spells them."""
        special = {number for number, token in self._inner.get_added_tokens_decoder().items() if token.special}
        special |= {self.begin, self.end, self.pad, self.unknown, *self.between}
        return {token: number for token, number in self._inner.get_vocab().items() if number not in special}

    def words(self, words: Sequence[str]) -> list[Ids]:
        """Return the token ids of single words; a word without any piece becomes the unknown token."""
        return [self._word(word) for word in words]

    def _word(self, word: str) -> Ids:
        if word not in self._word_ids:
            text = f" {word}" if self._format.spaced_words else word
            self._word_ids[word] = self._inner.encode(text, add_special_tokens=False).ids or [self.unknown]
        return self._word_ids[word]

    def joined(self, a: Ids, b: Ids | None = None) -> TokenSequence:
        """Return one text, or two, with special tokens.

        Args:
            a: tokens of the text.
            b: tokens of the second text, if there is one.
        """
        if b is None:
            return TokenSequence([self.begin, *a, self.end])
        first = [self.begin, *a, *self.between]
        return TokenSequence([*first, *b, self.end], second=len(first), typed=self._format.token_types)

    def single(self, ids: Ids, max_length: int) -> TokenSequence:
        """Return one text with special tokens, cut at its end to at most ``max_length`` tokens."""
        room = max_length - self.special_count()
        return TokenSequence(self.joined(ids[:room]).ids, cut=len(ids) > room)

    def without_ends(self, sequence: Ids) -> Ids:
        """Return the tokens of a text from its sequence (:meth:`single`), without the special ones at both ends."""
        return sequence[1:-1]

    def pair(self, a: Ids, b: Ids, max_length: int, front: bool = False) -> TokenSequence:
        """Return two texts with special tokens, the longer one cut until both fit.

        Args:
            a: tokens of the first text.
            b: tokens of the second text.
            max_length: largest number of tokens in the sequence, special ones included.
            front: cut texts at their beginning instead of their end.
        """
        room = max_length - self.special_count(pair=True)
        cut = len(a) + len(b) > room
        if cut:
            keep_b = min(len(b), max(room // 2, room - len(a)))
            keep_a = min(len(a), room - keep_b)
            a, b = (a[len(a) - keep_a :], b[len(b) - keep_b :]) if front else (a[:keep_a], b[:keep_b])
        whole = self.joined(a, b)
        return replace(whole, cut=cut)

    def _special(self, token: str) -> int:
        """Return the id of a special token, which must be there."""
        number: int | None = self._inner.token_to_id(token)
        if number is None:
            raise ArtifactError(f"the tokenizer has no {token} token, which encoders of this architecture need")
        return number


def _architecture_of(folder: Path) -> Architecture:
    """Return the architecture of the encoder in a folder."""
    if not (folder / "config.json").is_file():
        return architectures.PRETRAINED
    return architectures.get(read_config(folder)["model_type"])
