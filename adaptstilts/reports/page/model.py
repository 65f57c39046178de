"""The content of a report page, in reading order.

Whoever has results fills a :class:`Page` with texts, tables (:class:`adaptstilts.reports.formats.Table`) and figures;
how they look is the business of ``html``, ``drawing`` and the templates. Everything is plain text: it is escaped when
the page is written. A part that is empty is left out of the page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.charts import Chart

Verdict = Literal["effect", "no effect", "not resolved"]


class KeyText(str):
    """The text of a table cell that is the beginning of an entry's key; it leads to the entry in the provenance."""

    __slots__ = ()


@dataclass(frozen=True)
class Number:
    """One of the few numbers of the answer card, as text.

    Attributes:
        label: what is measured.
        value: the number with its sign and unit.
        interval: its interval, or why it has none.
    """

    label: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Answer:
    """The card at the top of the page.

    Attributes:
        question: what was asked.
        sentence: what a reader should take away.
        verdict: verdict of the study's first comparison.
        reason: how the verdict follows from the numbers.
        numbers: the main numbers, at most four.
        limits: what the results do not say.
    """

    question: str
    sentence: str
    verdict: Verdict
    reason: str
    numbers: Sequence[Number] = ()
    limits: Sequence[str] = ()


@dataclass(frozen=True)
class Fact:
    """One thing that decides whether the answer can be trusted.

    Attributes:
        label: what it is about.
        value: the fact.
        note: what it means; may be empty.
        is_warning: whether it weakens the answer.
    """

    label: str
    value: str
    note: str = ""
    is_warning: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: name of its files; letters, digits and hyphens, unique in the page.
        title: its heading.
        description: what is drawn and how to read it.
        chart: its data, and how they are drawn.
    """

    name: str
    title: str
    description: str
    chart: Chart

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", self.name):
            raise ValueError(f"{self.name!r}: the name of a figure has letters, digits and hyphens")


@dataclass(frozen=True)
class Section:
    """Figures, then tables, under one heading.

    Attributes:
        title: the heading; empty where the page has one for this place.
        text: what to know before reading them.
        figures: drawn one below the other.
        tables: shown below the figures; they can be sorted and filtered.
    """

    title: str = ""
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.figures or self.tables)


@dataclass(frozen=True)
class Evidence:
    """The entries behind one result, or behind several.

    Attributes:
        result: what people call the result.
        command: command that checks entries and everything that they were computed from; the keys follow it.
        keys: beginnings of the keys of the entries that have its scores; empty for all of the store.
    """

    result: str
    command: str
    keys: Sequence[str] = ()


@dataclass(frozen=True)
class Provenance:
    """Where everything comes from.

    Attributes:
        study: text of the study file.
        overrides: changes of its keys on the command line.
        evidence: the entries behind every result.
        tables: versions, licences and other facts.
    """

    study: str = ""
    overrides: Sequence[str] = ()
    evidence: Sequence[Evidence] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Page:
    """A whole report, in reading order.

    Attributes:
        title: name of the study.
        subtitle: model and size of the study in one line.
        answer: the card at the top.
        trust: what decides whether the answer can be trusted.
        figure: the figure that shows the answer; drawn large.
        evidence: the numbers behind the answer.
        languages: results by language.
        further: more sections, each with a title of its own.
        costs: the cost of the results.
        checks: attempts to prove the answer wrong.
        provenance: study file, entries, versions, licences.
    """

    title: str
    subtitle: str
    answer: Answer
    trust: Sequence[Fact] = ()
    figure: Section = field(default_factory=Section)
    evidence: Section = field(default_factory=Section)
    languages: Section = field(default_factory=Section)
    further: Sequence[Section] = ()
    costs: Section = field(default_factory=Section)
    checks: Section = field(default_factory=Section)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def sections(self) -> list[Section]:
        """Every section with figures or tables, in reading order."""
        return [self.figure, self.evidence, self.languages, *self.further, self.costs, self.checks]

    @property
    def tables(self) -> list[Table]:
        """Every table of a section, in reading order."""
        tables: list[Table] = []
        for section in self.sections:
            tables += section.tables
        return tables

    @property
    def figures(self) -> list[Figure]:
        """Every figure, in reading order."""
        figures: list[Figure] = []
        for section in self.sections:
            figures += section.figures
        return figures
