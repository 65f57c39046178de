"""What a task declaration is made of. Declarations are data; behaviour shared by tasks lives in its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.languages import Language

Row = Mapping[str, Any]
Columns = Mapping[str, Any]
RETRIEVAL = ("bitext", "mining")  # kinds that are never trained; here, as planning does not import kinds (torch)


@dataclass(frozen=True)
class Source:
    """Where the rows of one split come from: a data set repository in the layout of the Hugging Face hub.

    ``config``, ``split`` and the value of ``where`` may hold ``{code}``, ``{iso3}`` or ``{name}``, filled in for a
    language by :meth:`at`; ``config`` also ``{set}``, for tasks whose splits are made of several row sets.

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

    def at(self, language: Language, row_set: str = "") -> Source:
        """This source with the placeholders filled in for one language, and for one row set where there are several."""
        names = {"code": language.code, "iso3": language.iso3, "name": language.name}
        names["set"] = row_set.format(**names)
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
        dev: rows for model selection, always read in English there; for retrieval those that give a threshold.
        test: rows to report on.
        sets: row set of the kind -> what ``{set}`` stands for in the sources; empty where a split is one table.
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
    sets: Mapping[str, str] = field(default_factory=dict)
    intermediate: bool = False
    parallel: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    version: int = 1

    @property
    def retrieval(self) -> bool:
        """Whether it is evaluated with the encoder as it is, without training."""
        return self.kind in RETRIEVAL

    def of(self, fields: Iterable[str]) -> Task:
        """This task with some of its fields only, as one of its row sets has them."""
        return replace(self, columns={name: self.columns[name] for name in fields})

    def reads(self, split: str, language: Language) -> dict[str, Source]:
        """Every source that a score in one language is made from, by the name that it has in content keys.

        That is the split itself, under the language's code. With several row sets it is each of them, of the split
        and of dev, which gives the threshold: ``<code>.<dev or test>.<row set>``.

        Raises:
            ConfigError: the task does not have such rows.
        """
        held = {"dev": self.dev, "test": self.test}
        found: dict[str, Source] = {}
        for part in dict.fromkeys(("dev", split) if self.sets else (split,)):
            source = held[part]
            if source is None:
                raise ConfigError(f"{self.name} has no {part} rows")
            found |= {f"{language.code}.{part}.{name}": source.at(language, text) for name, text in self.sets.items()}
            if not self.sets:
                found[language.code] = source.at(language)
        return found
