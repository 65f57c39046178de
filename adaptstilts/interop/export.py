"""Write an entry's adapter as a folder for the plain libraries: config, safetensors, our record of it and a card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.formats import adapterhub, locate
from adaptstilts.formats import tensors as tensorfile
from adaptstilts.interop import cards
from adaptstilts.interop.cards import CardFacts, LanguageScore
from adaptstilts.io.folders import publishing
from adaptstilts.io.json import read_object, write_json
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods._adapters_library import with_name
from adaptstilts.models.locate import Model
from adaptstilts.plan.imported import plain_name
from adaptstilts.plan.phases import TrainPhase, WeightsPhase, phase_of
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store

CARD = "README.md"
_FORMAT_OF_BACKEND = {"adapters": "adapterhub", "peft": "peft"}


@dataclass(frozen=True)
class _Exporter:
    """Writes adapters of one base model in one format."""

    model: Model
    format_name: str

    def write(self, entry: Entry, folder: Path, name: str) -> None:
        """Write an entry's adapter and our record of it.

        Args:
            entry: has the adapter.
            folder: where its files go.
            name: what the adapter is called in its files.
        """
        phase = phase_of(entry, WeightsPhase)
        translated = adapterhub.lora_config(phase.method) if self.format_name == "adapterhub" else None
        if translated:
            self._write_lora(entry, translated, folder, name)
        else:
            shutil.copytree(entry.folder / entries.ADAPTER, folder, dirs_exist_ok=True)
            if self.format_name == "adapterhub":
                _rename(folder, name)
        record = {
            "format": 1,
            "model": phase.model.identity(),
            "model_name": self.model.name,
            "entry": entry.key,
            "task": phase.task,
            "method": phase.method.identity(),
            "below": list(phase.stack),
        }
        _write_json(folder / locate.RECORD, record)

    def _write_lora(self, entry: Entry, settings: dict[str, Any], folder: Path, name: str) -> None:
        """Write a LoRA as the ``adapters`` library has it: the same matrices under other names."""
        from importlib.metadata import version

        tensors = tensorfile.read(entry.folder / entries.ADAPTER / "adapter_model.safetensors")
        config = {
            "config": settings,
            "hidden_size": self.model.shape["hidden"],
            "model_class": self.model.architecture.model_class,
            "model_name": self.model.name,
            "model_type": self.model.fingerprint.architecture,
            "name": name,
            "version": f"adapters.{version('adapters')}",
        }
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / locate.CONFIG, config)
        tensorfile.write(adapterhub.lora_from_peft(tensors, name), folder / "adapter.safetensors")


def formats(method: Method) -> list[str]:
    """Return the formats for adapters of a method: that of its library if it has one, and our own."""
    if not isinstance(method, AdapterMethod):
        return []
    names = [_FORMAT_OF_BACKEND[method.backend]] if method.backend in _FORMAT_OF_BACKEND else []
    if adapterhub.lora_config(method) is not None:
        names.append("adapterhub")
    return [*names, "own"]


def write(
    entry: Entry,
    store: Store,
    model: Model,
    format_name: str,
    out: Path,
    scores: Sequence[LanguageScore] = (),
    over: str = "none",
) -> list[Path]:
    """Write the adapter of an entry to a new folder, with the adapters below it.

    Args:
        entry: has the adapter.
        store: has the entries of the adapters below it.
        model: the base model.
        format_name: ``adapterhub``, ``peft`` or ``own``.
        out: the folder.
        scores: for the card.
        over: the intermediate that the scores were measured over.

    Returns:
        The files.

    Raises:
        ConfigError: the folder exists and is not empty, or the format does not support the adapter.
        ArtifactError: the plain library computes something else from the files; the folder is not written.
    """
    phase = phase_of(entry, WeightsPhase)
    below = [store.entry(key) for key in phase.stack]
    _check_all(entry, below, format_name, out)
    exporter = _Exporter(model, format_name)
    with publishing(out) as staging:
        names = _names(below, entry)
        folders = _write_below(exporter, below, names[:-1], staging)
        exporter.write(entry, staging, names[-1])
        has_head = entry.has_folder(entries.HEAD)
        if has_head:
            shutil.copytree(entry.folder / entries.HEAD, staging / entries.HEAD)
        facts = CardFacts(
            key=entry.key,
            phase=phase,
            format_name=format_name,
            model=model.name,
            result=entries.RESULT.read(entry),
            scores=scores,
            over=over,
            below=folders,
            interface=model.architecture.names.interface,
            has_head=has_head,
            sources=cards.sources(phase),
        )
        (staging / CARD).write_text(cards.card(facts), encoding="utf-8")
        if format_name != "own":
            from adaptstilts.interop import verification  # needs torch

            adapters = [*(staging / folder for folder in folders), staging]
            verification.check(entry, store, model, format_name, adapters, out)
    return sorted(path for path in out.rglob("*") if path.is_file())


def _check_all(entry: Entry, below: Sequence[Entry], format_name: str, out: Path) -> None:
    """Raise if the folder cannot be written, or the format does not support an adapter or the stack of all.

    Args:
        entry: has the adapter.
        below: the entries of the adapters below it.
        format_name: as of :func:`write`.
        out: the folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: exists and is not empty; give a new folder")
    for part in (*below, entry):
        _check(part, format_name)
    phase = phase_of(entry, WeightsPhase)
    if below and format_name == "adapterhub" and adapterhub.lora_config(phase.method):
        raise ConfigError(
            f"{phase.task}: depends on another adapter, and the adapters library does not sum stacked LoRA adapters;"
            f" give --format peft"
        )


