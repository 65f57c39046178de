"""Find, fetch and pin the files of a split: in a local folder laid out like the hub, or on the hub itself.

Both ways choose files by one rule (:mod:`adaptstilts.data.cards`) and give the same files, whose sha256 identifies the
data. The first load of a split is recorded as its pin. If the repository later gives other bytes, that is an error and
never silently another result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from adaptstilts.data import cards, file_formats
from adaptstilts.data.cards import CARD
from adaptstilts.data.hub import Fetched, Hub, Unreadable, read_card
from adaptstilts.data.pins import Pins
from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.io import hashing
from adaptstilts.tasks.base import Source

PACKAGED = Path(__file__).resolve().parents[1] / "sample" / "hub"  # laid out like any data root


@dataclass(frozen=True)
class Split:
    """One split that is present as files.

    Attributes:
        source: the place that has it: the requested one or a mirror, followed by the places of ``more``.
        files: its files, in order.
        content: digest of the contents of these files.
        sha256: digest of each file.
        more: splits whose rows follow; none of them has ``more`` itself.
    """

    source: Source
    files: tuple[Path, ...]
    content: str
    sha256: tuple[str, ...] = ()
    more: tuple[Split, ...] = ()

    @property
    def parts(self) -> tuple[Split, ...]:
        """Return this split alone and those that follow; each has one place, one format and one ``where``."""
        first = replace(self, source=replace(self.source, more=()), more=())
        return first, *self.more

    @property
    def digest(self) -> str:
        """Return the digest of the contents of all files, in order."""
        if not self.more:
            return self.content
        return hashing.of([self.content, *(split.digest for split in self.more)])

    def identity(self, version: int) -> str:
        """Return what content keys contain of a split: its content, and the version of the task that reads it."""
        return hashing.of([self.digest, version])


class Sources:
    """Finds, fetches and pins splits.

    A repository that ships with the package is read from there, whatever the data root, and also offline.

    Args:
        root: local data root (``<root>/<owner>/<name>/...``), used instead of the hub; None for the hub.
        offline: open no socket; only what is in the hub's cache is used.
        pins: folder in which first loads are recorded; None to record nothing.
        memory: remembered file hashes.

    Raises:
        DataError: the data root is not a folder.
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
        self._splits: dict[Source, Split | None] = {}
        self._listings: dict[Path, tuple[str, ...]] = {}

    def find(self, source: Source) -> Split | None:
        """Return a split, fetched if needed; None if no place has it, or a part of a union is missing.

        Raises:
            DataError: a file is not what its format says, its content differs from the first load, or a repository of
                the hub does not have the revision.
            ResourceError: offline or no connection, and the split is not in the cache.
        """
        try:
            return self._find(source)
        except Unreadable as error:
            raise ResourceError(str(error)) from None

    def get(self, source: Source) -> Split:
        """Return a split, fetched if needed.

        Raises:
            DataError: no place has it; or as :meth:`find`.
            ResourceError: as :meth:`find`.
        """
        split = self.find(source)
        if split is not None:
            return split
        parts = (replace(source, more=()), *source.more)
        missing = next((part for part in parts if self.find(part) is None), source)
        raise DataError(self._missing(missing))

    def _find(self, source: Source) -> Split | None:
        first = self._first_available(source)
        if first is None:
            return None
        splits = [first]
        for part in source.more:
            split = self._find(part)
            if split is None:
                return None
            splits.append(split)
        return _joined(splits)

    def _first_available(self, source: Source) -> Split | None:
        """Return the rows of a source without ``more``, from the first place that has them.

        Raises:
            Unreadable: no place has them, and one could not be read.
        """
        unreadable: Unreadable | None = None
        for place in (replace(source, mirrors=(), more=()), *source.mirrors):
            try:
                split = self._find(place) if place.mirrors or place.more else self._single(place)
            except Unreadable as error:
                unreadable = unreadable or error
                continue
            if split is not None:
                return split
        if unreadable is not None:
            raise unreadable
        return None

    def _single(self, place: Source) -> Split | None:
        """Return the rows of one place that has neither mirrors nor ``more``; None if there are none."""
        whole = replace(place, where=None)
        if whole not in self._splits:
            self._splits[whole] = self._load(whole)
        split = self._splits[whole]
        if split is None:
            return None
        split = replace(split, source=place)
        if place.where is not None and not row_count(split):
            return None
        return split

    def _load(self, place: Source) -> Split | None:
        root = PACKAGED if (PACKAGED / place.repo).is_dir() else self.root
        fetched = Fetched(self._local(root, place), {}) if root else self.hub.fetch(place)
        if not fetched.files:
            return None
        for path in fetched.files:
            file_formats.count(path, place.format)
        hashes = [self.memory.of_file(path) for path in fetched.files]
        self.pins.check(place, hashes, fetched.origin)
        return Split(place, fetched.files, hashing.of(hashes), tuple(hashes))

    def _local(self, root: Path, place: Source) -> tuple[Path, ...]:
        folder = root / place.repo
        if folder not in self._listings:
            self._listings[folder] = _listing(folder)
        names = self._listings[folder]
        card = read_card(folder / CARD) if CARD in names else ""
        try:
            return tuple(folder / name for name in _choose(place, card, names))
        except DataError as error:
            raise DataError(f"{folder}/{error}") from None

    def _missing(self, source: Source) -> str:
        """Return the message for a source that no place has."""
        places = [source.repo]
        for mirror in source.mirrors:
            is_same = (mirror.config, mirror.split) == (source.config, source.split)
            places.append(mirror.repo if is_same else str(mirror))
        rows = f" with {source.where[0]} {source.where[1]!r}" if source.where else ""
        where = f"under {self.root}" if self.root else "on the hub"
        message = f"no split {source.split!r} of config {source.config!r}{rows} in {' or '.join(places)} {where};"
        listed = self._listed(source)
        if listed:
            return f"{message} {listed}"
        message += f" expected files like {source.repo}/{source.config}/{source.split}{_ending(source)}"
        if rows:
            message += " that have such rows"
        if not self.root:
            message += ", or a local folder given as --data-root"
        return message

    def _listed(self, source: Source) -> str:
        """Say what the card of a local repository lists instead of a split; empty if it lists nothing."""
        card = self.root / source.repo / CARD if self.root else None
        if card is None or not card.is_file():
            return ""
        text = cards.listed(read_card(card), source.config, source.split)
        return f"{card.parent}/{text}" if text else ""


