"""The files that a model's tokenizer is in: ``tokenizer.json``, or the earlier files that it can be built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptstilts.errors import ArtifactError

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
XLMR_PIECES = "sentencepiece.bpe.model"
DEBERTA_PIECES = "spm.model"
REMBERT_PIECES = "sentencepiece.model"
BYTES, MERGES = "vocab.json", "merges.txt"
WORD_PIECES = "vocab.txt"
_FORMS = ((XLMR_PIECES,), (DEBERTA_PIECES,), (REMBERT_PIECES,), (BYTES, MERGES), (WORD_PIECES,))
NAMES = (TOKENIZER, SETTINGS, XLMR_PIECES, DEBERTA_PIECES, REMBERT_PIECES, BYTES, MERGES, WORD_PIECES)


@dataclass(frozen=True)
class TokenizerFiles:
    """Where a tokenizer is.

    Attributes:
        paths: ``tokenizer.json`` alone; or the files that it is built from, the first of which says how.
        settings: ``tokenizer_config.json``, if there is one and the tokenizer must be built.
    """

    paths: tuple[Path, ...]
    settings: Path | None = None

    @property
    def is_built(self) -> bool:
        """Return whether it must be built from earlier files."""
        return self.paths[0].name != TOKENIZER


def find(folder: Path) -> TokenizerFiles:
    """Find the tokenizer of a model; ``tokenizer.json`` is preferred.

    Raises:
        ArtifactError: there is none.
    """
    if (folder / TOKENIZER).is_file():
        return TokenizerFiles((folder / TOKENIZER,))
    for names in _FORMS:
        if all((folder / name).is_file() for name in names):
            settings = folder / SETTINGS
            return TokenizerFiles(tuple(folder / name for name in names), settings if settings.is_file() else None)
    forms = ", ".join(" with ".join(names) for names in _FORMS)
    raise ArtifactError(f"{folder}: no {TOKENIZER}; expected it, or one of {forms}")
