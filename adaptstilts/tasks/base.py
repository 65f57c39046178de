"""What a task declaration is made of. Declarations are data; behaviour shared by tasks lives in its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adaptstilts.languages import Language

Row = Mapping[str, Any]
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where the rows of one split come from: a data set repository in the layout of the Hugging Face hub.

    ``config``, ``split`` and the value of ``where`` may hold ``{code}``, ``{iso3}`` or ``{name}``, filled in for a
    language by :meth:`at`.

    Attributes:
        repo: ``owner/name`` on the hub, and the folder of that name under a local data root.
        mirrors: repositories of the same content, tried in order when ``repo`` cannot be read.
        where: (column, value): only rows with this value belong to the split.
        revision: a commit of ``repo``; None means that the content hash recorded at first load is the pin.
    """

    repo: str
    config: str
    split: str
    mirrors: tuple[str, ...] = ()
    where: tuple[str, str] | None = None
    revision: str | None = None

    def at(self, language: Language) -> Source:
        """This source with the placeholders filled in for one language."""
        names = {"code": language.code, "iso3": language.iso3, "name": language.name}
        where = (self.where[0], self.where[1].format(**names)) if self.where else None
        return replace(self, config=self.config.format(**names), split=self.split.format(**names), where=where)

    def __str__(self) -> str:
        return f"{self.repo} {self.config} {self.split}"


@dataclass(frozen=True)
class Task:
    """A frozen declaration of one task.

    Attributes:
        name: unique; what study files say.
        kind: name of the module under ``adaptstilts.kinds`` that gives features, head, loss and decoding.
        languages: every language of the test set, as codes.
        columns: example field of the kind -> column of the rows.
        adapt: makes the columns that the rows do not have as such; None in the common case.
        labels: label names in the order of the head's outputs; empty where the kind needs none.
        no_gold: label values that mean "no gold label": such rows are dropped and counted.
        train: the English training rows; None when ``train_from`` gives them or the task is never trained.
        train_from: tasks whose training sets are used instead, one training phase each, in this order.
        dev: rows for model selection, always read in English there.
        test: rows to report on.
        intermediate: whether the task may be an intermediate task.
        parallel: row ``i`` is the same item in every language (resampled together in intervals).
        defaults: training settings that differ from the package's (fields of ``config.Train``).
        version: raised when reading the same files gives other examples.
    """

    name: str
    kind: str
    languages: tuple[str, ...]
    columns: Columns
    adapt: Callable[[Row], dict[str, Any]] | None = None
    labels: tuple[str, ...] = ()
    no_gold: tuple[Any, ...] = ()
    train: Source | None = None
    train_from: tuple[str, ...] = ()
    dev: Source | None = None
    test: Source | None = None
    intermediate: bool = False
    parallel: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    version: int = 1
