"""Check that a ``tokenizer.json`` fits an encoder: its pieces have embeddings, and its special tokens exist."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object
from adaptstilts.models.architectures import Architecture

_LARGEST = 500_000_000  # bytes; that of XLM-R has 9 million
_GROWTH = 5000  # characters that a normalizer may make of one; that of RemBERT has a bound of 3,564
_FORMS = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18, "Lowercase": 3, "BertNormalizer": 9, "ByteLevel": 4}


def check_tokenizer(path: Path, architecture: Architecture, config: Mapping[str, Any]) -> None:
    """Compare a tokenizer with the encoder that it lies beside.

    Args:
        path: a ``tokenizer.json``.
        architecture: architecture of the encoder.
        config: config of the encoder.

    Raises:
        ArtifactError: a piece has no embedding, a special token is missing, padding is another token, or the normalizer
            multiplies text.
    """
    content = read_object(path, "tokenizer", max_bytes=_LARGEST)
    ids = _token_ids(content, path)
    _check_normalizer(content.get("normalizer"), path)
    vocabulary = config[architecture.sizes["vocabulary"]]
    largest = max(ids.values(), default=-1)
    if largest >= vocabulary:
        token = next(token for token, number in ids.items() if number == largest)
        raise ArtifactError(
            f"{path}: the token {token[:40]!r} has the number {largest}, the encoder has embeddings for {vocabulary};"
            " expected the tokenizer of this encoder"
        )
    form = architecture.format_of(ids)
    for token in form.tokens:
        if token not in ids:
            raise ArtifactError(f"{path}: the tokenizer has no {token} token, which encoders of this architecture need")
    if not architecture.pads_positions:
        return
    pad = config.get("pad_token_id", architecture.settings["pad_token_id"].absent)
    if ids[form.pad] != pad:
        raise ArtifactError(
            f"{path}: {form.pad} has the number {ids[form.pad]}, config.json has pad_token_id {pad}; expected the same"
        )


def _check_normalizer(normalizer: Any, path: Path) -> None:
    """Raise if a normalizer makes so many characters of one that a short text takes all memory."""
    try:
        growth = _growth(normalizer)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, struct.error, binascii.Error) as error:
        raise ArtifactError(f"{path}: not a tokenizer ({type(error).__name__} in its normalizer)") from None
    if growth > _GROWTH:
        raise ArtifactError(
            f"{path}: its normalizer may replace one character by {growth:,}; at most {_GROWTH:,} are accepted"
        )


def _growth(part: Mapping[str, Any] | None) -> int:
    """Return how many characters a normalizer makes of one, at most.

    Args:
        part: one of ``tokenizer.json``; kinds that are not known here leave a text as long as it is.
    """
    if part is None:
        return 1
    kind = part["type"]
    if kind == "Sequence":
        product = 1
        for member in part["normalizers"]:
            product *= _growth(member)
        return product
    if kind == "Replace":
        pattern = part["pattern"].get("String")
        if pattern:
            return max(1, -(-len(part["content"]) // len(pattern)))
        return 1 + len(part["content"])  # a regular expression may match between any two characters
    if kind == "Prepend":
        return 1 + len(part["prepend"])
    if kind == "Precompiled":
        return max(1, _longest_replacement(part["precompiled_charsmap"]))
    return _FORMS.get(kind, 1)


def _longest_replacement(charsmap: str | None) -> int:
    """Return the length in bytes of the longest replacement in a map of SentencePiece, which follow its index."""
    blob = base64.b64decode(charsmap or "", validate=True)
    if not blob:
        return 1
    (index,) = struct.unpack("<I", blob[:4])
    return max(map(len, blob[4 + index :].split(b"\0")))


def _token_ids(content: Mapping[str, Any], path: Path) -> dict[str, int]:
    """Return the number of every token, including tokens added to the vocabulary.

    Args:
        content: of a ``tokenizer.json``.
        path: the file, for messages.
    """
    try:
        vocabulary = content["model"]["vocab"]
        if isinstance(vocabulary, list):
            vocabulary = {str(piece[0]): number for number, piece in enumerate(vocabulary)}
        added = {str(token["content"]): token["id"] for token in content.get("added_tokens") or ()}
        ids: dict[str, int] = {**vocabulary, **added}
    except (KeyError, TypeError, IndexError) as error:
        raise ArtifactError(f"{path}: not a tokenizer ({type(error).__name__} in its vocabulary)") from None
    wrong = next((token for token, number in ids.items() if type(number) is not int or number < 0), None)
    if wrong is not None:
        raise ArtifactError(f"{path}: not a tokenizer (the token {wrong[:40]!r} has the number {ids[wrong]!r})")
    return ids
