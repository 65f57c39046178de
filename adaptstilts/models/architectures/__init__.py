"""Architectures of encoders by their ``model_type``: every :class:`Architecture` of a module here, or of a plug-in."""

from __future__ import annotations

from adaptstilts.models.architectures.base import Architecture, LanguageModelLayout, TextFormat
from adaptstilts.models.architectures.xlm_roberta import ARCHITECTURE as PRETRAINED  # of `adaptstilts pretrain`
from adaptstilts.registry import Registry

__all__ = [
    "PRETRAINED",
    "REGISTRY",
    "Architecture",
    "LanguageModelLayout",
    "TextFormat",
    "add",
    "get",
    "known",
]


def _name(architecture: Architecture) -> str:
    return architecture.name


REGISTRY: Registry[Architecture] = Registry(
    "architecture",
    "adaptstilts.architectures",
    name_of=_name,
    is_member=lambda value: isinstance(value, Architecture),
    expected="an instance of a class derived from Architecture",
    package=__name__,
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known
