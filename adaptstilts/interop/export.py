"""An entry's adapter as a folder for the plain libraries: config, safetensors, our record of it, a card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.formats import adapterhub, locate
from adaptstilts.formats import tensors as tensorfile
from adaptstilts.interop import cards
from adaptstilts.interop.cards import Facts, Score
from adaptstilts.io.folders import publishing
from adaptstilts.io.json import read_object, write_json
from adaptstilts.methods import AdapterMethod, Method
from adaptstilts.methods.lora import Lora
from adaptstilts.models.locate import Model
from adaptstilts.plan.imported import plain_name
from adaptstilts.plan.phases import TrainPhase, WeightsPhase, phase_of
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store

CARD = "README.md"


def formats(method: Method) -> list[str]:
    """Return the formats that can hold an adapter of a method: AdapterHub's or peft's if they can, and always ours."""
    if not isinstance(method, AdapterMethod):
        return []
    found = {"adapters": ["adapterhub"], "peft": ["peft"]}.get(method.backend, [])
    if isinstance(method, Lora) and adapterhub.lora_config(method) is not None:
        found = [*found, "adapterhub"]
    return [*found, "own"]


def write(
    entry: Entry, store: Store, model: Model, form: str, out: Path, scores: Sequence[Score] = (), over: str = "none"
) -> list[Path]:
    """Write the adapter of an entry to a new folder, with those it acts over; returns the files.

    Raises:
        ConfigError: the folder is there and not empty, or the format cannot hold the adapter.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: is there and not empty; give a new folder")
    phase = phase_of(entry, WeightsPhase)
    below = [store.entry(key) for key in phase.stack]
    for one in (*below, entry):
        _check(one, form)
    if below and form == "adapterhub" and isinstance(phase.method, Lora):
        raise ConfigError(
            f"{phase.task}: stands on another adapter, and the adapters library does not add up stacked LoRA;"
            f" give --format peft"
        )
    with publishing(out) as staging:
        places = [f"below/{i}-{plain_name(phase_of(one, WeightsPhase).task)}" for i, one in enumerate(below)]
        for i, (one, place) in enumerate(zip(below, places, strict=True)):
            _adapter(one, model, form, staging / place, _name(one) + (f"_{i}" if _taken(one, below, entry) else ""))
        _adapter(entry, model, form, staging, _name(entry))
        head = entry.has_folder(entries.HEAD)
        if head:
            shutil.copytree(entry.folder / entries.HEAD, staging / entries.HEAD)
        facts = Facts(
            key=entry.key,
            phase=phase,
            form=form,
            model=model.name,
            result=entries.RESULT.read(entry),
            scores=scores,
            over=over,
            below=places,
            head=head,
            sources=cards.sources(phase),
        )
        (staging / CARD).write_text(cards.card(facts), encoding="utf-8")
    return sorted(path for path in out.rglob("*") if path.is_file())


def _check(entry: Entry, form: str) -> None:
    phase = phase_of(entry, WeightsPhase)
    method = phase.method
    what = f"{phase.task} ({method.label})"
    told = ""
    if phase.base:
        told = "was trained on a fine-tuned encoder"
    elif isinstance(phase, TrainPhase) and phase.fuse:
        told = "is a fusion of several adapters"
    if told:
        raise ConfigError(f"{what}: {told}, which no format holds; export what it is made of")
    known = formats(method)
    if not known:
        kind = "a whole encoder" if method.trains_encoder else "a task's head alone"
        raise ConfigError(f"{what}: its entry has no adapter; {entry.folder} holds {kind}")
    if form not in known:
        raise ConfigError(f"{what}: cannot be held by the format {form}; formats for it: {', '.join(known)}")


def _name(entry: Entry) -> str:
    """What the adapter is called in its files; the libraries keep adapters in modules, whose names have no dot."""
    return phase_of(entry, WeightsPhase).task.replace(".", "_")


def _taken(entry: Entry, below: Sequence[Entry], top: Entry) -> bool:
    """Whether several adapters of one export are called alike: of those the library would keep the last one alone."""
    return [_name(one) for one in (*below, top)].count(_name(entry)) > 1


def _adapter(entry: Entry, model: Model, form: str, folder: Path, name: str) -> None:
    """One adapter in a format, and what we know of it."""
    phase = phase_of(entry, WeightsPhase)
    method = phase.method
    if form == "adapterhub" and isinstance(method, Lora):
        _lora(entry, method, model, folder, name)
    else:
        shutil.copytree(entry.folder / entries.ADAPTER, folder, dirs_exist_ok=True)
        if form == "adapterhub" and name != _name(entry):
            _rename(folder, name)
    record = {
        "format": 1,
        "model": phase.model.identity(),
        "model_name": model.name,
        "entry": entry.key,
        "task": phase.task,
        "method": method.identity(),
        "below": list(phase.stack),
    }
    _json(folder / locate.RECORD, record)


def _rename(folder: Path, name: str) -> None:
    """Give an adapter of the ``adapters`` library another name, in its config and in its tensors' names."""
    path = folder / "adapter.safetensors"
    config = read_object(folder / locate.CONFIG, "adapter config")
    tensorfile.write(adapterhub.called(tensorfile.read(path), name), path)
    _json(folder / locate.CONFIG, {**config, "name": name})


def _lora(entry: Entry, method: Lora, model: Model, folder: Path, name: str) -> None:
    """A LoRA as the ``adapters`` library has it: the same matrices under other names."""
    from importlib.metadata import version

    tensors = tensorfile.read(entry.folder / entries.ADAPTER / "adapter_model.safetensors")
    config = {
        "config": adapterhub.lora_config(method),
        "hidden_size": model.shape["hidden"],
        "model_class": model.architecture.model_class,
        "model_name": model.name,
        "model_type": model.fingerprint.architecture,
        "name": name,
        "version": f"adapters.{version('adapters')}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    _json(folder / locate.CONFIG, config)
    tensorfile.write(adapterhub.lora_from_peft(tensors, name), folder / "adapter.safetensors")


def _json(path: Path, value: Mapping[str, Any]) -> None:
    write_json(path, value, indent=2, sort_keys=True, end="\n")
