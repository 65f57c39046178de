"""Entries that a command names by folder or by the beginning of a key, with the entries that they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io.folders import MANIFEST
from adaptstilts.store.entries import ENCODER, WEIGHT_FOLDERS, Entry, components
from adaptstilts.store.store import Store


class EncoderStack(NamedTuple):
    """The encoder that an entry stands for.

    Attributes:
        base: key of a fine-tuned encoder; None for the base model.
        stack: keys of the adapters on it, the lowest first.
    """

    base: str | None
    stack: tuple[str, ...]


def select(name: str, store: Store) -> Entry:
    """Return an entry given by folder or key prefix.

    An entry of another store is copied into this one, and so is every entry whose weights it needs.

    Args:
        name: the folder of an entry in any store, or the beginning of the key of an entry in this store.
        store: this store.

    Raises:
        ConfigError: no entry or several entries match, or an entry that is needed is in neither store.
        ArtifactError: an entry is damaged.
    """
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        entry = store.adopt(folder)
        _adopt_components(entry, folder.resolve().parent.parent, store, name)
        return entry
    entry = store.entry(match(name, store, "--adapter ", f"the folder of an entry (with a {MANIFEST}), or "))
    for key in components(entry.spec):
        if not store.has(key):
            raise _missing(name, key, store)
    return entry


def match(prefix: str, store: Store, option: str = "", alternative: str = "") -> str:
    """Return the one key in a store that begins with a prefix.

    Args:
        prefix: beginning of the key.
        store: store with the entries.
        option: the option that the prefix was given to, with a space, for messages.
        alternative: what may be given in place of a key, for messages.

    Raises:
        ConfigError: no key begins like this, or several do.
    """
    keys = store.keys()
    matches = [key for key in keys if prefix and key.startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    problem = f"{len(matches)} entries of {store.folder} have keys that begin like this" if matches else "no such entry"
    raise ConfigError(
        f"{option}{prefix!r}: {problem}; expected {alternative}the beginning of the key of one in {store.folder}"
    )


def _adopt_components(entry: Entry, other: Path, store: Store, name: str) -> None:
    """Copy the entries that an entry needs from the ``entries`` folder of another store.

    Args:
        entry: the entry.
        other: folder with the entries of the other store.
        store: where they are copied to.
        name: what the user asked for, for messages.
    """
    for key in components(entry.spec):
        if store.has(key):
            continue
        folder = other / key[:2] / key
        if not (folder / MANIFEST).is_file():
            raise _missing(name, key, store)
        _adopt_components(store.adopt(folder), other, store, name)


def _missing(name: str, key: str, store: Store) -> ConfigError:
    return ConfigError(f"--adapter {name!r}: depends on the entry {key[:12]}, which is not in {store.folder}")


def encoder_stack(entry: Entry) -> EncoderStack:
    """Return the encoder and the stack of adapters that an entry stands for.

    Raises:
        ArtifactError: the entry has neither an adapter nor an encoder.
    """
    if "method" not in entry.spec or not any(map(entry.has_folder, WEIGHT_FOLDERS)):
        raise ArtifactError(f"entry {entry.key[:12]}: has neither an adapter nor a fine-tuned encoder")
    if entry.has_folder(ENCODER):
        return EncoderStack(entry.key, ())
    return EncoderStack(entry.spec.get("base"), (*entry.spec.get("stack", ()), entry.key))
