"""The compositions: how a target uses its intermediates, and which methods support each way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from adaptstilts import methods
from adaptstilts.methods.base import Method

CompositionKind = Literal["none", "stack", "continue", "fuse", "merge", "merge_then_stack"]

DESCRIPTIONS: dict[CompositionKind, str] = {
    "none": "the target is trained without an intermediate",
    "stack": "a new target adapter is trained on the frozen intermediate adapter, or on the intermediate encoder",
    "continue": "the target adapter starts as the intermediate one, with a new head",
    "fuse": "AdapterFusion: attention over several intermediate adapters is trained on the target",
    "merge": "the weighted sum of the intermediate adapter and a target adapter that was trained alone",
    "merge_then_stack": "a new target adapter is trained on the weighted sum of several intermediate adapters",
}


def why_not(kind: CompositionKind, method: Method) -> str | None:
    """Return why a method does not support a composition, for intermediates of the same method; None if it does.

    Args:
        kind: kind of the composition.
        method: method of the target.
    """
    unstackable = method.why_not_stackable() or method.why_not_above()
    if kind == "stack":
        return unstackable
    if kind == "continue":
        return None if method.changes_encoder else "it has no adapter to continue"
    if kind == "fuse":
        return method.why_not_fusable()
    if kind == "merge":
        return method.why_not_mergeable()
    if kind == "merge_then_stack":
        # a head without intermediates can be put on those of any method
        unmergeable = method.below.why_not_mergeable() if method.below.changes_encoder else None
        return unmergeable or unstackable
    return None


def supporting(kind: CompositionKind) -> Iterator[str]:
    """Yield the kinds of methods that support a composition, with the settings that do not."""
    for name, method_class in sorted(methods.known().items()):
        try:
            method = method_class.model_validate({})
        except ValidationError:  # a plug-in's method, with settings that have no default
            yield f"{name} (depends on its settings)"
            continue
        if why_not(kind, method) is None:
            refused = [setting for setting, variant in _variants(method) if why_not(kind, variant)]
            yield f"{name} (not {', '.join(refused)})" if refused else name


def _variants(method: Method) -> Iterator[tuple[str, Method]]:
    """Yield every other choice of a setting that is a switch or one of a few words, and the method with that choice."""
    for name, field in type(method).model_fields.items():
        for value in _choices(field.annotation):
            if name != "kind" and value != field.default:
                yield f"{name}={value}", method.model_copy(update={name: value})


def _choices(annotation: Any) -> tuple[Any, ...]:
    if annotation is bool:
        return (False, True)
    return get_args(annotation) if get_origin(annotation) is Literal else ()
