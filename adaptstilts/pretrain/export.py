"""Encoders as folders for people: half-precision weights, tokenizer, a card and a record of how they were trained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from adaptstilts.errors import ConfigError
from adaptstilts.io.folders import publishing
from adaptstilts.io.json import write_json
from adaptstilts.models.weight_files import WEIGHTS
from adaptstilts.pretrain.card import card
from adaptstilts.pretrain.plan import PretrainPlan
from adaptstilts.store import entries
from adaptstilts.store.store import Store

CARD = "README.md"
RECORD = "pretraining.json"


def export(plan: PretrainPlan, store: Store, folder: Path) -> Iterator[Path]:
    """Write every encoder of a finished plan to ``folder/<name>``, replacing an earlier export; yield the folders.

    Args:
        plan: whose phases are in the store.
        store: store with the entries.
        folder: gets one folder for each encoder.

    Raises:
        ConfigError: there is a folder of that name that is not an export.
    """
    for name in plan.encoders:
        if (folder / name).exists() and not (folder / name / RECORD).is_file():
            raise ConfigError(
                f"{folder / name}: the folder exists and has no {RECORD}, so it is not replaced; export elsewhere"
            )
    for name in plan.encoders:
        target = folder / name
        with publishing(target, replace=True) as staging:
            _write(plan, store, name, staging)
        yield target


def _write(plan: PretrainPlan, store: Store, name: str, folder: Path) -> None:
    """Write the files of one encoder."""
    phase = plan.encoders[name]
    entry = store.entry(phase.key)
    result = entries.PRETRAIN_RESULT.read(entry)
    corpus = entries.CORPUS_RESULT.read(store.entry(plan.corpus.key))
    shutil.copytree(entry.folder / entries.ENCODER, folder, dirs_exist_ok=True)
    _halve(folder / WEIGHTS)
    write_json(folder / RECORD, {"name": name, **result}, indent=1, allow_nan=True, end="\n")
    (folder / CARD).write_text(card(phase, plan.recipe, result, corpus), encoding="utf-8")


def _halve(path: Path) -> None:
    """Rewrite the weights in half precision."""
    from safetensors.torch import load_file, save_file

    tensors = {key: value.half() for key, value in load_file(str(path)).items()}
    save_file(tensors, str(path), metadata={"format": "pt"})