def _write_below(exporter: _Exporter, below: Sequence[Entry], names: Sequence[str], staging: Path) -> list[str]:
    """Write the adapters under another one; return their folders, the lowest first."""
    folders = []
    for i, (entry, name) in enumerate(zip(below, names, strict=True)):
        folder = f"below/{i}-{plain_name(phase_of(entry, WeightsPhase).task)}"
        exporter.write(entry, staging / folder, name)
        folders.append(folder)
    return folders


def _check(entry: Entry, format_name: str) -> None:
    """Raise if a format does not support what an entry has."""
    phase = phase_of(entry, WeightsPhase)
    what = f"{phase.task} ({phase.method.label})"
    reason = ""
    if phase.base:
        reason = "was trained on a fine-tuned encoder"
    elif isinstance(phase, TrainPhase) and phase.fuse:
        reason = "is a fusion of several adapters"
    if reason:
        raise ConfigError(f"{what}: {reason}, which no format supports; export its parts instead")
    supported = formats(phase.method)
    if not supported:
        content = "a whole encoder" if phase.method.trains_encoder else "a task's head alone"
        raise ConfigError(f"{what}: its entry has no adapter; {entry.folder} is {content}")
    if format_name not in supported:
        raise ConfigError(f"{what}: not supported by the format {format_name}; formats for it: {', '.join(supported)}")


def _names(below: Sequence[Entry], top: Entry) -> list[str]:
    """Return a name for each adapter; the library would replace an adapter by a later one of the same name."""
    names = [adapterhub.library_name(phase_of(entry, WeightsPhase).task) for entry in (top, *below)]
    for i in range(1, len(names)):
        while names[i] in names[:i]:
            names[i] = f"{names[i]}_{i - 1}"
    return [*names[1:], names[0]]


def _rename(folder: Path, name: str) -> None:
    """Give an adapter of the ``adapters`` library a name, in its config and in its tensors' keys."""
    path = folder / "adapter.safetensors"
    config = read_object(folder / locate.CONFIG, "adapter config")
    tensorfile.write({with_name(key, name): value for key, value in tensorfile.read(path).items()}, path)
    _write_json(folder / locate.CONFIG, {**config, "name": name})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_json(path, value, indent=2, sort_keys=True, end="\n")
