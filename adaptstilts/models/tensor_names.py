"""Names of the tensors in a weights file: those of the encoder itself, and those of a pooler or head around it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from adaptstilts.io.wording import printable
from adaptstilts.models.architectures import Architecture

_OLD_NAMES = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}  # names in the first BERT files


def encoder_names(stored: Collection[str], architecture: Architecture) -> dict[str, str]:
    """Return the encoder's own name of each of its tensors, by the name in the file.

    In a model with a head, all tensors of the encoder have a common prefix; what does not have it belongs to the head.

    Args:
        stored: names of all tensors in the file.
        architecture: architecture of the encoder.
    """
    prefix = f"{architecture.names.prefix}."
    has_prefix = any(name.startswith(prefix) for name in stored)
    names = {}
    for name in stored:
        if architecture.is_unused(name) or (has_prefix and not name.startswith(prefix)):
            continue
        names[name] = _present_name(name.removeprefix(prefix))
    return names


def left_out(stored: Collection[str], architecture: Architecture) -> list[str]:
    """Return what the toolkit leaves out of a weights file: ``pooler``, and the first part of the names of heads.

    A language-model head is not among them where the toolkit can use it.

    Args:
        stored: names of all tensors in the file.
        architecture: architecture of the encoder.
    """
    encoder = encoder_names(stored, architecture)
    head = architecture.language_model
    parts: Iterable[str] = (
        "pooler" if "pooler." in name else printable(name.partition(".")[0][:100])
        for name in stored
        if name not in encoder and not name.endswith("position_ids") and not (head and head.prefix in name)
    )
    return sorted(set(parts))


def _present_name(name: str) -> str:
    """Return a name of a tensor as the library has it today."""
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
