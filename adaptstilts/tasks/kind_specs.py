"""Kinds of tasks as planning sees them: plain facts, so that no plan needs torch.

What a kind does with rows, batches and vectors is an object of :mod:`adaptstilts.kinds.base`. A spec says where that
object is; it is imported when the first phase of that kind runs. Everything that asks about a kind asks its spec or an
ability of its object, never for a name, so one file with a spec and an object is a whole kind::

    from adaptstilts import kinds

    kinds.add(KindSpec("multilabel", "my_package.multilabel:Multilabel", ("f1",), fields=("text", "labels")))

Specs come from this module, from entry points of the group ``adaptstilts.kinds``, and from ``adaptstilts.kinds.add``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adaptstilts.registry import Registry
from adaptstilts.tasks import column_checks, row_checks
from adaptstilts.tasks.column_checks import ColumnCheck
from adaptstilts.tasks.row_checks import RowCheck

if TYPE_CHECKING:
    from adaptstilts.tasks.base import Task


IMPLEMENTATION = r"[\w.]+:\w+"  # module:attribute


@dataclass(frozen=True)
class KindSpec:
    """The facts of one kind.

    Attributes:
        name: what ``Task.kind`` says.
        implementation: ``module:attribute`` of the kind's object, or of a class that takes no arguments.
        headline: metrics whose mean is a task's score, unless the task names others.
        metrics: every metric that the kind may compute; empty to allow any name in ``Task.metrics``.
        metrics_of: returns the metrics of one task, if they depend on its declaration.
        fields: fields of an example that a task's columns must give.
        optional: fields that the columns may give as well; None to allow any.
        row_sets: fields by row set, for kinds whose splits are several tables; empty where a split is one table.
        label_field: the field that holds a label, or a list of labels, of the task; None where there is none.
        one_label: whether that field holds one label and never a list.
        lists: fields, or parts ``field.part`` of a field, that must be lists, which may be empty.
        named_labels: whether a task must declare its labels, or take those of its rows (``open_labels``).
        searches: whether tasks are scored by searching the sentence vectors of the encoder as it is. Such tasks are
            never trained (their object is a ``Searchable``); all others are (a ``Trainable``).
        shares_pool: whether the languages of an evaluation are scored together, their queries against one pool of
            candidates (the object is a ``PoolRanker``).
        declared: whether tasks of this kind are declared; False for text that a study names.
        defaults: training settings that differ from the package's, before those of the task.
        chance: returns the score of guessing, in points; None, or returning None, where it is not known.
        group: what results average such tasks with, as benchmarks do; empty for a group of their own.
        check: what the kind's object checks of an example, as a function that needs no torch
            (:mod:`adaptstilts.tasks.row_checks`), so that rows are checked while planning; None if there is none.
        version: raised when the same weights and rows come to give other scores; evaluations get new keys, and
            trainings keep theirs.
        check_columns: returns whether ``check`` would find nothing in any row of a table; None to ask it row by row.
    """

    name: str
    implementation: str
    headline: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    metrics_of: Callable[[Task], tuple[str, ...]] | None = None
    fields: tuple[str, ...] = ()
    optional: tuple[str, ...] | None = None
    row_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label_field: str | None = None
    one_label: bool = False
    lists: tuple[str, ...] = ()
    named_labels: bool = False
    searches: bool = False
    shares_pool: bool = False
    declared: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)
    chance: Callable[[Task], float | None] | None = None
    group: str = ""
    check: RowCheck | None = None
    version: int = 1
    check_columns: ColumnCheck | None = None

    @property
    def required_fields(self) -> tuple[str, ...]:
        """Fields that a task's columns must give, of all row sets together."""
        every = [*self.fields]
        for names in self.row_sets.values():
            every += names
        return tuple(dict.fromkeys(every))

    def mistakes(self) -> Iterator[str]:
        """Yield what is wrong with this spec, whatever the task."""
        problems = [*self._shapes()]
        yield from problems or self._combinations()

    def _shapes(self) -> Iterator[str]:
        """Yield the fields that have another type than their declaration says."""
        if not isinstance(self.implementation, str) or not re.fullmatch(IMPLEMENTATION, self.implementation):
            yield f"implementation: expected module:attribute, found {self.implementation!r}"
        for name in ("headline", "metrics", "fields", "lists"):
            if not _is_names(getattr(self, name)):
                yield f"{name}: expected a tuple of names, found {getattr(self, name)!r}"
        if self.optional is not None and not _is_names(self.optional):
            yield f"optional: expected a tuple of names, or None, found {self.optional!r}"
        if not isinstance(self.row_sets, Mapping) or not all(map(_is_names, self.row_sets.values())):
            yield f"row_sets: expected a tuple of fields for each row set, found {self.row_sets!r}"
        if not isinstance(self.defaults, Mapping):
            yield f"defaults: expected training settings by name, found {self.defaults!r}"
        for name in ("metrics_of", "check"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                yield f"{name}: expected a function, or None, found {getattr(self, name)!r}"
        for name in ("one_label", "named_labels", "searches", "shares_pool", "declared"):
            if not isinstance(getattr(self, name), bool):
                yield f"{name}: expected True or False, found {getattr(self, name)!r}"

    def _combinations(self) -> Iterator[str]:
        """Yield fields that do not go together, each of the right type."""
        known = (*self.required_fields, *(self.optional or ()))
        if self.label_field is not None and self.label_field not in known:
            yield f"label_field: expected one of {', '.join(known)}, or None, found {self.label_field!r}"
        unknown = [name for name in self.headline if self.metrics and name not in self.metrics]
        if unknown or not self.headline:
            listed = ", ".join(self.metrics) or "metrics"
            yield f"headline: expected one or more of {listed}, found {', '.join(unknown) or 'none'}"

    def problems(self, task: Task) -> list[str]:
        """Return what is wrong with a task's declaration; empty if it can be used."""
        problems = [*self._column_problems(task), *self._metric_problems(task)]
        if not self.declared:
            problems.append(f"kind: tasks of the kind {self.name} are not declared; a study names their text")
        if self.named_labels and not task.labels and not task.open_labels:
            problems.append("labels: expected the names of the labels, or open_labels=True to take those of the rows")
        if set(task.sets) != set(self.row_sets):
            expected = ", ".join(self.row_sets) or "none"
            problems.append(f"sets: the row sets of the kind {self.name} are {expected}")
        return problems

    def _column_problems(self, task: Task) -> Iterator[str]:
        required, optional = self.required_fields, self.optional
        missing = [name for name in required if name not in task.columns]
        if missing:
            yield f"columns: the kind {self.name} needs {', '.join(missing)} as well"
        unknown = [name for name in task.columns if optional is not None and name not in (*required, *optional)]
        if unknown:
            fields = ", ".join((*required, *(optional or ())))
            yield f"columns: {unknown[0]!r} is not a field of the kind {self.name}, which has {fields}"

    def _metric_problems(self, task: Task) -> Iterator[str]:
        unknown = [name for name in task.metrics if self.metrics and name not in self.metrics]
        if unknown:
            yield f"metrics: {unknown[0]!r} is unknown; the kind {self.name} has {', '.join(self.metrics)}"
            return
        computed = self.metrics_of(task) if self.metrics_of else ()
        absent = [name for name in task.metrics or self.headline if computed and name not in computed]
        if absent:
            yield f"metrics: {absent[0]!r} is not computed for this task, which has {', '.join(computed)}"


def _of_classification(task: Task) -> tuple[str, ...]:
    return ("accuracy", "f1", "matthews") if len(task.labels) == 2 else ("accuracy",)


def _chance_of_classification(task: Task) -> float | None:
    """Return the accuracy of guessing; None for other scores."""
    return 100 / len(task.labels) if task.headline == ("accuracy",) and task.labels else None


def _chance_of_choice(task: Task) -> float | None:
    return 100 / task.choices if task.choices else None


def _of_mining(task: Task) -> tuple[str, ...]:
    names = ("f1", "precision", "recall")
    return names if task.dev is not None else tuple(f"oracle_{name}" for name in names)


CLASSIFICATION = KindSpec(
    "classification",
    "adaptstilts.kinds.classification:KIND",
    headline=("accuracy",),
    metrics=("accuracy", "f1", "matthews"),
    metrics_of=_of_classification,
    fields=("text_a", "label"),
    optional=("text_b",),
    label_field="label",
    one_label=True,
    named_labels=True,
    chance=_chance_of_classification,
    group="classification",
    check=row_checks.classification,
    check_columns=column_checks.texts,
)
REGRESSION = KindSpec(
    "regression",
    "adaptstilts.kinds.regression:KIND",
    headline=("pearson", "spearman"),
    metrics=("pearson", "spearman"),
    fields=("text_a", "label"),
    optional=("text_b",),
    label_field="label",
    one_label=True,
    group="classification",
    check=row_checks.regression,
)
CHOICE = KindSpec(
    "choice",
    "adaptstilts.kinds.choice:KIND",
    headline=("accuracy",),
    metrics=("accuracy",),
    fields=("context", "choices", "label"),
    optional=(),
    label_field="label",
    one_label=True,
    chance=_chance_of_choice,
    group="classification",
    check=row_checks.choice,
)
TAGGING = KindSpec(
    "tagging",
    "adaptstilts.kinds.tagging:KIND",
    headline=("f1",),
    metrics=("f1", "token_accuracy"),
    fields=("tokens", "tags"),
    optional=(),
    label_field="tags",
    named_labels=True,
    group="structured prediction",
    check=row_checks.tagging,
    check_columns=column_checks.tagging,
)
ENTITIES = KindSpec(
    "entities",
    "adaptstilts.kinds.entities:KIND",
    headline=("span_f1",),
    metrics=("span_f1",),
    fields=("text", "starts", "ends", "labels"),
    optional=(),
    label_field="labels",
    lists=("starts", "ends", "labels"),
    named_labels=True,
    check=row_checks.entities,
)
SPAN = KindSpec(
    "span",
    "adaptstilts.kinds.span:KIND",
    headline=("f1", "exact_match"),
    metrics=("f1", "exact_match"),
    fields=("id", "question", "context", "answers"),
    optional=(),
    lists=("answers.text", "answers.answer_start"),
    group="question answering",
    check=row_checks.span,
    version=2,
    check_columns=column_checks.span,
)
BITEXT = KindSpec(
    "bitext",
    "adaptstilts.kinds.bitext:KIND",
    headline=("accuracy",),
    metrics=("accuracy", "xsim"),
    fields=("foreign", "english"),
    optional=(),
    searches=True,
    group="retrieval",
    check=row_checks.bitext,
    check_columns=column_checks.texts,
)
MINING = KindSpec(
    "mining",
    "adaptstilts.kinds.mining:KIND",
    headline=("f1",),
    metrics=("f1", "precision", "recall", "oracle_f1", "oracle_precision", "oracle_recall"),
    metrics_of=_of_mining,
    optional=(),
    row_sets={"foreign": ("id", "text"), "english": ("id", "text"), "gold": ("foreign", "english")},
    searches=True,
    group="retrieval",
    check=row_checks.mining,
    version=2,
    check_columns=column_checks.texts,
)
RANKING = KindSpec(
    "ranking",
    "adaptstilts.kinds.ranking:KIND",
    headline=("map",),
    metrics=("map", "mrr"),
    fields=("id", "query", "candidate", "text"),
    optional=("context",),
    shares_pool=True,
    group="retrieval",
    check=row_checks.ranking,
)
MASKED = KindSpec(
    "masked",
    "adaptstilts.kinds.masked_lm:KIND",
    headline=("accuracy",),
    metrics=("accuracy",),
    fields=("text",),
    declared=False,
    check=row_checks.masked,
    check_columns=column_checks.texts,
)


def _is_names(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)


def _name(spec: KindSpec) -> str:
    return spec.name


REGISTRY: Registry[KindSpec] = Registry(
    "task kind",
    "adaptstilts.kinds",
    name_of=_name,
    is_member=lambda value: isinstance(value, KindSpec),
    expected="an instance of KindSpec",
    problems=KindSpec.mistakes,
    modules=(__name__,),
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known
