"""What a target stands on: intermediates under it, beside it, continued, fused or summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptstilts.errors import ConfigError
from adaptstilts.study import Arm, Composition, near


@dataclass(frozen=True)
class Under:
    """What a target phase stands on.

    Attributes:
        name: the intermediate tasks, and the composition where it is not ``stack``.
        base: key of the phase whose encoder it is trained on; None for the base model's.
        stack: keys of the frozen adapters under its own, the lowest first.
        start: key of the phase whose adapter its own starts as.
        fuse: keys of the phases whose adapters it fuses.
    """

    name: str
    base: str | None = None
    stack: tuple[str, ...] = ()
    start: str | None = None
    fuse: tuple[str, ...] = ()


NOTHING = Under("none")


def over(label: str, arm: Arm, key: str) -> Under:
    """What stands on one phase: its adapter, or the encoder that it left."""
    return Under(label, base=key) if arm.method.trains_encoder else Under(label, stack=(key,))


def label(names: str, composition: Composition) -> str:
    """What tables call a composition of intermediates."""
    weights = f": {', '.join(f'{weight:g}' for weight in composition.weights)}" if composition.weights else ""
    return f"{names} ({composition.kind}{weights})"


def continued(under: Under, arm: Arm) -> Under:
    """A target whose adapter starts as the intermediate one; a fine-tuned encoder is continued as it is."""
    if not arm.method.changes_encoder:
        raise ConfigError(f"method {arm.label}: has no adapter that could be continued on {under.name}")
    if not under.stack:
        return under
    return Under(label(under.name, Composition(kind="continue")), under.base, under.stack[:-1], under.stack[-1])


def fused(label: str, arm: Arm, unders: Sequence[Under]) -> Under:
    """A target that fuses adapters."""
    told = arm.method.why_not_fusable()
    if told or len(unders) < 2:
        raise ConfigError(f"method {arm.label}: cannot be fused ({label}): {told or 'two or more are needed'}")
    return Under(label, fuse=tuple(single(under, label) for under in unders))


def single(under: Under, label: str) -> str:
    """The one phase that an intermediate is."""
    if under.base:
        return under.base
    if len(under.stack) != 1:
        raise ConfigError(f"{label}: {under.name} is not one adapter; it cannot be merged or fused")
    return under.stack[0]


def named(name: str, unders: Mapping[str, Under], where: str) -> Under:
    """An intermediate by its label, of those that are there so far."""
    if name not in unders:
        raise ConfigError(f"{where}: {name} is no intermediate of this study that comes before it{near(name, unders)}")
    return unders[name]


def weights(given: Sequence[float] | None, count: int, label: str) -> tuple[float, ...]:
    """The weights that are given, or equal ones that sum to one."""
    if given is None:
        return (1 / count,) * count
    if len(given) != count:
        raise ConfigError(f"{label}: {len(given)} weights for {count} adapters")
    return tuple(given)
