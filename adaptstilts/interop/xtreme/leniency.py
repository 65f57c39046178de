"""Input that XTREME's ``evaluate.py`` scores although it is probably a mistake: noted by default, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adaptstilts.errors import DataError
from adaptstilts.io.wording import counted


@dataclass(frozen=True)
class Rule:
    """What is done about one kind of defect.

    Attributes:
        noun: the thing that has the defect.
        consequence: how it is handled, as in ``evaluate.py``.
    """

    noun: str
    consequence: str


_COMPARED = "compared as it stands"
RULES = {
    "byte-order mark": Rule("file", "read as part of the first line"),
    "line end": Rule("file", "carriage returns end lines"),
    "blanks": Rule("line", "removed"),
    "label": Rule("line", _COMPARED),
    "tag": Rule("line", _COMPARED),
    "sentence length": Rule("sentence", "from here on, tags are compared with those of other words"),
    "pair": Rule("line", _COMPARED),
    "sentence id": Rule("line", _COMPARED),
    "row number": Rule("line", _COMPARED),
    "leading zeros": Rule("line", "compared as text, so 003 is not 3"),
    "choice": Rule("line", _COMPARED),
    "item": Rule("ranking", _COMPARED),
    "repeated key": Rule("key", "the last value counts"),
    "unknown id": Rule("id", "not scored"),
    "repeated question": Rule("question", "every time counts"),
    "article list": Rule("file", "read as the list of articles"),
    "data key": Rule("file", "what is under 'data' is read"),
    "several targets": Rule("id", "the first counts"),
    "empty labels": Rule("file", "the score is 0"),
    "withheld labels": Rule("file", "scored nevertheless"),
    "no labels": Rule("folder", "not scored"),
}


@dataclass(frozen=True)
class Leniency:
    """Defects of one kind in one file that were accepted.

    Attributes:
        kind: one of :data:`RULES`.
        file: the file.
        line: line of the first one; None if the file has no meaningful lines.
        problem: what is wrong with the first one.
        count: number of such defects.
    """

    kind: str
    file: str
    line: int | None
    problem: str
    count: int = 1

    @property
    def text(self) -> str:
        """One line: where, what was expected, how many there are."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        noun = RULES[self.kind].noun
        more = f" ({self.count:,} such {counted(self.count, noun).split(' ', 1)[1]})" if self.count > 1 else ""
        return f"{place}: {self.problem}{more}"

    @property
    def remark(self) -> str:
        """The same, with how it was handled."""
        return f"{self.text}; {RULES[self.kind].consequence}"


class Leniencies:
    """Collect defects that do not prevent a score.

    Args:
        strict: raise on the first one instead.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._accepted: dict[tuple[str, Path], Leniency] = {}

    def accept(self, kind: str, path: Path, line: int | None, problem: str, count: int = 1) -> None:
        """Note a defect.

        Args:
            kind: one of :data:`RULES`.
            path: the file.
            line: the line, where the file is read line by line.
            problem: what was expected and what was found.
            count: number of such defects, of which this is the first.

        Raises:
            DataError: the rules are strict.
        """
        leniency = Leniency(kind, str(path), line, problem, count)
        if self.strict:
            raise DataError(leniency.text)
        first = self._accepted.get((kind, path))
        self._accepted[kind, path] = replace(first, count=first.count + count) if first else leniency

    def accept_withheld(self, path: Path, problem: str) -> None:
        """Note labels of a file that look withheld."""
        self.accept("withheld labels", path, None, f"{problem}; the labels look withheld")

    @property
    def accepted(self) -> Sequence[Leniency]:
        """What was noted, by kind and file."""
        kinds = list(RULES)
        return sorted(self._accepted.values(), key=lambda leniency: kinds.index(leniency.kind))
