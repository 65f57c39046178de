"""The start of a training phase: the encoder with exactly its parameters trainable, heads, optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.base import NAME_IN_KEYS
from adaptstilts.methods.fusion import Place
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.streams import BatchStream
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime.adapter_pool import AdapterPool, adapter_name
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.study import Train


def build_encoder(phase: TrainPhase, runtime: Runtime, streams: Sequence[BatchStream]) -> Encoder:
    """Return the encoder with exactly the phase's parameters trainable, and give every stream its head.

    Args:
        phase: says what is trained, over which adapters, and from which weights.
        runtime: the base model and the store of the parents.
        streams: receive heads: new ones, or the one that the phase continues.
    """
    store = runtime.workspace.store
    continued = store.entry(phase.init) if phase.init else None
    if phase.method.trains_encoder:
        encoder = _whole_encoder(phase, runtime, continued)
    else:
        encoder = _stacked_encoder(phase, runtime, continued)
    for stream in streams:
        if continued:
            stream.head = heads.load(encoder, stream.task, continued.folder / entries.HEAD)
        else:
            stream.add_new_head(encoder)
    return encoder


def _whole_encoder(phase: TrainPhase, runtime: Runtime, continued: Entry | None) -> Encoder:
    """Return the encoder of full fine-tuning: that of a parent, else the base model."""
    parent = continued or (runtime.workspace.store.entry(phase.base) if phase.base else None)
    folder = parent.folder / entries.ENCODER if parent else runtime.model.checked_folder()
    encoder = Encoder(folder, "plain", runtime.device, runtime.model.name)
    encoder.train_all(phase.method.frozen_modules(encoder.host))
    return encoder


def _stacked_encoder(phase: TrainPhase, runtime: Runtime, continued: Entry | None) -> Encoder:
    """Return the encoder of an adapter method, with the frozen adapters below; of a probe, without an adapter."""
    store = runtime.workspace.store
    pool = AdapterPool(store, runtime.model, runtime.device)
    if not isinstance(phase.method, AdapterMethod):
        return pool.encoder(phase.base, phase.stack, None, phase.fuse)
    encoder = pool.encoder(phase.base, phase.stack, phase.method.backend, phase.fuse)
    place = adapter_place(phase)
    start = continued or (store.entry(phase.start) if phase.start else None)
    _attach(encoder, place, phase.method, phase, start)
    encoder.compose([*map(adapter_name, phase.stack), place], train=place)
    return encoder


def adapter_place(phase: TrainPhase) -> Place:
    """Return the name under which the phase's adapter is attached, or the names of the adapters that it fuses."""
    if phase.fuse:
        return tuple(map(adapter_name, phase.fuse))
    return NAME_IN_KEYS  # and not the task's name, which may be what the libraries call a module or a method


def _attach(encoder: Encoder, place: Place, method: AdapterMethod, phase: TrainPhase, start: Entry | None) -> None:
    """Attach the module to train: a new adapter or fusion, or that of the entry ``start``."""
    if isinstance(place, tuple) and start:
        encoder.load_fusion(place, start.folder / entries.FUSION)
    elif isinstance(place, tuple):
        encoder.fuse(place, "fusion", phase.seed)
    elif start:
        encoder.load(place, method, start.folder / entries.ADAPTER)
    else:
        encoder.add(place, method, "adapter", phase.seed)


def trained_parameters(encoder: Encoder, streams: Sequence[BatchStream]) -> dict[str, nn.Parameter]:
    """Return the parameters of the encoder (``trunk.``) and of the heads (``head.``) that are trained.

    Args:
        encoder: as :func:`build_encoder` returns it.
        streams: streams with their heads; a frozen head is set to need no gradients.
    """
    parameters = {f"trunk.{key}": value for key, value in encoder.parameters().items()}
    for stream in streams:
        if stream.has_frozen_head:
            stream.head.requires_grad_(False)
            continue
        parameters |= {stream.prefix + key: value for key, value in stream.head.named_parameters()}
    return parameters


def make_optimizer(parameters: dict[str, nn.Parameter], settings: Train, method: Method) -> torch.optim.Optimizer:
    """Return a fused AdamW that decays only matrices, not biases, LayerNorm weights or scales such as those of IA3.

    Args:
        parameters: as :func:`trained_parameters` names them.
        settings: weight decay and learning rate.
        method: says whether the encoder's matrices are decayed.
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for key, value in parameters.items():
        is_matrix = value.ndim > 1 and (method.decayed or not key.startswith("trunk."))
        (decayed if is_matrix else spared).append(value)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr or 0.0, eps=1e-8, fused=True)
