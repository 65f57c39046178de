"""From a ``Source`` to files: a local folder laid out like the hub, or the hub itself.

Both ways share one rule for which files a split has (the ``configs`` of the repository's card, else the usual names)
and give the same files, whose sha256 is the identity of the data. The first load of a split is recorded as its pin:
if the same repository later gives other bytes, that is an error and never silently another result.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from adaptstilts.data import file_formats
from adaptstilts.data.hub import CARD, Fetched, Hub, Unreadable, read_card
from adaptstilts.data.pins import Pins
from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.tasks.base import Source

PACKAGED = Path(__file__).resolve().parents[1] / "sample" / "hub"  # laid out like any data root


@dataclass(frozen=True)
class Split:
    """One split at hand.

    Attributes:
        source: the place that has it: what was asked for or one of its mirrors, with what follows.
        files: its files, in order.
        own: digest of their contents.
        more: splits whose rows follow; they have no more of their own.
    """

    source: Source
    files: tuple[Path, ...]
    own: str
    more: tuple[Split, ...] = ()

    @property
    def parts(self) -> tuple[Split, ...]:
        """Itself without more, and the splits that follow: each of one place, one format and one ``where``."""
        return replace(self, source=replace(self.source, more=()), more=()), *self.more

    @property
    def digest(self) -> str:
        """Of the contents of all files, in order."""
        return hashing.of([self.own, *(split.digest for split in self.more)]) if self.more else self.own

    def identity(self, version: int) -> str:
        """What content keys hold of a split: its content, and the version of the task that reads it."""
        return hashing.of([self.digest, version])


class Sources:
    """Finds, fetches and pins splits.

    A repository that ships with the package is read from there, whatever the data root, and also offline.

    Args:
        root: local data root (``<root>/<owner>/<name>/...``), used instead of the hub; None for the hub.
        offline: never open a socket: only what the hub's cache already has is used.
        pins: folder in which first loads are recorded; None to record nothing.
        memory: remembered file hashes.
    """

    def __init__(
        self,
        root: Path | None = None,
        offline: bool = False,
        pins: Path | None = None,
        memory: hashing.Digests | None = None,
    ) -> None:
        if root is not None and not root.is_dir():
            raise DataError(f"{root}: the data root is not a folder; expected <owner>/<name>/... as on the hub")
        self.root = root
        self.memory = memory or hashing.Digests(None)
        self.pins = Pins(pins)
        self.hub = Hub(offline, self.pins, self.memory, _choose)
        self._found: dict[Source, Split | None] = {}
        self._listings: dict[Path, tuple[str, ...]] = {}

    def find(self, source: Source) -> Split | None:
        """The split, fetched if need be; None when no place has it, or only some parts of a union.

        Raises:
            DataError: a file is not what its format says, its content is not what it was at first load, or a
                repository of the hub does not have the revision.
            ResourceError: offline or no connection, and it is not in the cache.
        """
        try:
            return self._find(source)
        except Unreadable as error:
            raise ResourceError(str(error)) from None

    def get(self, source: Source) -> Split:
        """The split.

        Raises:
            DataError: as :meth:`find`, and when nobody has it.
            ResourceError: as :meth:`find`.
        """
        split = self.find(source)
        if split is not None:
            return split
        alone = (replace(source, more=()), *source.more)
        raise DataError(self._missing(next((part for part in alone if self.find(part) is None), source)))

    def _find(self, source: Source) -> Split | None:
        splits: list[Split] = []
        for find, part in ((self._first, source), *((self._find, part) for part in source.more)):
            split = find(part)
            if split is None:
                return None
            splits.append(split)
        return _joined(splits)

    def _first(self, source: Source) -> Split | None:
        """The rows of a source itself, from the first place that has them.

        Raises:
            Unreadable: none has, and one could not be read.
        """
        unread: Unreadable | None = None
        for place in (replace(source, mirrors=(), more=()), *source.mirrors):
            try:
                split = self._find(place) if place.mirrors or place.more else self._single(place)
            except Unreadable as error:
                unread = unread or error
                continue
            if split is not None:
                return split
        if unread is not None:
            raise unread
        return None

    def _single(self, place: Source) -> Split | None:
        """The rows of one place, which has neither mirrors nor more."""
        bare = replace(place, where=None)
        if bare not in self._found:
            self._found[bare] = self._load(bare)
        split = self._found[bare]
        split = split and replace(split, source=place)
        return split if split is None or place.where is None or row_count(split) else None

    def _load(self, place: Source) -> Split | None:
        root = PACKAGED if (PACKAGED / place.repo).is_dir() else self.root
        fetched = Fetched(self._local(root, place), {}) if root else self.hub.fetch(place)
        if not fetched.files:
            return None
        for path in fetched.files:
            file_formats.count(path, place.format)
        hashes = [self.memory.of_file(path) for path in fetched.files]
        self.pins.check(place, hashes, fetched.origin)
        return Split(place, fetched.files, hashing.of(hashes))

    def _local(self, root: Path, place: Source) -> tuple[Path, ...]:
        folder = root / place.repo
        if folder not in self._listings:
            self._listings[folder] = _listing(folder)
        names = self._listings[folder]
        text = read_card(folder / CARD) if CARD in names else ""
        return tuple(folder / name for name in _choose(place, text, names))

    def _missing(self, source: Source) -> str:
        """What is said of a source that nobody has."""
        known = [
            mirror.repo if (mirror.config, mirror.split) == (source.config, source.split) else str(mirror)
            for mirror in source.mirrors
        ]
        such = f" with {source.where[0]} {source.where[1]!r}" if source.where else ""
        return (
            f"no split {source.split!r} of config {source.config!r}{such} in {' or '.join([source.repo, *known])}"
            f" {f'under {self.root}' if self.root else 'on the hub'}; expected files like"
            f" {source.repo}/{source.config}/{source.split}{_ending(source)}"
            f"{' that have such rows' if such else ''}{'' if self.root else ', or a local folder given as --data-root'}"
        )


def row_count(split: Split) -> int:
    """How many rows a split has, those without a gold label included.

    Raises:
        DataError: a file cannot be read, or does not have the column that tells its rows apart.
    """
    return sum(_rows(path, part.source) for part in split.parts for path in _with_rows(part))


def byte_size(split: Split) -> int:
    """About how many bytes the rows of a split have, uncompressed: those of its files, as far as the rows are its own.

    Raises:
        DataError: as :func:`row_count`.
    """
    total = 0.0
    for part in split.parts:
        for path in part.files:
            share = _rows(path, part.source) / max(1, file_formats.count(path, part.source.format))
            total += share * file_formats.size(path, part.source.format)
    return round(total)


def match(card: str, names: Iterable[str], config: str, split: str, suffix: str = ".parquet") -> list[str]:
    """Which of a repository's files belong to one split.

    Args:
        card: text of the repository's README, whose front matter may list ``configs``.
        names: paths of all files, relative to the repository.
        config: config name.
        split: split name.
        suffix: how the files' names end; ``*`` stands for anything.

    Returns:
        Paths of files in order; empty when there are none.
    """
    names = sorted(name for name in names if fnmatch.fnmatchcase(name, f"*{suffix}"))
    patterns = _card_patterns(card).get((config, split))
    if patterns is None:
        patterns = (f"{config}/{split}-*{suffix}", f"{config}/{split}/*{suffix}", f"{config}/{split}{suffix}")
        if config == "default":
            patterns += (f"data/{split}-*{suffix}", f"{split}-*{suffix}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _choose(source: Source, card: str, names: Iterable[str]) -> list[str]:
    suffix = file_formats.SUFFIXES.get(source.format)
    if suffix is None:
        raise ConfigError(f"{source}: expected the format {', '.join(file_formats.SUFFIXES)}, found {source.format!r}")
    return match(card, names, source.config, source.split, suffix)


def _joined(splits: list[Split]) -> Split:
    """One split whose rows are those of several, one after the other."""
    first, *more = (part for split in splits for part in split.parts)
    source = replace(first.source, more=tuple(part.source for part in more))
    return replace(first, source=source, more=tuple(more))


def _with_rows(part: Split) -> tuple[Path, ...]:
    """The files whose rows add up; of two that are parallel one."""
    return part.files[:1] if part.source.format == "parallel" else part.files


def _ending(source: Source) -> str:
    """How the names of a split's files may end."""
    return f"{'' if source.format == 'parallel' else '-*'}{file_formats.SUFFIXES[source.format]}"


def _rows(path: Path, source: Source) -> int:
    """Rows of a file that belong to a source."""
    if source.where is None:
        return file_formats.count(path, source.format)
    column, wanted = source.where
    held = file_formats.tally(path, source.format, column)
    return sum(count for value, count in held.items() if file_formats.matches(value, wanted))


@lru_cache(maxsize=64)
def _card_patterns(card: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """(config, split) -> file patterns, from the YAML front matter of a data card."""
    found = re.match(r"---\s*\n(.*?\n)---\s*\n", card, re.DOTALL)
    if not found:
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        front = yaml.load(found.group(1), Loader=loader)  # noqa: S506 (a safe loader, the C one where it exists)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return {}
    patterns: dict[tuple[str, str], tuple[str, ...]] = {}
    for config in _members(front, "configs"):
        for files in _members(config, "data_files"):
            if isinstance(files, dict):
                path = files.get("path")
                key = (str(config.get("config_name")), str(files.get("split")))
                patterns[key] = tuple(map(str, path)) if isinstance(path, list) else (str(path),)
    return patterns


def _members(part: Any, key: str) -> list[Any]:
    """The list under a key of a card that anybody may have written; empty when it is another thing."""
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []


def _listing(folder: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
