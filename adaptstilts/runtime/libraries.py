"""Importing the large libraries that a phase needs, before it begins."""

from __future__ import annotations

import importlib

from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.building import model_class
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase, TaskPhase

BACKENDS = ("adapters", "peft")  # the backends that are libraries


def import_for(phase: Phase, model: Model | None) -> None:
    """Import what a phase of a study needs; do nothing for other phases.

    Args:
        phase: the phase.
        model: the base model; None if there is none.
    """
    if isinstance(phase, TaskPhase) and model is not None:
        import_libraries(phase.method, model.architecture)


def import_libraries(method: Method | None, architecture: Architecture) -> None:
    """Import the class of an encoder and the library of a method.

    Args:
        method: how the encoder is adapted; None for the base model as it is.
        architecture: architecture of the encoder.
    """
    model_class(architecture)
    if isinstance(method, AdapterMethod) and method.backend in BACKENDS:
        importlib.import_module(method.backend)
