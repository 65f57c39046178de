"""Checkpoints of an unfinished phase, committed like entries: whole or absent, the newest two kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError
from adaptstilts.io import folders
from adaptstilts.io.json import read_object, write_json
from adaptstilts.models.weights import read_tensors

KEPT = 2
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_TENSORS = "tensors.safetensors"
_STATE = "state.json"


class Checkpoints:
    """The checkpoints of one phase, in ``work/<key>/step-<n>``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Commit a checkpoint and drop all but the newest two."""
        from safetensors.torch import save_file

        with folders.temporary(self.folder, "staging-") as staging:
            if tensors:
                held = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
                save_file(held, str(staging / _TENSORS))
            write_json(staging / _STATE, state, ascii_only=True)
            folders.seal(staging, {"step": step})
            folders.publish(staging, self.folder / f"step-{step:08d}", "checkpoint")
        for old in self._steps()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest checkpoint that verifies, or None; damaged ones are passed over with a warning."""
        for path in reversed(self._steps()):
            try:
                folders.check_files(path, folders.read_manifest(path), hashes=True)
                tensors = read_tensors(path / _TENSORS) if (path / _TENSORS).is_file() else {}
                state = read_object(path / _STATE, "state of a phase")
            except ArtifactError as error:
                self.warnings.append(f"checkpoint passed over: {error}")
                continue
            return tensors, state
        return None

    def clear(self) -> None:
        """Remove everything: the phase is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*") if path.is_dir())


def state_of(named: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and Adam's state under the names of a checkpoint."""
    tensors: dict[str, Tensor] = {f"now/{key}": value for key, value in named.items()}
    for key, value in named.items():
        state = optimizer.state.get(value, {})
        tensors |= {f"{name}/{key}": state[name] for name in MOMENTS if name in state}
    return tensors


def fits(tensors: Mapping[str, Tensor], named: Mapping[str, nn.Parameter]) -> bool:
    """Return True if a checkpoint has the weights of all these parameters, in their shapes."""
    return all(f"now/{key}" in tensors and tensors[f"now/{key}"].shape == value.shape for key, value in named.items())


def restore(tensors: Mapping[str, Tensor], named: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put back what :func:`state_of` gave. A parameter counts its own steps: some steps may not concern it."""
    with torch.no_grad():
        for key, value in named.items():
            value.copy_(tensors[f"now/{key}"])
            if f"exp_avg/{key}" in tensors:
                optimizer.state[value] = {name: tensors[f"{name}/{key}"].to(value.device) for name in MOMENTS}
