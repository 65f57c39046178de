"""Adapters that somebody else trained, as phases of a plan: targets are trained over them as over any other."""

from __future__ import annotations

import re

from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import ImportPhase
from adaptstilts.tasks.base import NAME
from adaptstilts.workspace import Workspace


def import_phase(address: str, name: str | None, model: Model, workspace: Workspace) -> ImportPhase:
    """Return the phase that imports an adapter.

    Args:
        address: a folder, or ``owner/name[:folder][@revision]`` on the hub.
        name: what tables call it; None for the adapter's own name.
        model: the base model.
        workspace: which finds and recognises the adapter.

    Raises:
        ArtifactError, ConfigError, ResourceError: see :func:`adaptstilts.formats.recognize.read`.
    """
    adapter = workspace.adapter(address, model)
    if name is not None and not re.fullmatch(NAME, name):
        raise ConfigError(
            f"{name!r} is not a name for an adapter: expected letters, digits, dots, dashes and underscores"
        )
    task = name or plain_name(adapter.name)
    return ImportPhase(
        task=task,
        data={"adapter": adapter.digest},
        model=model.fingerprint,
        method=adapter.method,
        place=address,
        title=f"import {task} ({adapter.method.label}, {adapter.format_name} format)",
    )


def plain_name(text: str) -> str:
    """Turn a text into a name that can be part of a path and of a table."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "adapter"


def check_kind(phase: ImportPhase, method: Method, same_settings: bool = False) -> None:
    """Raise if a method cannot use an imported adapter.

    Args:
        phase: imports the adapter.
        method: method of the phases that use it.
        same_settings: whether all settings must be equal, and not only the kind.

    Raises:
        ConfigError: the kinds or settings differ; names both.
    """
    other = phase.method
    where = f"{phase.task}: the adapter at {phase.place}"
    if other.kind != method.kind:
        raise ConfigError(
            f"{where} is of the kind {other.kind}, but the method that uses it is of the kind {method.kind}"
            f" ({method.label}); only adapters of the same kind can be combined"
        )
    if same_settings and other != method:
        raise ConfigError(
            f"{where} is {other.label}, but the method is {method.label}; to continue or merge them, both must have"
            f" the same settings (compositions=[stack] takes any adapter of the kind)"
        )
