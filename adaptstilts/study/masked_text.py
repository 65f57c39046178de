"""Masked language modelling on text that a study names: a task made from it, as no declaration can know the text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adaptstilts.tasks.base import Source, Task

if TYPE_CHECKING:
    from adaptstilts.study import Masked

NAME = "masked"


def of(text: Masked) -> Task:
    """Return a task whose training rows are those of all splits of a text, one after the other."""
    places = [Source(part.repo, _literal(part.config), _literal(part.split), format=part.format) for part in text.text]
    train = replace(places[0], more=tuple(places[1:]))
    return Task(name=NAME, kind="masked", languages=("en",), columns={"text": text.column}, train=train)


def _literal(name: str) -> str:
    """Return a config or split name in which braces are no placeholders."""
    return name.replace("{", "{{").replace("}", "}}")
