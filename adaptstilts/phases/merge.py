"""A merge phase: the weighted sum of adapters, or of what full fine-tuning moved. Nothing is trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import check_same
from adaptstilts.models.weights import load_trunk
from adaptstilts.plan.phases import MergePhase, WeightsPhase, phase_of
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry


def merge(phase: MergePhase, runtime: Runtime, staging: Path) -> None:
    """Run a merge phase: an adapter (or an encoder), and the head of the target among what is merged.

    Raises:
        ArtifactError: the parts are of different base models or trunks.
    """
    start = time.monotonic()
    parts = [runtime.workspace.store.entry(key) for key in phase.of]
    for entry in parts:
        part = phase_of(entry, WeightsPhase)
        check_same(runtime.model.fingerprint.identity(), part.model.identity(), f"entry {entry.key[:12]}")
        if part.base and not phase.method.trains_encoder:
            raise ArtifactError(f"entry {entry.key[:12]} was trained on another encoder than the base model")
    backend = phase.method.backend if isinstance(phase.method, AdapterMethod) else "plain"
    encoder = Encoder(runtime.model.folder, backend, runtime.device, runtime.model.name)
    if phase.method.trains_encoder:
        _encoders(encoder, parts, phase.weights)
        encoder.save_trunk(staging / entries.ENCODER)
    else:
        _adapters(encoder, parts, phase)
        encoder.save("merged", staging / entries.ADAPTER)
    last = parts[-1]
    if last.has_folder(entries.HEAD) and phase_of(last, WeightsPhase).task == phase.task:
        shutil.copytree(last.folder / entries.HEAD, staging / entries.HEAD)
    entries.MERGE_RESULT.write(staging, {"trainable": 0, "head": 0, "weights": list(phase.weights)})
    entries.MERGE_COST.write(staging, {"seconds": time.monotonic() - start})


def _encoders(encoder: Encoder, parts: Sequence[Entry], weights: Sequence[float]) -> None:
    """``base + sum of w (encoder - base)`` (task arithmetic: Ilharco et al. 2023, arXiv 2212.04089)."""
    own = encoder.trunk.state_dict()
    with torch.no_grad():
        base = {key: value.clone() for key, value in own.items() if value.is_floating_point()}
        for entry, weight in zip(parts, weights, strict=True):
            moved = load_trunk(entry.folder / entries.ENCODER).state_dict()
            for key, value in base.items():
                own[key].add_(moved[key].to(value.device) - value, alpha=weight)


def _adapters(encoder: Encoder, parts: Sequence[Entry], phase: MergePhase) -> None:
    """Attach the weighted sum of the parts' adapters, in the form of its method, under the name ``merged``."""
    assert isinstance(phase.method, AdapterMethod)  # noqa: S101
    adapters: list[tuple[Method, Mapping[str, Tensor]]] = []
    for i, entry in enumerate(parts):
        name, method = f"part{i}", phase_of(entry, WeightsPhase).method
        assert isinstance(method, AdapterMethod)  # noqa: S101
        encoder.load(name, method, entry.folder / entries.ADAPTER)
        adapters.append((method, _unnamed(encoder, name)))
    total = phase.method.merged_tensors(adapters, phase.weights)
    encoder.add("merged", phase.method, "merge")
    encoder.fill("merged", {key: total[key] for key in _unnamed(encoder, "merged")})


def _unnamed(encoder: Encoder, name: str) -> dict[str, Tensor]:
    """An adapter's tensors by keys without its name."""
    return {key.replace(f".{name}.", ".x."): value.detach() for key, value in encoder.delta(name).items()}
