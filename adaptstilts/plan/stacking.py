"""What targets are trained on: intermediate adapters that are stacked, continued, fused or merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adaptstilts.io.wording import counted
from adaptstilts.study import Arm, Composition, FollowUp, Place, StudyError, near


@dataclass(frozen=True)
class Foundation:
    """What a target is trained on.

    Attributes:
        name: what tables call it: the intermediate tasks, and the composition unless that is ``stack``.
        base: key of the phase whose encoder is used; None for the base model's.
        stack: keys of the phases whose frozen adapters are under the target's own, the lowest first.
        start: key of the phase whose adapter is trained further on the target.
        fuse: keys of the phases whose adapters are fused on the target.
    """

    name: str
    base: str | None = None
    stack: tuple[str, ...] = ()
    start: str | None = None
    fuse: tuple[str, ...] = ()


BASE_MODEL = Foundation("none")


@dataclass
class Foundations:
    """The intermediates of a study as foundations, by the name that tables give them.

    Attributes:
        is_complete: whether all of them are here; the missing ones cannot be planned, which is already reported.
    """

    by_name: dict[str, Foundation] = field(default_factory=dict)
    is_complete: bool = True

    def select(self, names: Iterable[str]) -> Foundations:
        """Return only some of them."""
        chosen = set(names)
        return Foundations({name: self.by_name[name] for name in self.by_name if name in chosen}, self.is_complete)

    def pick(self, name: str, place: Place) -> Foundation:
        """Return one foundation.

        Args:
            name: name of the intermediate.
            place: where a study names it.

        Raises:
            StudyError: there is no such intermediate, or not yet.
        """
        if name not in self.by_name and not self.is_complete:
            raise FollowUp(name)
        if name not in self.by_name:
            hint = near(name, self.by_name)
            raise StudyError(place, f"{name} is not an intermediate of this study that comes before it{hint}")
        return self.by_name[name]

    def pick_each(self, names: Sequence[str], place: Place) -> dict[str, Foundation]:
        """Return intermediates by their names.

        Args:
            names: names of the intermediates.
            place: where a study has the list of them.

        Raises:
            StudyError: as :meth:`pick`.
        """
        return {name: self.pick(name, place.at(number)) for number, name in enumerate(names)}

    def pick_all(self, composition: Composition, place: Place) -> dict[str, Foundation]:
        """Return the intermediates that a composition uses, without ``none``.

        Args:
            composition: composition of these intermediates.
            place: where the study has the composition.

        Raises:
            StudyError: there is no such intermediate, or none at all.
        """
        if not composition.of and not self.is_complete:
            raise FollowUp(composition.kind)
        names = composition.of or tuple(self.by_name)
        chosen = self.pick_each(names, place.at("of"))
        chosen = {name: foundation for name, foundation in chosen.items() if foundation != BASE_MODEL}
        if not chosen:
            raise StudyError(place, f"{composition.kind} needs an intermediate")
        return chosen


def foundation_on(name: str, arm: Arm, key: str) -> Foundation:
    """Return one phase as a foundation: its adapter, or the encoder that it trained.

    Args:
        name: what tables call it.
        arm: the method of the phase.
        key: key of the phase.
    """
    if arm.method.trains_encoder:
        return Foundation(name, base=key)
    return Foundation(name, stack=(key,))


def composition_label(names: str, composition: Composition) -> str:
    """Return the name of composed intermediates in tables.

    Args:
        names: names of the intermediates.
        composition: how they are composed.
    """
    if not composition.weights:
        return f"{names} ({composition.kind})"
    weights = ", ".join(f"{weight:g}" for weight in composition.weights)
    return f"{names} ({composition.kind}: {weights})"


def continued(foundation: Foundation, arm: Arm) -> Foundation:
    """Return the foundation of a target that trains an intermediate adapter further.

    A fine-tuned encoder is trained further in any case.

    Args:
        foundation: the intermediate.
        arm: method of the target.

    Raises:
        StudyError: the method trains no adapter.
    """
    if not arm.method.changes_encoder:
        raise StudyError(arm.place, f"method {arm.label}: it trains no adapter, so none can be continued")
    if not foundation.stack:
        return foundation
    name = composition_label(foundation.name, Composition(kind="continue"))
    return replace(foundation, name=name, stack=foundation.stack[:-1], start=foundation.stack[-1])


def fused(name: str, arm: Arm, foundations: Sequence[Foundation], place: Place) -> Foundation:
    """Return the foundation of a target that fuses adapters.

    Args:
        name: what tables call it.
        arm: method of the target.
        foundations: the intermediates.
        place: where the study has the composition.

    Raises:
        StudyError: the method cannot be fused, or there are fewer than two adapters.
    """
    reason = arm.method.why_not_fusable()
    if reason:
        raise StudyError(place, f"method {arm.label}: cannot be fused ({name}): {reason}")
    if len(foundations) < 2:
        raise StudyError(place, f"method {arm.label}: cannot be fused ({name}): two or more adapters are needed")
    return Foundation(name, fuse=tuple(single_phase(one, name, place) for one in foundations))


def single_phase(foundation: Foundation, name: str, place: Place) -> str:
    """Return the key of the one phase that an intermediate consists of.

    Args:
        foundation: the intermediate.
        name: name of the merge or fusion that needs it, for messages.
        place: where the study names it.

    Raises:
        StudyError: it consists of none, or of several.
    """
    if foundation.base:
        return foundation.base
    if len(foundation.stack) != 1:
        raise StudyError(place, f"{name}: {foundation.name} is not a single adapter, so it cannot be merged or fused")
    return foundation.stack[0]


def merge_weights(weights: Sequence[float] | None, count: int, name: str, place: Place) -> tuple[float, ...]:
    """Return the weights of a merge; by default equal ones that sum to one.

    Args:
        weights: as the study has them.
        count: number of adapters.
        name: name of the merge, for messages.
        place: where the study has it.

    Raises:
        StudyError: another number of weights.
    """
    if weights is None:
        return (1 / count,) * count
    if len(weights) != count:
        raise StudyError(place, f"{name}: {counted(len(weights), 'weight')} for {counted(count, 'adapter')}")
    return tuple(weights)


def keys_of(foundations: Mapping[str, Foundation], name: str, place: Place) -> list[str]:
    """Return the keys of the phases that intermediates consist of; see :func:`single_phase`."""
    return [single_phase(foundation, name, place) for foundation in foundations.values()]
