"""Read the vocabulary of a sentencepiece model, a protocol buffer, without the package ``sentencepiece``.

Field numbers are those of https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError

_LARGEST = 100_000_000  # bytes; that of XLM-R has 5 million
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of the model
_PIECE, _SCORE, _TYPE = 1, 2, 3  # of a piece
_MODEL_TYPE, _BYTE_FALLBACK, _UNKNOWN = 3, 35, 40  # of the trainer's settings
_CHARACTER_MAP = 2  # of the normalizer's settings
_UNIGRAM = 1
_SPECIAL_TYPES = (3, 4)  # control tokens, and tokens that the user defined
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # types of fields in the wire format


@dataclass(frozen=True)
class SentencePieces:
    """A unigram vocabulary of sentencepiece.

    Attributes:
        pieces: each with its score, by number.
        special: numbers of control tokens and of tokens that the user defined.
        control: numbers of control tokens alone.
        unknown: number of the unknown token.
        character_map: compiled rules of the normalizer; empty without any.
    """

    pieces: list[tuple[str, float]]
    special: list[int]
    control: list[int]
    unknown: int
    character_map: bytes


def read_pieces(path: Path) -> SentencePieces:
    """Read a sentencepiece model.

    Raises:
        ArtifactError: it is too large, malformed, or not a unigram model.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        return _parse(path.read_bytes())
    except (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ArtifactError(f"{path}: not a readable sentencepiece model ({error})") from None


def _parse(data: bytes) -> SentencePieces:
    pieces: list[tuple[str, float]] = []
    special: list[int] = []
    control: list[int] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(data):
        if number == _PIECES:
            piece = dict(_fields(value))
            if piece.get(_TYPE) in _SPECIAL_TYPES:
                special.append(len(pieces))
            if piece.get(_TYPE) == _SPECIAL_TYPES[0]:
                control.append(len(pieces))
            pieces.append((piece[_PIECE].decode(), piece.get(_SCORE, 0.0)))
        elif number == _TRAINER:
            trainer = dict(_fields(value))
        elif number == _NORMALIZER:
            normalizer = dict(_fields(value))
    if trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM or trainer.get(_BYTE_FALLBACK):
        raise ValueError("expected a unigram model without byte fallback; give its tokenizer.json")
    unknown = trainer.get(_UNKNOWN, 0)
    if not 0 <= unknown < len(pieces):
        raise ValueError("its unknown token is not in the vocabulary")
    return SentencePieces(pieces, special, control, unknown, normalizer.get(_CHARACTER_MAP, b""))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of the fields of a message: whole numbers, float32 numbers, or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if wire_type == _BYTES:
            size, place = _varint(data, place)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"field {tag >> 3} has an unknown type")
        content = data[place : place + size]
        if len(content) != size:
            raise ValueError("it ends within a field")
        place += size
        yield tag >> 3, struct.unpack("<f", content)[0] if wire_type == _FIXED32 else content


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a whole number and the place behind it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number is too long")
