"""Named things that people add to: tasks, methods, kinds, architectures, phases, search backends, loggers, formats.

A registry knows what the modules of one folder of this package define, what Python entry points of its group name, and
what :meth:`Registry.add` was given. Nothing is imported before somebody asks.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Generic, TypeVar

from adaptstilts.errors import ConfigError

T = TypeVar("T")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


class Registry(Generic[T]):
    """Named members of one sort.

    Args:
        noun: what messages call a member, for example ``task``.
        group: the entry-point group for other distributions, for example ``adaptstilts.tasks``. An entry point names
            a member, or a module whose members are all added.
        name_of: returns the name of a member.
        is_member: tells members from the other values of a module.
        expected: what a member is, for the message on another value, for example ``an instance of Task``.
        package: dotted name of the folder whose modules are scanned, except those that begin with ``_``.
        modules: dotted names of further modules that are scanned.
        hint: what to do if no known name is similar, for example ``"`adaptstilts tasks` lists them"``; if empty, the
            message lists all names.
        problems: yields what is wrong with the fields of a member from outside.
    """

    def __init__(
        self,
        noun: str,
        group: str,
        *,
        name_of: Callable[[T], str],
        is_member: Callable[[object], bool],
        expected: str,
        package: str | None = None,
        modules: Sequence[str] = (),
        hint: str = "",
        problems: Callable[[T], Iterable[str]] = lambda member: (),
    ) -> None:
        self.noun, self.group, self.package, self.modules, self.hint = noun, group, package, tuple(modules), hint
        self._name_of, self._is_member, self._expected = name_of, is_member, expected
        self._problems = problems
        self._scanned: dict[str, T] | None = None
        self._added: dict[str, T] = {}

    def known(self) -> Mapping[str, T]:
        """Return every member by name; an added member replaces one of the same name."""
        if self._scanned is None:
            self._scanned = {self._name_of(member): member for member in (*self._shipped(), *self._plugged_in())}
        return {**self._scanned, **self._added}

    def add(self, member: T) -> None:
        """Add a member for the rest of this process.

        Raises:
            ConfigError: as :meth:`check`.
        """
        self.check(member)
        self._added[self._name_of(member)] = member

    def check(self, value: T) -> None:
        """Raise if a value cannot be a member.

        Raises:
            ConfigError: it is something else, has no name that a command could give, or a field that is wrong.
        """
        if reason := self._why_not(value):
            raise ConfigError(reason)

    def remove(self, name: str) -> None:
        """Remove a member that was added; shipped ones stay."""
        self._added.pop(name, None)

    def get(self, name: str) -> T:
        """Return the member with a name.

        Raises:
            ConfigError: there is none; the message suggests similar names.
        """
        known = self.known()
        if name in known:
            return known[name]
        raise ConfigError(f"unknown {self.noun} {name!r}; {self.hint_for(name)}")

    def hint_for(self, name: str) -> str:
        """Return what a message suggests in place of an unknown name."""
        similar = nearest(name, self.known())
        if similar:
            return f"did you mean {' or '.join(similar)}?"
        return self.hint or f"one of {', '.join(self.known())}"

    def _shipped(self) -> Iterable[T]:
        names = list(self.modules)
        if self.package is not None:
            folder = importlib.import_module(self.package)
            below = [module.name for module in pkgutil.iter_modules(folder.__path__)]
            names += [f"{self.package}.{name}" for name in below if not name.startswith("_")]
        for name in names:
            yield from self._members(importlib.import_module(name))

    def _plugged_in(self) -> Iterable[T]:
        for point in entry_points(group=self.group):
            plug_in = f"plug-in {point.name} = {point.value} ({self.group})"
            try:
                value = point.load()
            except Exception as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise ConfigError(f"{plug_in}: cannot be loaded ({reason})") from error
            for member in self._members(value) if isinstance(value, ModuleType) else [value]:
                if problem := self._why_not(member):
                    raise ConfigError(f"{plug_in}: {problem}")
                yield member

    def _why_not(self, value: T) -> str | None:
        """Return why a value cannot be a member; None if it can."""
        try:
            if not self._is_member(value):
                return f"not a {self.noun}: expected {self._expected}, found {_described(value)}"
            name = self._name_of(value)
        except Exception:  # an object of somebody else, which may answer anything
            return f"not a {self.noun}: {_described(value)} has no name"
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            return f"{self.noun} {name!r}: expected a name of letters, digits, dots, dashes and underscores"
        for problem in self._problems(value):
            return f"{self.noun} {name!r}: {problem}"
        return None

    def _members(self, module: ModuleType) -> Iterable[T]:
        for value in vars(module).values():
            if self._is_member(value):
                yield value


def _described(value: object) -> str:
    """Return a class by its name, and any other value by that of its class and the beginning of what it prints."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    try:
        printed = " ".join(repr(value).split())
    except Exception:
        printed = ""
    return f"{printed[:60]} ({type(value).__name__})" if printed else f"a {type(value).__name__}"


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return up to three known words that are similar to a mistyped one, the most similar first."""
    return difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
