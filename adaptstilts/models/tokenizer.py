"""The tokenizer of an XLM-R encoder: text to token ids and offsets, special tokens put in by the kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adaptstilts.errors import ArtifactError

Ids = list[int]


class Tokenizer:
    """A ``tokenizer.json`` with the special tokens of XLM-R."""

    def __init__(self, folder: Path) -> None:
        import tokenizers

        path = folder / "tokenizer.json"
        try:
            self._inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:
            raise ArtifactError(f"{path}: not a tokenizer ({str(error).splitlines()[0]})") from None
        self._words: dict[str, Ids] = {}
        self._inner.no_padding()
        self._inner.no_truncation()
        self.begin, self.end, self.pad = self._special("<s>"), self._special("</s>"), self._special("<pad>")
        self.unknown = self._special("<unk>")
        self.size: int = self._inner.get_vocab_size()

    @property
    def mask(self) -> int:
        """The token that stands for a hidden one; only masked language modelling needs it."""
        return self._special("<mask>")

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, without special tokens."""
        return [encoding.ids for encoding in self._inner.encode_batch(list(texts), add_special_tokens=False)]

    def spans(self, texts: Sequence[str]) -> list[tuple[Ids, list[tuple[int, int]]]]:
        """Token ids of each text with the [begin, end) characters of every token, blanks trimmed."""
        found = []
        for text, encoding in zip(texts, self._inner.encode_batch(list(texts), add_special_tokens=False), strict=True):
            spans = []
            for begin, end in encoding.offsets:
                while begin < end and text[begin].isspace():
                    begin += 1
                spans.append((begin, end))
            found.append((encoding.ids, spans))
        return found

    def words(self, words: Sequence[str]) -> list[Ids]:
        """Token ids of single words; a word without any piece becomes the unknown token."""
        return [self._word(word) for word in words]

    def _word(self, word: str) -> Ids:
        if word not in self._words:
            self._words[word] = self._inner.encode(word, add_special_tokens=False).ids or [self.unknown]
        return self._words[word]

    def single(self, ids: Ids, max_length: int) -> tuple[Ids, bool]:
        """``<s> ids </s>`` within ``max_length``, and whether tokens were cut."""
        room = max_length - 2
        return [self.begin, *ids[:room], self.end], len(ids) > room

    def pair(self, a: Ids, b: Ids, max_length: int, front: bool = False) -> tuple[Ids, bool]:
        """``<s> a </s></s> b </s>`` within ``max_length``, and whether tokens were cut.

        The longer side is cut until both fit, at its end or (``front``) at its beginning.
        """
        room = max_length - 4
        cut = len(a) + len(b) > room
        if cut:
            keep_b = min(len(b), max(room // 2, room - len(a)))
            keep_a = min(len(a), room - keep_b)
            a, b = (a[len(a) - keep_a :], b[len(b) - keep_b :]) if front else (a[:keep_a], b[:keep_b])
        return [self.begin, *a, self.end, self.end, *b, self.end], cut

    def _special(self, token: str) -> int:
        found: int | None = self._inner.token_to_id(token)
        if found is None:
            raise ArtifactError(f"the tokenizer has no {token} token; one of the XLM-R family is expected")
        return found
