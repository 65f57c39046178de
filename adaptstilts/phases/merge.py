"""A merge phase: the weighted sum of adapters, or of what full fine-tuning changed. Nothing is trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.models.building import load_encoder
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import check_same
from adaptstilts.plan.phases import MergePhase, WeightsPhase, phase_of
from adaptstilts.runtime.context import Runtime
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry

MERGED = "merged"  # name of the sum on the encoder


def merge(phase: MergePhase, runtime: Runtime, staging: Path) -> None:
    """Run a merge phase: write the merged adapter or encoder, and the head of the target if it is among the parts.

    Args:
        phase: names the parts and their weights.
        runtime: the store and the base model.
        staging: folder of the entry's files.

    Raises:
        ArtifactError: the parts belong to different base models or trunks.
    """
    start, cpu_start = time.monotonic(), time.process_time()
    parts = [runtime.workspace.store.entry(key) for key in phase.of]
    for entry in parts:
        part = phase_of(entry, WeightsPhase)
        check_same(runtime.model.fingerprint.identity(), part.model.identity(), f"entry {entry.key[:12]}")
        if part.base and not phase.method.trains_encoder:
            raise ArtifactError(f"entry {entry.key[:12]} was trained on another encoder than the base model")
    backend = phase.method.backend if isinstance(phase.method, AdapterMethod) else "plain"
    encoder = Encoder(runtime.model.checked_folder(), backend, runtime.device, runtime.model.name)
    if isinstance(phase.method, AdapterMethod):
        _add_merged_adapter(encoder, phase.method, parts, phase.weights)
        encoder.save(MERGED, staging / entries.ADAPTER)
    else:
        _merge_encoders(encoder, parts, phase.weights)
        encoder.save_trunk(staging / entries.ENCODER)
    last = parts[-1]
    if last.has_folder(entries.HEAD) and phase_of(last, WeightsPhase).task == phase.task:
        shutil.copytree(last.folder / entries.HEAD, staging / entries.HEAD)
    entries.MERGE_RESULT.write(staging, {"trainable": 0, "head": 0, "weights": list(phase.weights)})
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
    entries.MERGE_COST.write(staging, {"seconds": seconds, "cpu_seconds": cpu_seconds})


def _merge_encoders(encoder: Encoder, parts: Sequence[Entry], weights: Sequence[float]) -> None:
    """Turn the base encoder into ``base + sum of w (part - base)`` (Ilharco et al. 2023, arXiv 2212.04089).

    Args:
        encoder: the base model; changed in place.
        parts: entries with whole encoders.
        weights: one for each.
    """
    state = encoder.trunk.state_dict()
    with torch.no_grad():
        base = {key: value.clone() for key, value in state.items() if value.is_floating_point()}
        for entry, weight in zip(parts, weights, strict=True):
            tuned = load_encoder(entry.folder / entries.ENCODER).state_dict()
            for key, value in base.items():
                state[key].add_(tuned[key].to(value.device) - value, alpha=weight)


def _add_merged_adapter(
    encoder: Encoder, method: AdapterMethod, parts: Sequence[Entry], weights: Sequence[float]
) -> None:
    """Attach the weighted sum of the parts' adapters to the encoder, under the name :data:`MERGED`.

    Args:
        encoder: the base model.
        method: method of the sum.
        parts: entries with adapters.
        weights: one for each.
    """
    adapters: list[tuple[Method, Mapping[str, Tensor]]] = []
    for i, entry in enumerate(parts):
        name, part_method = f"part{i}", phase_of(entry, WeightsPhase).method
        assert isinstance(part_method, AdapterMethod)  # noqa: S101
        encoder.load(name, part_method, entry.folder / entries.ADAPTER)
        adapters.append((part_method, _values(encoder, name)))
    total = method.merged_tensors(adapters, weights)
    encoder.add(MERGED, method, "merge")
    encoder.fill(MERGED, {key: total[key] for key in encoder.delta(MERGED)})


def _values(encoder: Encoder, name: str) -> dict[str, Tensor]:
    """Return the tensors of an attached adapter by key."""
    return {key: value.detach() for key, value in encoder.delta(name).items()}
