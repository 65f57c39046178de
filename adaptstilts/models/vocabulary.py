"""Check that a ``tokenizer.json`` fits an encoder: its pieces have embeddings, and its special tokens exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_object
from adaptstilts.models.architectures import Architecture

_LARGEST = 500_000_000  # bytes; that of XLM-R has 9 million


def check_tokenizer(path: Path, architecture: Architecture, config: Mapping[str, Any]) -> None:
    """Compare a tokenizer with the encoder that it lies beside.

    Args:
        path: a ``tokenizer.json``.
        architecture: architecture of the encoder.
        config: config of the encoder.

    Raises:
        ArtifactError: a piece has no embedding, a special token is missing, or padding is another token.
    """
    ids = _token_ids(path)
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


def _token_ids(path: Path) -> dict[str, int]:
    """Return the number of every token, including tokens added to the vocabulary."""
    content = read_object(path, "tokenizer", max_bytes=_LARGEST)
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
