"""Where the values of a study were written, and every mistake in them at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adaptstilts.errors import ConfigError

MOST_LINES = 50  # mistakes that an error lists
Keys = tuple[str | int, ...]  # path to a value: ("targets", 0, "task") is the task of the first target


@dataclass
class Origin:
    """A config file with the overrides of its values.

    Attributes:
        file: what messages call it; empty for a study that no file describes.
        lines: path of a value -> its line.
        overrides: (path of the value that it sets, text) of every override, in the order in which they apply.
        spellings: path of a value -> the path under which the file has it, for shorthands.
        members: path of a list -> the original numbers of its members, for a list that lost some.
    """

    file: str = ""
    lines: Mapping[Keys, int] = field(default_factory=dict)
    overrides: list[tuple[Keys, str]] = field(default_factory=list)
    spellings: dict[Keys, Keys] = field(default_factory=dict)
    members: dict[Keys, list[int]] = field(default_factory=dict)

    def line(self, keys: Keys) -> int | None:
        """Return the line of a value or of the nearest part around it; None if the file does not have that part."""
        for written, spelling in self.spellings.items():
            if keys[: len(written)] == written:
                keys = (*spelling, *keys[len(written) :])
        while keys:
            if keys in self.lines:
                return self.lines[keys]
            keys = keys[:-1]
        return None

    def override(self, keys: Keys) -> int | None:
        """Return the number of the last override that sets a value or a part around it."""
        for number in reversed(range(len(self.overrides))):
            target = self.overrides[number][0]
            if keys[: len(target)] == target:
                return number
        return None

    def original(self, keys: Keys) -> Keys:
        """Return a path with the numbers that members of lists have in the file."""
        for path, numbers in self.members.items():
            at = len(path)
            if keys[:at] == path and len(keys) > at and isinstance(keys[at], int):
                keys = (*path, numbers[int(keys[at])], *keys[at + 1 :])
        return keys


@dataclass(frozen=True, eq=False)
class Place:
    """The place of one value: in a file, in an override, or only its keys.

    All places are equal, so a study is equal to another one that says the same elsewhere.
    """

    origin: Origin = field(default_factory=Origin)
    keys: Keys = ()

    def at(self, *keys: str | int) -> Place:
        """Return the place of a value inside this one."""
        return Place(self.origin, (*self.keys, *keys))

    def respelled(self, keys: Keys, spelling: Keys) -> Place:
        """Return this place in a study in which a value has another path than in the file.

        Args:
            keys: the path in the study.
            spelling: the path in the file.
        """
        origin = self.origin
        overrides = [(keys if path == spelling[: len(path)] else path, text) for path, text in origin.overrides]
        spellings = {**origin.spellings, keys: spelling}
        return Place(Origin(origin.file, origin.lines, overrides, spellings, origin.members), self.keys)

    @property
    def name(self) -> str:
        """The keys with dots, as an override has them."""
        return ".".join(str(key) or "''" for key in self.origin.original(self.keys))

    @property
    def order(self) -> tuple[int, int]:
        """Sorts places: those without a line, then by line, then by override."""
        keys = self.origin.original(self.keys)
        override = self.origin.override(keys)
        if override is not None:
            return 2, override
        line = self.origin.line(keys)
        return (0, 0) if line is None else (1, line)

    def __str__(self) -> str:
        keys = self.origin.original(self.keys)
        override, line = self.origin.override(keys), self.origin.line(keys)
        parts = []
        if override is not None:
            parts.append(f"override {self.origin.overrides[override][1]!r}")
        elif self.origin.file:
            parts.append(f"{self.origin.file}:{line}" if line else self.origin.file)
        if keys:
            parts.append(self.name)
        return ": ".join(parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place)

    def __hash__(self) -> int:
        return 0


class StudyError(ConfigError):
    """A mistake in a study.

    Args:
        place: where it is.
        message: what is wrong.
        cause: identifies mistakes that are the same in other words; one of them is reported.
    """

    def __init__(self, place: Place, message: str, cause: str = "") -> None:
        where = str(place)
        super().__init__(f"{where}: {message}" if where else message)
        self.place, self.message, self.cause = place, message, cause or message


class FollowUp(ConfigError):
    """A consequence of a mistake that is already reported."""


class Problems:
    """Collects mistakes, to report all of them in one error."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], StudyError] = {}

    def __bool__(self) -> bool:
        return bool(self._errors)

    def __len__(self) -> int:
        return len(self._errors)

    def add(self, place: Place, message: str, cause: str = "") -> None:
        """Note one mistake; the same one at the same place counts once.

        Args:
            place: where it is.
            message: what is wrong.
            cause: see :class:`StudyError`.
        """
        error = StudyError(place, message, cause)
        self._errors.setdefault((str(place), error.cause), error)

    def are_in(self, place: Place) -> bool:
        """Return whether a mistake in a part of the study is noted."""
        keys = place.origin.original(place.keys)
        noted = (error.place.origin.original(error.place.keys) for error in self._errors.values())
        return any(path[: len(keys)] == keys for path in noted)

    @contextlib.contextmanager
    def collecting(self, place: Place) -> Iterator[None]:
        """Note a mistake that is raised within the block, and go on after the block.

        Args:
            place: where a mistake that does not know its place is.
        """
        try:
            yield
        except FollowUp:
            pass
        except StudyError as error:
            self.add(error.place if error.place.keys else place, error.message, error.cause)
        except ConfigError as error:
            self.add(place, str(error))

    def lines(self) -> list[str]:
        """Return one line for each mistake, in the order of their places."""
        return [str(error) for error in sorted(self._errors.values(), key=lambda error: error.place.order)]

    def raise_all(self) -> None:
        """Raise one error for all mistakes; do nothing if there is none.

        Raises:
            ConfigError: one line for each mistake, and one with the number of those that would be too many to read.
        """
        if not self._errors:
            return
        lines = self.lines()
        if len(lines) > MOST_LINES + 1:
            lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES:,} more mistakes"]
        raise ConfigError("\n".join(lines))
