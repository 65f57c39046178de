"""Checkpoints of an unfinished phase, committed like entries: whole or absent, the newest two kept."""

from __future__ import annotations

import contextlib
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

NEWEST = 2  # checkpoints that stay
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's state of a parameter
_TENSORS = "tensors.safetensors"
_STATE = "state.json"

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


class Checkpoints:
    """The checkpoints of one phase, in ``work/<key>/step-<n>``.

    Args:
        folder: folder of the phase; need not exist.

    Attributes:
        warnings: one line for everything that :meth:`load` found damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Commit a checkpoint and remove all but the newest two; one of the same step stays unless it is damaged.

        Args:
            step: its number.
            tensors: by name; may be empty.
            state: JSON values.
        """
        with contextlib.suppress(FileNotFoundError):  # another process finished the phase and removed the folder
            self._save(step, tensors, state)

    def _save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        from safetensors.torch import save_file

        target = self.folder / f"step-{step:08d}"
        with folders.temporary(self.folder, "staging-") as staging:
            if tensors:
                on_cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
                save_file(on_cpu, str(staging / _TENSORS))
            write_json(staging / _STATE, state, ascii_only=True)
            folders.seal(staging, {"step": step})
            if target.exists() and _is_damaged(target):
                shutil.rmtree(target, ignore_errors=True)
            folders.publish(staging, target, "checkpoint")
        for old in self._folders()[:-NEWEST]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> Checkpoint | None:
        """Return the tensors and the state of the newest checkpoint that verifies; note damaged ones in `warnings`."""
        for path in reversed(self._folders()):
            try:
                return _read(path)
            except ArtifactError as error:
                self.warnings.append(f"checkpoint passed over: {error}")
        return None

    def clear(self) -> None:
        """Remove all checkpoints of the phase."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        """Return the folders of all checkpoints, the oldest first."""
        return sorted(path for path in self.folder.glob("step-*") if path.is_dir())


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint and compare it with its manifest.

    Raises:
        ArtifactError: it is damaged.
    """
    folders.check_files(path, folders.read_manifest(path), hashes=True)
    has_tensors = (path / _TENSORS).is_file()
    tensors = read_tensors(path / _TENSORS) if has_tensors else {}
    return tensors, read_object(path / _STATE, "state of a phase", max_bytes=2**30)


def _is_damaged(path: Path) -> bool:
    try:
        _read(path)
    except ArtifactError:
        return True
    return False


def state_of(parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return weights and Adam's state under the names that checkpoints use.

    Args:
        parameters: by name.
        optimizer: optimizer of the parameters.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in parameters.items():
        tensors[f"now/{key}"] = value
        state = optimizer.state.get(value, {})
        for moment in MOMENTS:
            if moment in state:
                tensors[f"{moment}/{key}"] = state[moment]
    return tensors


def fits(tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> bool:
    """Return whether a checkpoint has weights of the right shape for all these parameters.

    Args:
        tensors: tensors of the checkpoint.
        parameters: by name.
    """
    for key, value in parameters.items():
        weight = tensors.get(f"now/{key}")
        if weight is None or weight.shape != value.shape:
            return False
    return True


def restore(
    tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Put back what :func:`state_of` returned.

    Every parameter counts its own steps, because some steps may not train it.

    Args:
        tensors: tensors of the checkpoint.
        parameters: by name; set in place.
        optimizer: optimizer of the parameters.
    """
    with torch.no_grad():
        for key, value in parameters.items():
            value.copy_(tensors[f"now/{key}"])
            if f"exp_avg/{key}" in tensors:
                optimizer.state[value] = {name: tensors[f"{name}/{key}"].to(value.device) for name in MOMENTS}
