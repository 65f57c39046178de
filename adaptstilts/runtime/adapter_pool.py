"""Adapters in memory on one encoder, so that swapping the intermediate under a target loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

MOST_ADAPTERS = 64


class AdapterPool:
    """The encoder in use, with every adapter that was needed so far.

    Another base, another backend or adapters of another kind need a new encoder, which drops everything; other
    adapters of the same kind do not.

    Args:
        store: where the entries are.
        model: the base model.
        device: where the encoder runs.

    Attributes:
        loads: how many adapters were read from disk.
    """

    def __init__(self, store: Store, model: Model, device: torch.device) -> None:
        self.store, self.model, self.device = store, model, device
        self.loads = 0
        self._encoder: Encoder | None = None
        self._base: str | None = None
        self._heads: dict[tuple[str, str], nn.Module] = {}
        self._fusions: dict[tuple[str, ...], str] = {}

    def encoder(
        self, base: str | None, stack: Sequence[str], backend: str | None = None, beside: Sequence[str] = ()
    ) -> Encoder:
        """Return the encoder with the adapters of some entries active.

        Args:
            base: key of a full fine-tuning phase whose encoder is used; None for the base model.
            stack: keys of adapter phases, the lowest first; one that trained a fusion brings the fused adapters.
            backend: library of the encoder if the stack is empty; None for that of the encoder in use.
            beside: keys of adapter phases that are attached but not active.

        Raises:
            ArtifactError: an entry is damaged, or was trained on another base model or another encoder.
        """
        stacked = [self.store.entry(key) for key in stack]
        fused = {entry.key: [self.store.entry(key) for key in _fused(entry)] for entry in stacked}
        entries: list[Entry] = []
        for entry in stacked:
            entries += fused[entry.key] or [entry]
        entries += [self.store.entry(key) for key in beside]
        methods = self._methods(entries, base)
        encoder = self._encoder_for(base, methods, backend)
        self._make_room(encoder, methods)
        for entry in entries:
            if entry.key in methods:
                self._attach(encoder, entry, methods[entry.key], base)
        acting = [entry for entry in stacked if fused[entry.key] or entry.key in methods]
        encoder.compose([self._place(encoder, entry, fused[entry.key]) for entry in acting])
        return encoder

    def head(self, encoder: Encoder, key: str, task: Task) -> nn.Module:
        """Return the head of a target phase.

        Args:
            encoder: the encoder that it is for.
            key: key of the phase.
            task: task of the phase.
        """
        if (key, task.name) not in self._heads:
            self._heads[key, task.name] = heads.load(encoder, task, self.store.entry(key).folder / files.HEAD)
        return self._heads[key, task.name]

    def drop(self) -> None:
        """Forget the encoder and everything on it."""
        self._encoder, self._base = None, None
        self._heads.clear()
        self._fusions.clear()

    def _methods(self, entries: Sequence[Entry], base: str | None) -> dict[str, AdapterMethod]:
        """Return the method of every entry that has an adapter, by key; others have a head for this encoder alone."""
        methods: dict[str, AdapterMethod] = {}
        for entry in entries:
            phase = phase_of(entry, WeightsPhase)
            if isinstance(phase.method, AdapterMethod):
                methods[entry.key] = phase.method
            elif phase.method.trains_encoder:
                raise ArtifactError(f"entry {entry.key[:12]} ({phase.task}) is a whole encoder, not an adapter")
            else:
                self._check_origin(entry, base)
        return methods

    def _encoder_for(self, base: str | None, methods: Mapping[str, AdapterMethod], backend: str | None) -> Encoder:
        """Return the encoder in use if adapters of these methods can be attached to it, else a new one."""
        backends = {method.backend for method in methods.values()}
        if backend is not None:
            backends.add(backend)
        kinds = {method.kind for method in methods.values()}
        if len(backends) > 1:
            raise ArtifactError(f"adapters of different libraries cannot be stacked: {', '.join(sorted(backends))}")
        if len(kinds) > 1:
            raise ArtifactError(f"adapters of different kinds cannot be stacked: {', '.join(sorted(kinds))}")
        encoder = self._encoder
        if encoder is not None and self._base == base:
            fits_kind = not kinds or encoder.kind is None or encoder.kind in kinds
            if backends <= {encoder.backend} and fits_kind:
                return encoder
        self.drop()
        self._encoder = Encoder(self._folder(base), next(iter(backends), "plain"), self.device, self.model.name)
        self._base = base
        return self._encoder

    def _folder(self, base: str | None) -> Path:
        """Return the folder of the base model, or of the encoder of an entry."""
        if base is None:
            return self.model.checked_folder()
        entry = self.store.entry(base)
        trained_on = phase_of(entry, WeightsPhase).model
        check_same(self.model.fingerprint.identity(), trained_on.identity(), f"entry {base[:12]}")
        return entry.folder / files.ENCODER

    def _make_room(self, encoder: Encoder, methods: Mapping[str, AdapterMethod]) -> None:
        """Detach adapters that are not needed now, the oldest first, if there would be too many."""
        needed = [adapter_name(key) for key in methods]
        missing = [name for name in needed if name not in encoder.methods]
        spare = [name for name in encoder.methods if name not in needed]
        if missing:
            for name in spare[: max(len(encoder.methods) + len(missing) - MOST_ADAPTERS, 0)]:
                encoder.remove(name)

    def _attach(self, encoder: Encoder, entry: Entry, method: AdapterMethod, base: str | None) -> None:
        """Load the adapter of an entry unless it is attached."""
        name = adapter_name(entry.key)
        if name in encoder.methods:
            return
        self._check_origin(entry, base)
        encoder.load(name, method, entry.folder / files.ADAPTER)
        self.loads += 1

    def _place(self, encoder: Encoder, entry: Entry, members: Sequence[Entry]) -> Place:
        """Return the place of an entry in a composition: its adapter or, with members, its fusion of them."""
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

    def _check_origin(self, entry: Entry, base: str | None) -> None:
        """Raise if an entry was trained on another base model or another encoder."""
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
    """Return the name of an entry's adapter on an encoder."""
    return f"entry_{key[:16]}"