def row_count(split: Split) -> int:
    """Return the number of rows of a split, including those without a gold label.

    Raises:
        DataError: a file cannot be read, or lacks the column of ``where``.
    """
    total = 0
    for part in split.parts:
        total += sum(_rows(path, part.source) for path in _counted_files(part))
    return total


def byte_size(split: Split) -> int:
    """Return the approximate uncompressed size of a split's rows, in bytes.

    Raises:
        DataError: as :func:`row_count`.
    """
    total = 0.0
    for part in split.parts:
        for path in part.files:
            share = _rows(path, part.source) / max(1, file_formats.count(path, part.source.format))
            total += share * file_formats.size(path, part.source.format)
    return round(total)


def _choose(source: Source, card: str, names: Iterable[str]) -> list[str]:
    suffix = file_formats.SUFFIXES.get(source.format)
    if suffix is None:
        raise ConfigError(f"{source}: expected the format {', '.join(file_formats.SUFFIXES)}, found {source.format!r}")
    return cards.files_of(card, names, source.config, source.split, suffix)


def _joined(splits: list[Split]) -> Split:
    """Return one split with the rows of several, one after the other."""
    parts: list[Split] = []
    for split in splits:
        parts += split.parts
    first, *more = parts
    source = replace(first.source, more=tuple(part.source for part in more))
    return replace(first, source=source, more=tuple(more))


def _counted_files(part: Split) -> tuple[Path, ...]:
    """Return the files whose rows add up; of two aligned files only the first."""
    return part.files[:1] if part.source.format == "parallel" else part.files


def _ending(source: Source) -> str:
    """Return how the names of a split's files may end."""
    suffix = file_formats.SUFFIXES[source.format]
    return suffix if source.format == "parallel" else f"-*{suffix}"


def _rows(path: Path, source: Source) -> int:
    """Return the number of rows of a file that belong to a source."""
    if source.where is None:
        return file_formats.count(path, source.format)
    column, wanted = source.where
    counts = file_formats.tally(path, source.format, column)
    return sum(count for value, count in counts.items() if file_formats.matches(value, wanted))


def _listing(folder: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
