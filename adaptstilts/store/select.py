"""Entries that a command names: by their folder in any store, or by the beginning of a key; with all they stand on."""

from __future__ import annotations

from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io.folders import MANIFEST
from adaptstilts.store.entries import ENCODER, WEIGHT_FOLDERS, Entry, components
from adaptstilts.store.store import Store


def adopted(name: str, store: Store) -> Entry:
    """An entry that is in the store, or is taken into it from another one, and so are those it stands on.

    Raises:
        ConfigError: there is none, or more than one key begins so, or something it stands on is nowhere.
        ArtifactError: one of them is damaged.
    """
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        entry = store.adopt(folder)
    else:
        keys = [key for key in (*store.keys(),) if name and key.startswith(name)]
        if len(keys) != 1:
            told = f"{len(keys)} entries of {store.folder} have keys that begin so" if keys else "no such entry"
            raise ConfigError(
                f"--adapter {name!r}: {told}; expected the folder of an entry (it holds {MANIFEST}), or the beginning"
                f" of the key of one in {store.folder}"
            )
        entry = store.entry(keys[0])
    for key in components(entry.spec):
        if not store.has(key):
            beside = folder.resolve().parents[1] / key[:2] / key
            if not (beside / MANIFEST).is_file():
                raise ConfigError(f"--adapter {name!r}: it stands on {key[:12]}, which is not in {store.folder}")
            adopted(str(beside), store)
    return entry


def standing(entry: Entry) -> tuple[str | None, tuple[str, ...]]:
    """The trunk (None for the base model) and the stack of adapters that an entry stands for.

    Raises:
        ArtifactError: it holds neither an adapter nor an encoder.
    """
    if "method" not in entry.spec or not any(map(entry.has_folder, WEIGHT_FOLDERS)):
        raise ArtifactError(f"entry {entry.key[:12]}: not of an adapter or a fine-tuned encoder")
    if entry.has_folder(ENCODER):
        return entry.key, ()
    return entry.spec.get("base"), (*entry.spec.get("stack", ()), entry.key)
