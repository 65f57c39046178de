"""Folders of sentence-transformers: where the encoder is, and how its vectors become those of sentences.

``modules.json`` lists modules that are applied one after the other: a transformer, its pooling, and perhaps a
normalisation to unit length, which every search here does anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.io.json import read_list, read_object
from adaptstilts.io.wording import printable
from adaptstilts.models.config import CONFIG

MODULES = "modules.json"
TRANSFORMER = "0_Transformer"
NAMES = (MODULES, "*_Pooling/config.json")
_LARGEST = 1_000_000  # bytes
_KINDS = ("Transformer", "Pooling", "Normalize")
_MODES = {  # mode in the config of a pooling -> pooling here; unit vectors are the same for both kinds of mean
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


@dataclass(frozen=True)
class OwnPooling:
    """The pooling that a model was trained with.

    Attributes:
        name: pooling by the name that ``retrieve`` has for it; None if it has none.
        reason: why it cannot be used; empty if it can.
        skips_prompt: whether the tokens of a prefix are left out of it.
    """

    name: str | None
    reason: str = ""
    skips_prompt: bool = False


def transformer_folder(folder: Path) -> Path:
    """Return the folder of the encoder in the folder of a model.

    Raises:
        ArtifactError: ``modules.json`` is malformed.
    """
    if (folder / CONFIG).is_file() or not (folder / MODULES).is_file():
        return folder
    for kind, path in _modules(folder):
        if kind == "Transformer":
            return folder / path
    raise ArtifactError(f"{folder / MODULES}: no Transformer among its modules; expected an encoder")


def read_pooling(folder: Path) -> OwnPooling | None:
    """Return the pooling of a model; None if its folder does not say.

    Raises:
        ArtifactError: ``modules.json``, or the config of the pooling, is malformed.
    """
    if not (folder / MODULES).is_file():
        return None
    modules = _modules(folder)
    kinds = [kind for kind, _ in modules]
    other = [kind for kind in kinds if kind not in _KINDS]
    places = [path for kind, path in modules if kind == "Pooling"]
    if other:
        return OwnPooling(None, f"{MODULES} has a module {printable(other[0][:100])}, which is not supported")
    if len(places) != 1:
        return OwnPooling(None, f"{MODULES} has {len(places)} poolings, expected one")
    if kinds[:2] != ["Transformer", "Pooling"] or "Transformer" in kinds[2:]:
        found = ", ".join(kinds)
        return OwnPooling(
            None, f"{MODULES} has the modules {found}, expected Transformer, Pooling and perhaps Normalize"
        )
    return _pooling(read_object(folder / places[0] / CONFIG, "pooling config", max_bytes=_LARGEST))


def _pooling(config: Mapping[str, Any]) -> OwnPooling:
    modes = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    names = {_MODES.get(mode) for mode in modes}
    if not names:
        return OwnPooling(None, "its pooling has no mode that is on")
    if len(names) > 1 or None in names:
        return OwnPooling(
            None, f"its pooling is {printable(', '.join(modes)[:200])}, expected one of {', '.join(_MODES)}"
        )
    return OwnPooling(names.pop(), skips_prompt=config.get("include_prompt") is False)


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return the last part of the class, and the folder, of every module.

    Raises:
        ArtifactError: the list is malformed, or names a folder outside the model's.
    """
    path = folder / MODULES
    modules = []
    for module in read_list(path, "list of modules", max_bytes=_LARGEST):
        kind, place = (module.get("type"), module.get("path")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(place, str):
            raise ArtifactError(f"{path}: expected modules with type and path, found {str(module)[:60]}")
        if not re.fullmatch(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*)?", place):
            raise ArtifactError(f"{path}: the module folder {place[:60]!r} is refused, expected one in this folder")
        modules.append((kind.rpartition(".")[2], place))
    return modules
