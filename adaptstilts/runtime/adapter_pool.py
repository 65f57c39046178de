"""Adapters kept in memory on one trunk, so that swapping the intermediate under a target loads and trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from adaptstilts.errors import ArtifactError
from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.fusion import Place
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model, check_same
from adaptstilts.plan.phases import TrainPhase, WeightsPhase, phase_of
from adaptstilts.store import entries as files
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.tasks import Task

ADAPTERS_KEPT = 64


class Resident:
    """The trunk in use with every adapter that was asked for so far.

    Changing the trunk (another base, another backend, adapters of another kind) drops it; changing adapters does not
    touch it.
    """

    def __init__(self, store: Store, model: Model, device: torch.device) -> None:
        self.store, self.model, self.device = store, model, device
        self._encoder: Encoder | None = None
        self._trunk: tuple[str | None, str] | None = None
        self._heads: dict[tuple[str, str], nn.Module] = {}
        self._fusions: dict[tuple[str, ...], str] = {}
        self.loads = 0

    def encoder(
        self, base: str | None, stack: Sequence[str], backend: str | None = None, beside: Sequence[str] = ()
    ) -> Encoder:
        """The encoder with the adapters of these entries acting, the lowest first.

        Args:
            base: key of a full fine-tuning phase whose encoder is the trunk; None for the base model.
            stack: keys of adapter phases; one that trained a fusion acts with the adapters that it is over.
            backend: library of the trunk when the stack is empty; None takes what is loaded.
            beside: keys of adapter phases that are attached and do not act.

        Raises:
            ArtifactError: an entry is damaged, or was trained on another base model or another trunk.
        """
        own = [self.store.entry(key) for key in stack]
        fused = {entry.key: [self.store.entry(key) for key in _fused(entry)] for entry in own}
        entries = [member for entry in own for member in fused[entry.key] or [entry]]
        entries += [self.store.entry(key) for key in beside]
        found = {entry.key: self._method(entry, base) for entry in entries}
        attached = {key: method for key, method in found.items() if method}
        backends = ({method.backend for method in attached.values()} | {backend}) - {None}
        kinds = {method.kind for method in attached.values()}
        if len(backends) > 1:
            told = ", ".join(sorted(map(str, backends)))
            raise ArtifactError(f"adapters of different libraries cannot be stacked: {told}")
        if len(kinds) > 1:
            raise ArtifactError(f"adapters of different kinds cannot be stacked: {', '.join(sorted(kinds))}")
        backend = next(iter(backends), None) or (self._trunk[1] if self._trunk and self._trunk[0] == base else "plain")
        other = self._encoder is not None and kinds and self._encoder.kind not in (None, *kinds)
        if self._trunk != (base, backend) or other:
            self.drop()
            self._encoder = Encoder(self._folder(base), backend, self.device, self.model.name)
            self._trunk = (base, backend)
        encoder = self._encoder
        assert encoder is not None  # noqa: S101
        names = [adapter_name(key) for key in attached]
        for entry in entries:
            if method := attached.get(entry.key):
                self._attach(encoder, entry, method, base, names)
        acting = [entry for entry in own if fused[entry.key] or entry.key in attached]
        encoder.compose([self._place(encoder, entry, fused[entry.key]) for entry in acting])
        return encoder

    def _method(self, entry: Entry, base: str | None) -> AdapterMethod | None:
        """Return the method of an entry's adapter; None if the entry has only a head for this encoder."""
        phase = phase_of(entry, WeightsPhase)
        if isinstance(phase.method, AdapterMethod):
            return phase.method
        if phase.method.trains_encoder:
            raise ArtifactError(f"entry {entry.key[:12]} ({phase.task}) is a whole encoder, not an adapter")
        self._check_origin(entry, base)
        return None

    def _place(self, encoder: Encoder, entry: Entry, members: Sequence[Entry]) -> Place:
        """What acts for an entry: its adapter, or its fusion of others."""
        if not members:
            return adapter_name(entry.key)
        place = tuple(adapter_name(member.key) for member in members)
        if place not in encoder.fusions:
            self._fusions.pop(place, None)
        if self._fusions.get(place) != entry.key:
            if place in encoder.fusions:
                encoder.remove(place)
            encoder.load_fusion(place, entry.folder / files.FUSION)
            self._fusions[place] = entry.key
        return place

    def head(self, encoder: Encoder, key: str, task: Task) -> nn.Module:
        """The head of a target phase."""
        if (key, task.name) not in self._heads:
            self._heads[key, task.name] = heads.load(encoder, task, self.store.entry(key).folder / files.HEAD)
        return self._heads[key, task.name]

    def drop(self) -> None:
        """Forget the trunk and everything on it."""
        self._encoder, self._trunk = None, None
        self._heads.clear()
        self._fusions.clear()

    def _folder(self, base: str | None) -> Path:
        if base is None:
            return self.model.folder
        entry = self.store.entry(base)
        found = phase_of(entry, WeightsPhase).model
        check_same(self.model.fingerprint.identity(), found.identity(), f"entry {base[:12]}")
        return entry.folder / files.ENCODER

    def _attach(
        self, encoder: Encoder, entry: Entry, method: AdapterMethod, base: str | None, wanted: Sequence[str]
    ) -> None:
        name = adapter_name(entry.key)
        if name in encoder.methods:
            return
        self._check_origin(entry, base)
        spare = [other for other in encoder.methods if other not in wanted]
        for other in spare[: max(len(encoder.methods) + 1 - ADAPTERS_KEPT, 0)]:
            encoder.remove(other)
        encoder.load(name, method, entry.folder / files.ADAPTER)
        self.loads += 1

    def _check_origin(self, entry: Entry, base: str | None) -> None:
        phase = phase_of(entry, WeightsPhase)
        what = f"adapter {entry.key[:12]} ({phase.task})"
        check_same(self.model.fingerprint.identity(), phase.model.identity(), what)
        if phase.base != base:
            raise ArtifactError(f"{what} was trained on another encoder than the one it is to be used with")


def _fused(entry: Entry) -> tuple[str, ...]:
    """Return the keys of the adapters that an entry's fusion is over; none if it has an adapter of its own."""
    phase = phase_of(entry, WeightsPhase)
    return phase.fuse if isinstance(phase, TrainPhase) else ()


def adapter_name(key: str) -> str:
    """What the adapter of an entry is called on an encoder."""
    return f"entry_{key[:16]}"
