"""Adapters that somebody else trained as phases of a plan, so that they are parents like any other."""

from __future__ import annotations

import re

from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import ImportPhase
from adaptstilts.study import NAME
from adaptstilts.workspace import Workspace


def import_phase(place: str, task: str | None, model: Model, workspace: Workspace) -> ImportPhase:
    """The phase that takes over an adapter.

    Args:
        place: a folder, or ``owner/name[:folder][@revision]`` on the hub.
        task: what tables call it; None for the adapter's own name.
        model: the base model.
        workspace: where.

    Raises:
        ArtifactError, ConfigError, ResourceError: see :func:`adaptstilts.formats.recognize.read`.
    """
    found = workspace.adapter(place, model)
    if task is not None and not re.fullmatch(NAME, task):
        raise ConfigError(f"{task!r} is no name for an adapter: letters, digits, dots, dashes and underscores are")
    name = task or plain_name(found.name)
    return ImportPhase(
        task=name,
        data={"adapter": found.digest},
        model=model.fingerprint,
        method=found.method,
        place=place,
        title=f"import {name} ({found.method.label}, {found.form} format)",
    )


def plain_name(text: str) -> str:
    """A text as a name that can be part of a path and of a table."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "adapter"


def check_kind(phase: ImportPhase, method: Method, alike: bool = False) -> None:
    """Refuse an adapter that a method cannot stand on: of another kind or, where it is to be ``alike``, otherwise made.

    Raises:
        ConfigError: names both.
    """
    if alike and phase.method.kind == method.kind and phase.method != method:
        raise ConfigError(
            f"{phase.task}: the adapter at {phase.place} is {phase.method.label}, the method {method.label}; to be"
            f" continued or merged they must be the same (compositions=[stack] takes any of the kind)"
        )
    if phase.method.kind != method.kind:
        raise ConfigError(
            f"{phase.task}: the adapter at {phase.place} is of the kind {phase.method.kind}, the method that would"
            f" stand on it of the kind {method.kind} ({method.label}); adapters of one kind act together"
        )
