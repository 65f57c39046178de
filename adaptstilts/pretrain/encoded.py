"""Tokenized groups of translations as flat arrays: what batches are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adaptstilts.errors import ArtifactError
from adaptstilts.models.tokenizer import Tokenizer

ENGLISH = "en"
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """Sentences of all groups, one after the other.

    Attributes:
        tokens: (tokens,) ids without special tokens.
        starts: (sentences + 1,) where each sentence begins; the last one is where all end.
        group: (sentences,) number of the group; translations of each other share it.
        language: (sentences,) index into the languages, English first.
    """

    tokens: Ints
    starts: Ints
    group: Ints
    language: Ints

    def save(self, path: Path) -> None:
        """Write the arrays."""
        from safetensors.numpy import save_file

        save_file({item.name: np.ascontiguousarray(getattr(self, item.name)) for item in fields(self)}, str(path))

    def __len__(self) -> int:
        return len(self.group)

    def ids(self, sentence: int) -> list[int]:
        """Token ids of one sentence."""
        found: list[int] = self.tokens[self.starts[sentence] : self.starts[sentence + 1]].tolist()
        return found

    @cached_property
    def lengths(self) -> Ints:
        """(sentences,) tokens of each."""
        found: Ints = np.diff(self.starts)
        return found

    @cached_property
    def bounds(self) -> Ints:
        """(groups + 1,) the first sentence of each group: groups are contiguous."""
        count = int(self.group[-1]) + 1 if len(self) else 0
        return np.searchsorted(self.group, np.arange(count + 1)).astype(np.int32)

    def of_language(self, language: int) -> Ints:
        """Numbers of the sentences of one language, in order."""
        return np.flatnonzero(self.language == language).astype(np.int32)


def encode(groups: Sequence[Mapping[str, str]], languages: Sequence[str], tokenizer: Tokenizer) -> Encoded:
    """Tokenize groups; sentences without a token are left out."""
    number = {code: i for i, code in enumerate(sorted(languages, key=lambda code: code != ENGLISH))}
    rows = [(i, number[code], text) for i, group in enumerate(groups) for code, text in group.items()]
    ids = tokenizer.ids([text for _, _, text in rows])
    kept = [i for i, found in enumerate(ids) if found]
    flat = [token for i in kept for token in ids[i]]
    return Encoded(
        tokens=np.array(flat, np.int32),
        starts=np.cumsum([0] + [len(ids[i]) for i in kept]).astype(np.int32),
        group=np.array([rows[i][0] for i in kept], np.int32),
        language=np.array([rows[i][1] for i in kept], np.int32),
    )


def load(path: Path) -> Encoded:
    """Read what :meth:`Encoded.save` wrote.

    Raises:
        ArtifactError: it is not such a file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return Encoded(**load_file(str(path)))
    except (SafetensorError, OSError, TypeError) as error:
        raise ArtifactError(f"{path}: not a tokenized corpus ({error})") from None
