"""The guard of an encoder: refuse wrong adapters and compositions, and check that the model is as requested.

The libraries underneath change or skip things silently: a name that does not exist, a frozen adapter that is unfrozen
by activating another one, a module that was attached behind the toolkit's back. Hence :func:`check_model` inspects the
model itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch import nn

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io.wording import counted
from adaptstilts.methods import AdapterMethod, fusion
from adaptstilts.methods.fusion import Place

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder


def adapter_names(places: Iterable[Place]) -> list[str]:
    """Return the names of adapters in places, those of a fusion one by one."""
    names: list[str] = []
    for place in places:
        names += [place] if isinstance(place, str) else place
    return names


def check_new_adapter(encoder: Encoder, name: str, method: AdapterMethod) -> None:
    """Raise if an adapter cannot be attached beside those that are.

    Args:
        encoder: as it is.
        name: name of the new adapter.
        method: method of the new adapter.

    Raises:
        ConfigError: the name is taken, or the method has another backend than the encoder or is of another kind than
            the attached adapters.
    """
    if name in encoder.methods:
        raise ConfigError(f"adapter {name!r} is attached already; remove it first")
    if method.backend != encoder.backend:
        raise ConfigError(
            f"{method.label} needs the backend {method.backend!r}, this encoder has {encoder.backend!r}; one"
            f" encoder has one backend, because the libraries undo each other's changes"
        )
    if encoder.kind not in (None, method.kind):
        raise ConfigError(
            f"{method.label} cannot be attached beside {encoder.kind}: one encoder has adapters of one kind"
        )


def check_new_fusion(encoder: Encoder, members: tuple[str, ...]) -> None:
    """Raise if adapters cannot be fused.

    Args:
        encoder: as it is.
        members: names of the adapters.

    Raises:
        ConfigError: fewer than two members, unknown ones, a fusion that is there already, or adapters of which there
            is no fusion.
    """
    unknown = [name for name in members if name not in encoder.methods]
    if unknown or len(set(members)) < 2 or members in encoder.fusions:
        raise ConfigError(f"a new fusion needs two or more attached adapters, found {', '.join(members)}")
    methods = [encoder.methods[name] for name in members]
    if reason := fusion.why_not_together(methods):
        raise ConfigError(f"{', '.join(method.label for method in methods)} cannot be fused: {reason}")


def check_composition(encoder: Encoder, places: Sequence[Place]) -> None:
    """Raise if adapters and fusions cannot be active together.

    Args:
        encoder: as it is.
        places: the adapters and fusions to activate, the lowest first.

    Raises:
        ConfigError: a name that is not attached, the same name twice, or methods that cannot be stacked.
    """
    names = adapter_names(places)
    for place in places:
        if isinstance(place, tuple) and place not in encoder.fusions:
            raise ConfigError(f"no fusion of {', '.join(place)}; attach it first")
    unknown = [name for name in names if name not in encoder.methods]
    if unknown:
        attached = ", ".join(encoder.methods) or "none"
        raise ConfigError(f"no adapter called {unknown[0]!r}; attached are {attached}")
    if len(set(names)) != len(names):
        raise ConfigError(f"an adapter cannot be stacked on itself: {', '.join(names)}")
    if len(names) > 1:
        _check_stack([encoder.methods[name] for name in names])


def check_model(encoder: Encoder, places: Sequence[Place], train: Place | None) -> None:
    """Compare the active adapters, their layers and the trainable weights with the request.

    Args:
        encoder: the encoder to check.
        places: the requested adapters and fusions, the lowest first.
        train: the adapter or fusion to train; None for none.

    Raises:
        ArtifactError: names the difference.
    """
    for name in adapter_names(places):
        _check_layers(encoder, name)
    _check_acting(encoder, places)
    _check_trainable(encoder, train)


def _check_stack(methods: Sequence[AdapterMethod]) -> None:
    """Raise if adapters of some methods, the lowest first, cannot be stacked."""
    for height, method in enumerate(methods):
        reason = method.why_not_stackable()
        if not reason and height > 0:
            reason = method.why_not_above()
        if reason:
            raise ConfigError(f"{method.label} cannot be stacked: {reason}")


def _check_layers(encoder: Encoder, name: str) -> None:
    """Raise if an adapter is attached to other layers than its method says."""
    method = encoder.methods[name]
    actual = method.attached_layers(encoder.host, name)
    expected = set(method.layers(encoder.depth))
    if actual != expected:
        raise ArtifactError(f"adapter {name!r}: modules in layers {sorted(actual)}, expected {sorted(expected)}")


def _check_acting(encoder: Encoder, places: Sequence[Place]) -> None:
    """Raise unless exactly these places are active, in this order."""
    names = adapter_names(places)
    if len(names) != len(places):
        fused = fusion.active(encoder.host)
        if fused != tuple(places):
            raise ArtifactError(f"active adapters are {list(fused)}, expected {list(places)}")
        return
    for method, expected in encoder.by_method_class(names):
        active = method.active(encoder.host, expected)
        if active != tuple(expected):
            raise ArtifactError(f"active adapters are {list(active)}, expected {expected}")


def _check_trainable(encoder: Encoder, train: Place | None) -> None:
    """Raise if weights other than those of one place are trainable."""
    expected: set[int] = set()
    parameters: Iterable[nn.Parameter] = encoder.listed_parameters
    if train is not None:
        expected = {id(parameter) for parameter in encoder.delta(train).values()}
        parameters = encoder.trunk.parameters()
    trainable = {id(parameter) for parameter in parameters if parameter.requires_grad}
    if trainable != expected:
        raise ArtifactError(f"{counted(len(trainable), 'tensor')} would be trained, not {len(expected)} of {train!r}")
