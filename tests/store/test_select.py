"""Entries named by folder or by the beginning of a key, with what they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.io import hashing
from adaptstilts.store.entries import Entry
from adaptstilts.store.select import encoder_stack, select
from adaptstilts.store.store import Store


def put(store: Store, *folders: str, **spec: Any) -> Entry:
    """Commit an entry with a file in each of some folders."""
    key = hashing.of(spec)
    with store.stage(key) as staging:
        for name in folders:
            (staging / name).mkdir()
            (staging / name / "file").write_text(name)
        return store.commit(key, spec, staging)


@pytest.fixture
def theirs(tmp_path: Path) -> Store:
    return Store(tmp_path / "theirs")


@pytest.fixture
def ours(tmp_path: Path) -> Store:
    return Store(tmp_path / "ours")


def chain(store: Store) -> list[Entry]:
    """Commit a fine-tuned encoder, an adapter on it, and an adapter over that one, which continued a third."""
    base = put(store, "encoder", task="a", method={})
    lower = put(store, "adapter", task="b", method={}, base=base.key)
    start = put(store, "adapter", task="c", method={})
    upper = put(store, "adapter", "head", task="d", method={}, base=base.key, stack=[lower.key], start=start.key)
    return [base, lower, start, upper]


def test_an_entry_of_another_store_comes_with_what_its_weights_need(theirs: Store, ours: Store) -> None:
    base, lower, start, upper = chain(theirs)
    entry = select(str(upper.folder), ours)
    assert entry.folder == ours.entry_folder(upper.key)
    assert ours.keys() == sorted([base.key, lower.key, upper.key])
    assert not ours.has(start.key), "what it was trained from is not needed"
    assert select(str(upper.folder), ours) == entry
    assert all(problem is None for _, problem in ours.verify())


def test_the_beginning_of_a_key(ours: Store) -> None:
    entries = chain(ours)
    for entry in entries:
        assert select(entry.key, ours) == select(entry.key[:12], ours) == entry


def test_no_entry_or_several(ours: Store) -> None:
    expected = r"expected the folder of an entry \(with a manifest.json\), or the beginning of the key of one in"
    for name in ("", "feed", "no/such/folder"):
        with pytest.raises(ConfigError, match=rf"--adapter '{name}': no such entry; {expected}"):
            select(name, ours)
    twins = [put(ours, "adapter", number=number) for number in range(40)]
    first = next(twin.key[0] for twin in twins if sum(other.key[0] == twin.key[0] for other in twins) > 1)
    with pytest.raises(ConfigError, match=r"[0-9]+ entries of .* have keys that begin like this"):
        select(first, ours)


@pytest.mark.parametrize("by", ["folder", "key"])
def test_a_missing_part_is_named(by: str, theirs: Store, ours: Store, tmp_path: Path) -> None:
    base, _, _, upper = chain(theirs)
    base.folder.rename(tmp_path / "away")
    with pytest.raises(ConfigError, match=f"depends on the entry {base.key[:12]}, which is not in"):
        select(str(upper.folder) if by == "folder" else upper.key, ours if by == "folder" else theirs)


def test_the_encoder_that_an_entry_stands_for(ours: Store) -> None:
    base, lower, start, upper = chain(ours)
    assert encoder_stack(base) == (base.key, ())
    assert encoder_stack(start) == (None, (start.key,))
    assert encoder_stack(upper) == (base.key, (lower.key, upper.key))
    for other in (put(ours, "predictions", task="e", method={}), put(ours, "encoder", corpus="f")):
        with pytest.raises(ArtifactError, match="has neither an adapter nor a fine-tuned encoder"):
            encoder_stack(other)
