"""The parts of a task declaration. A declaration is data; the behaviour that tasks share is in their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from adaptstilts import languages
from adaptstilts.errors import ConfigError
from adaptstilts.languages import Language
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.recipe import Recipe

Row = Mapping[str, Any]
Columns = Mapping[str, Any]
Format = Literal["parquet", "tsv", "text", "jsonl", "squad", "parallel"]
Answers = Literal["squad", "mlqa"]
POOL = "pool"  # name, in content keys, of the candidates that all languages share
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"  # of a task, a study or an adapter
REPO = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"
NOT_STATED = "not stated"


@dataclass(frozen=True)
class LeftOut:
    """A row, or a part of one, from which ``adapt`` makes no example; counted under ``reason``."""

    reason: str


Adapted = dict[str, Any] | LeftOut
Adapt = Callable[[Row], Adapted | list[Adapted]]


@dataclass(frozen=True)
class Source:
    """Where the rows of one split come from: a data set repository laid out as on the Hugging Face hub.

    ``config``, ``split`` and the value of ``where`` may contain the placeholders ``{code}``, ``{iso3}``, ``{name}`` and
    ``{lower}`` (the name in lower case), which :meth:`at` replaces for one language. A task with several row sets also
    has ``{set}``.

    Attributes:
        repo: ``owner/name`` on the hub, and the folder of that name below a local data root.
        config: config name, which is a folder of the repository.
        split: split name, with which the file names begin.
        mirrors: other places with the same rows, in whatever layout; tried in order if this one has none.
        where: (column, value): only rows with this value belong to the split. ``value*`` matches every value with that
            beginning; the column ``a.b`` is the field ``b`` of nested rows in ``a``.
        revision: commit, branch or tag of ``repo`` on the hub; ignored for local folders. With or without it, the
            content hash recorded at the first load is the pin.
        more: sources whose rows follow; if one of them is missing, so is the split.
        format: file format. ``parquet``; ``tsv``, without header or quoting, columns ``0``, ``1``, ...; ``text``, one
            row per line, column ``text``; ``jsonl``, one JSON object per line; ``squad``, JSON as SQuAD has it, one row
            per paragraph, its number in ``paragraph``; ``parallel``, two aligned text files, one row per line, columns
            named after the files' suffixes. File names end in .parquet, .tsv, .txt, .jsonl and .json.
    """

    repo: str
    config: str
    split: str
    mirrors: tuple[Source, ...] = ()
    where: tuple[str, str] | None = None
    revision: str | None = None
    more: tuple[Source, ...] = ()
    format: Format = "parquet"

    def at(self, language: Language, row_set: str = "") -> Source:
        """Return this source with its placeholders replaced.

        Args:
            language: the language to read.
            row_set: what ``{set}`` stands for; may contain the other placeholders.
        """
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

    @property
    def title(self) -> str:
        """Name for people: as a text, and which of the rows there are meant."""
        return f"{self} ({self.where[1]})" if self.where else str(self)


@dataclass(frozen=True)
class Task:
    """A frozen declaration of one task.

    Attributes:
        name: unique name, used in study files.
        kind: name of the kind, which provides features, head, loss and decoding (:mod:`adaptstilts.tasks.kind_specs`).
        languages: every language of the test set. Results use the codes of :mod:`adaptstilts.languages`; a code may be
            declared as the data spell it (``pt-BR``, ``deu``), see ``spellings``.
        columns: field of an example -> column of the rows.
        adapt: function from a row to a row with these columns; None if the rows have them. It may leave a row out
            (:class:`LeftOut`) or return a list of examples, which are then numbered in order. A mapping gives one
            function for each row set.
        labels: label names in the order of the head's outputs; empty if the kind needs none.
        no_gold: label values that mean "no gold label"; such rows are dropped and counted.
        train: the English training rows; None if ``train_from`` gives them or the task is never trained.
        train_from: tasks whose training sets are used instead, one training phase each, in this order.
        train_languages: training rows in each language, for targets with ``rows``; None if there are none. Where a data
            set has no training rows in other languages, its dev rows may stand in.
        dev: rows for model selection, always read in English. For a retrieval task, the rows on which each language's
            threshold is set; without them the threshold is an oracle.
        test: rows to report on.
        pool: candidates shared by all languages, if the test rows do not contain them (kind ``ranking``).
        sets: row set of the kind -> what ``{set}`` stands for; empty if a split is one table.
        metrics: metrics whose mean is the task's score; empty for the usual ones of the kind.
        answers: rules that normalise answers: ``squad``, or ``mlqa``, which knows the articles of each language
            (kind ``span``).
        unanswerable: whether some questions have no answer in their context (kind ``span``).
        query_length: maximum tokens of a query, if below ``max_length`` (kind ``ranking``).
        choices: how many choices each row has, for the score of guessing; None if that differs (kind ``choice``).
        open_labels: take the labels from the training and dev rows, in alphabetical order.
        more_languages: languages that XTREME-R added to the test set.
        shared_training: reuse the last phase of ``train_from`` as it is, selected on that task's dev rows, so that
            several tasks share it. Tasks without dev rows always do.
        intermediate: whether the task may be an intermediate task.
        train_rows: rows of the published training set, for cost estimates before the data are present. Where the data
            have another number of rows, ``plan``, ``run`` and results say so.
        test_rows: rows that the published test set has in every language; 0 if languages differ or it is not known.
        parallel: whether row ``i`` is the same item in every language whose split has as many rows. Intervals count
            such rows as one item.
        item: field of an example that names its item, where the order of rows does not: examples of several languages
            with an equal value are one item. Goes before ``parallel``.
        equal_columns: columns of the test rows that are equal in every language, such as the label. Where they differ,
            a note below the scores says so.
        defaults: training settings that differ from the package's defaults.
        recipes: training settings of benchmarks, by the name that ``recipe`` of a study has for them. A target's own go
            before those of the tasks in ``train_from``.
        licence: terms of the data; built-in tasks must state them.
        citation: what to cite.
        hint: how to obtain the data; added to the error if the data has no rows of the task.
        version: increase it when the same files give other examples.
        spellings: language code -> how ``languages`` spelled it, where that differs. ``{code}`` in a source is tried in
            this spelling first. Filled in automatically.
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
    train_languages: Source | None = None
    dev: Source | None = None
    test: Source | None = None
    pool: Source | None = None
    sets: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    answers: Answers = "squad"
    unanswerable: bool = False
    query_length: int | None = None
    choices: int | None = None
    open_labels: bool = False
    more_languages: tuple[str, ...] = ()
    shared_training: bool = False
    intermediate: bool = False
    train_rows: int = 0
    test_rows: int = 0
    parallel: bool = False
    item: str | None = None
    equal_columns: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    licence: str = NOT_STATED
    citation: str = ""
    hint: str = ""
    version: int = 1
    spellings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spellings = dict(self.spellings)
        for name in ("languages", "more_languages"):
            codes = _codes(getattr(self, name), spellings)
            object.__setattr__(self, name, codes)
        object.__setattr__(self, "spellings", spellings)

    @property
    def headline(self) -> tuple[str, ...]:
        """Return the metrics whose mean is the task's score."""
        return self.metrics or kind_specs.get(self.kind).headline

    @property
    def retrieval(self) -> bool:
        """Return whether the task is evaluated with the encoder as it is, without training."""
        return kind_specs.get(self.kind).searches

    @property
    def kind_version(self) -> int:
        """Return the version of the task's kind, which is part of the keys of evaluation and retrieval."""
        return kind_specs.get(self.kind).version

    @property
    def training_defaults(self) -> Mapping[str, Any]:
        """Return the training settings that differ from the package's: those of the kind, then the task's own."""
        return {**kind_specs.get(self.kind).defaults, **self.defaults}

    def row_set(self, name: str) -> Task:
        """Return this task restricted to a row set; the task itself if its splits are one table."""
        fields = kind_specs.get(self.kind).row_sets.get(name)
        return self if fields is None else self.of(name, fields)

    def of(self, row_set: str, fields: Iterable[str]) -> Task:
        """Return this task restricted to one of its row sets.

        Args:
            row_set: name of the row set.
            fields: the fields that its examples have.
        """
        adapt = self.adapt[row_set] if isinstance(self.adapt, Mapping) else self.adapt
        return replace(self, columns={name: self.columns[name] for name in fields}, adapt=adapt)

    def fill(self, source: Source, code: str = "en", row_set: str = "") -> Source:
        """Return a source of this task with its placeholders replaced for one language.

        Args:
            source: one of the task's sources.
            code: language code.
            row_set: what ``{set}`` stands for.
        """
        language = languages.resolve(code)
        spelling = self.spellings.get(language.code)
        if spelling is None:
            return source.at(language, row_set)
        spelled = replace(language, code=spelling)
        first, *more = (
            _with_mirror(part.at(spelled, row_set), part.at(language, row_set))
            for part in (replace(source, more=()), *source.more)
        )
        return replace(first, more=tuple(more))

    def shot_source(self, code: str) -> Source:
        """Return the training rows in a language.

        Raises:
            ConfigError: the task has English ones only.
        """
        if self.train_languages is None:
            raise ConfigError(f"{self.name} has training rows in English only")
        return self.fill(self.train_languages, code)

    def reads(self, split: str, language: Language) -> dict[str, Source]:
        """Return every source that a score in one language depends on, by its name in content keys.

        For a task with one table per split that is the split, named by the language's code. For a task with row sets it
        is each of them, named ``<code>.<split>.<row set>``, in the split and in dev, which sets the threshold. Test
        candidates shared by all languages are named ``pool``.

        Args:
            split: ``dev`` or ``test``.
            language: the language.

        Raises:
            ConfigError: the task does not have such rows.
        """
        declared = {"dev": self.dev, "test": self.test}
        sources: dict[str, Source] = {}
        for part in dict.fromkeys(("dev", split) if self.sets and self.dev else (split,)):
            source = declared[part]
            if source is None:
                raise ConfigError(f"{self.name} has no {part} rows")
            for name, text in self.sets.items():
                sources[f"{language.code}.{part}.{name}"] = self.fill(source, language.code, text)
            if not self.sets:
                sources[language.code] = self.fill(source, language.code)
        if self.pool and split == "test":
            sources[POOL] = self.pool
        return sources

    def why_not_evaluated(self, split: str, codes: Iterable[str]) -> str | None:
        """Return why a split cannot give scores in some languages; None if it can.

        Args:
            split: ``dev`` or ``test``.
            codes: codes of the languages.
        """
        if split != "dev" or self.dev is None or self.sets:
            return None
        english = self.fill(self.dev)
        others = [code for code in codes if code != "en" and self.fill(self.dev, code) == english]
        if not others:
            return None
        return f"{self.name}: its dev rows are English only, not {', '.join(others)}; evaluate its test split instead"


def _codes(declared: Any, spellings: dict[str, str]) -> Any:
    """Return language codes, and record in ``spellings`` those that were declared in another way.

    What is not a tuple of known languages is returned as it is; checking the declaration reports it.
    """
    if not isinstance(declared, tuple):
        return declared
    codes = []
    for spelling in declared:
        try:
            code = languages.resolve(spelling).code
        except (ConfigError, AttributeError, TypeError):
            code = spelling
        if code != spelling:
            spellings[code] = spelling
        codes.append(code)
    return tuple(codes)


def _with_mirror(source: Source, mirror: Source) -> Source:
    return source if source == mirror else replace(source, mirrors=(*source.mirrors, mirror))
