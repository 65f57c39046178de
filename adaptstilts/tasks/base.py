"""What a task declaration is made of. Declarations are data; behaviour shared by tasks lives in its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from adaptstilts.errors import ConfigError
from adaptstilts.languages import Language

Row = Mapping[str, Any]
Columns = Mapping[str, Any]
POOL = "pool"  # what the candidates of all languages are called in content keys
RETRIEVAL = ("bitext", "mining")  # kinds that are never trained; here, as planning does not import kinds (torch)
HEADLINES = {
    "classification": ("accuracy",),
    "regression": ("pearson", "spearman"),
    "choice": ("accuracy",),
    "tagging": ("f1",),
    "span": ("f1", "exact_match"),
    "bitext": ("accuracy",),
    "mining": ("f1",),
    "ranking": ("map",),
}


@dataclass(frozen=True)
class LeftOut:
    """What ``adapt`` makes of a row, or of a part of it, that cannot be an example: counted under the reason."""

    reason: str


Adapted = dict[str, Any] | LeftOut
Adapt = Callable[[Row], Adapted | list[Adapted]]


@dataclass(frozen=True)
class Source:
    """Where the rows of one split come from: a data set repository in the layout of the Hugging Face hub.

    ``config``, ``split`` and the value of ``where`` may hold ``{code}``, ``{iso3}``, ``{name}`` or ``{lower}`` (the
    name in lower case), filled in for a language by :meth:`at`; ``config`` also ``{set}``, for tasks whose splits are
    made of several row sets.

    Attributes:
        repo: ``owner/name`` on the hub, and the folder of that name under a local data root.
        mirrors: other places of the same rows, in whatever layout they have them; tried in order when this one has not.
        where: (column, value): only rows with this value belong to the split; ``value*`` is every value that begins so.
            In nested rows ``a.b`` is the column ``b`` of ``a``.
        revision: a commit, branch or tag of ``repo`` on the hub; a local folder is taken as it is. With and without,
            the content hash recorded at first load is the pin.
        more: rows of these follow; without one of them the split is not there.
        format: of the files: parquet; ``tsv``, without header and quoting, whose columns are ``0``, ``1``, ...;
            ``text``, a row per line, whose column is ``text``; ``jsonl``, a JSON object per line, whose columns are its
            keys; ``squad``, JSON as SQuAD has it, a row per paragraph, with its number as ``paragraph``; or
            ``parallel``, two plain text files of translations, a row per line, whose columns are what their names end
            in. The names of the others end in .parquet, .tsv, .txt, .jsonl and .json.
    """

    repo: str
    config: str
    split: str
    mirrors: tuple[Source, ...] = ()
    where: tuple[str, str] | None = None
    revision: str | None = None
    more: tuple[Source, ...] = ()
    format: Literal["parquet", "tsv", "text", "jsonl", "squad", "parallel"] = "parquet"

    def at(self, language: Language, row_set: str = "") -> Source:
        """This source with the placeholders filled in for one language, and for one row set where there are several."""
        names = {"code": language.code, "iso3": language.iso3, "name": language.name, "lower": language.name.lower()}
        return self._filled({**names, "set": row_set.format(**names)})

    def _filled(self, names: Mapping[str, str]) -> Source:
        return replace(
            self,
            config=self.config.format(**names),
            split=self.split.format(**names),
            mirrors=tuple(source._filled(names) for source in self.mirrors),
            where=(self.where[0], self.where[1].format(**names)) if self.where else None,
            more=tuple(source._filled(names) for source in self.more),
        )

    def __str__(self) -> str:
        return " + ".join([f"{self.repo} {self.config} {self.split}", *map(str, self.more)])


@dataclass(frozen=True)
class Task:
    """A frozen declaration of one task.

    Attributes:
        name: unique; what study files say.
        kind: name of the module under ``adaptstilts.kinds`` that gives features, head, loss and decoding.
        languages: every language of the test set, as codes.
        columns: example field of the kind -> column of the rows.
        adapt: makes the columns that the rows do not have as such; None in the common case. It may say that a row is
            left out, or give several examples for one row as a list; they are then numbered as they come. One for
            each row set where these are made in different ways.
        labels: label names in the order of the head's outputs; empty where the kind needs none.
        no_gold: label values that mean "no gold label": such rows are dropped and counted.
        train: the English training rows; None when ``train_from`` gives them or the task is never trained.
        train_from: tasks whose training sets are used instead, one training phase each, in this order.
        dev: rows for model selection, always read in English there; for retrieval those that give a threshold, which
            without them is an oracle.
        test: rows to report on.
        pool: candidates of all languages, where the test rows do not hold them (kind ranking).
        sets: row set of the kind -> what ``{set}`` stands for in the sources; empty where a split is one table.
        metrics: metrics whose mean is the task's score, where they are not the usual ones of its kind.
        answers: whose rules normalise answers: ``squad``, or ``mlqa``, which has articles of each language (kind span).
        unanswerable: whether a question may have no answer in its context (kind span).
        query_length: tokens of a query, where that is fewer than ``max_length``, which candidates have (kind ranking).
        open_labels: the labels are those that the training and dev rows have, in alphabetical order.
        more_languages: those that XTREME-R added to the test set.
        shared_training: whether the phases of the last of ``train_from`` are taken as they are, selected on its dev
            rows, so that several tasks share them; so it is for tasks without dev rows too.
        intermediate: whether the task may be an intermediate task.
        train_rows: of the training set as it was published, for costs before the data is there.
        parallel: row ``i`` is the same item in every language (resampled together in intervals).
        defaults: training settings that differ from the package's (fields of ``config.Train``).
        hint: what an error says where the data has no rows of it: how to get them.
        version: raised when reading the same files gives other examples.
    """

    name: str
    kind: str
    languages: tuple[str, ...]
    columns: Columns
    adapt: Adapt | Mapping[str, Adapt] | None = None
    labels: tuple[str, ...] = ()
    no_gold: tuple[Any, ...] = ()
    train: Source | None = None
    train_from: tuple[str, ...] = ()
    dev: Source | None = None
    test: Source | None = None
    pool: Source | None = None
    sets: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    answers: Literal["squad", "mlqa"] = "squad"
    unanswerable: bool = False
    query_length: int | None = None
    open_labels: bool = False
    more_languages: tuple[str, ...] = ()
    shared_training: bool = False
    intermediate: bool = False
    train_rows: int = 0
    parallel: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    hint: str = ""
    version: int = 1

    @property
    def headline(self) -> tuple[str, ...]:
        """Metrics whose mean is the task's score."""
        return self.metrics or HEADLINES[self.kind]

    @property
    def retrieval(self) -> bool:
        """Whether it is evaluated with the encoder as it is, without training."""
        return self.kind in RETRIEVAL

    def of(self, row_set: str, fields: Iterable[str]) -> Task:
        """This task as one of its row sets has it: with some of its fields only."""
        adapt = self.adapt[row_set] if isinstance(self.adapt, Mapping) else self.adapt
        return replace(self, columns={name: self.columns[name] for name in fields}, adapt=adapt)

    def reads(self, split: str, language: Language) -> dict[str, Source]:
        """Every source that a score in one language is made from, by the name that it has in content keys.

        That is the split itself, under the language's code. With several row sets it is each of them, of the split
        and of dev, which gives the threshold, if there is one: ``<code>.<dev or test>.<row set>``. Candidates that the
        test rows of all languages share are ``pool``.

        Raises:
            ConfigError: the task does not have such rows.
        """
        held = {"dev": self.dev, "test": self.test}
        found: dict[str, Source] = {}
        for part in dict.fromkeys(("dev", split) if self.sets and self.dev else (split,)):
            source = held[part]
            if source is None:
                raise ConfigError(f"{self.name} has no {part} rows")
            found |= {f"{language.code}.{part}.{name}": source.at(language, text) for name, text in self.sets.items()}
            if not self.sets:
                found[language.code] = source.at(language)
        return found | ({POOL: self.pool} if self.pool and split == "test" else {})
