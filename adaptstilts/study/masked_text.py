"""Masked language modelling on text that a study names: a task made from it, as no declaration can know the text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adaptstilts.tasks.base import Source, Task

if TYPE_CHECKING:
    from adaptstilts.study import Masked

NAME = "masked"


def of(text: Masked) -> Task:
    """A task whose training rows are those of all its splits, one after the other."""
    places = [Source(part.repo, part.config, part.split, format=part.format) for part in text.text]
    train = replace(places[0], more=tuple(places[1:]))
    return Task(name=NAME, kind="masked", languages=("en",), columns={"text": text.column}, train=train)
