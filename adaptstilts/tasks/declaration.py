"""Checks of a task declaration, so that a mistake is reported before any work starts."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import get_args

from adaptstilts import languages
from adaptstilts.errors import ConfigError
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.base import NAME, REPO, Answers, Format, Source, Task
from adaptstilts.tasks.kind_specs import KindSpec
from adaptstilts.tasks.recipe import Recipe

PLACEHOLDERS = ("code", "iso3", "name", "lower", "set")
SPLITS = ("train", "train_languages", "dev", "test", "pool")

Known = Mapping[str, Task]


def check(task: Task, known: Known, complete: bool = True) -> None:
    """Raise if a declaration cannot work.

    Args:
        task: the declaration.
        known: every known task by name, for ``train_from``.
        complete: whether every task is known by now; if not, ``train_from`` may name others.

    Raises:
        ConfigError: one line for each mistake.
    """
    problems = [*_shape_problems(task)]
    if not problems:
        problems = [*_content_problems(task), *_training_problems(task, known, complete)]
    if problems:
        raise ConfigError("\n".join(f"task {task.name!r}: {problem}" for problem in problems))


def _shape_problems(task: Task) -> Iterator[str]:
    """Yield fields that have another type than the declaration of :class:`Task` says."""
    yield from _name_problems(task.name)
    for name in ("languages", "more_languages", "labels", "train_from", "metrics", "equal_columns"):
        if not _is_texts(getattr(task, name)):
            yield f"{name}: expected a tuple of texts, such as ('a', 'b'), found {getattr(task, name)!r}"
    if not isinstance(task.no_gold, tuple):
        yield f"no_gold: expected a tuple of label values, found {task.no_gold!r}"
    for name in ("columns", "sets"):
        value = getattr(task, name)
        if not _is_mapping(value, str):
            yield f"{name}: expected a mapping of text to text, found {value!r}"
    if not _is_mapping(task.defaults, object):
        yield f"defaults: expected training settings by name, found {task.defaults!r}"
    if not _is_mapping(task.recipes, Recipe):
        yield f"recipes: expected a Recipe for each name, found {task.recipes!r}"
    for name in SPLITS:
        source = getattr(task, name)
        if source is not None and not isinstance(source, Source):
            yield f"{name}: expected a Source, found {source!r}"
    for name, lowest in (("version", 1), ("train_rows", 0), ("test_rows", 0)):
        value = getattr(task, name)
        if type(value) is not int or value < lowest:
            yield f"{name}: expected a whole number from {lowest}, found {value!r}"
    if task.choices is not None and (type(task.choices) is not int or task.choices < 2):
        yield f"choices: expected a number from 2, or None, found {task.choices!r}"
    if task.query_length is not None and (type(task.query_length) is not int or task.query_length < 3):
        yield f"query_length: expected a number of tokens from 3, or None, found {task.query_length!r}"
    if task.answers not in get_args(Answers):
        yield f"answers: expected {' or '.join(get_args(Answers))}, found {task.answers!r}"
    for name in ("kind", "licence", "citation", "hint"):
        if not isinstance(getattr(task, name), str):
            yield f"{name}: expected text, found {getattr(task, name)!r}"
    for name in ("intermediate", "open_labels"):
        if not isinstance(getattr(task, name), bool):
            yield f"{name}: expected True or False, found {getattr(task, name)!r}"
    functions = task.adapt.values() if isinstance(task.adapt, Mapping) else [task.adapt]
    if not all(function is None or callable(function) for function in functions):
        yield f"adapt: expected a function from a row to its columns, found {task.adapt!r}"


def _name_problems(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        yield "name: expected letters, digits, dots, dashes and underscores, a letter or digit first"
    elif name == "none":
        yield "name: 'none' stands for no intermediate task; give the task another name"


def _content_problems(task: Task) -> Iterator[str]:
    """Yield what is wrong with the fields of a declaration, each of the right type."""
    try:
        spec = kind_specs.get(task.kind)
    except ConfigError as error:
        yield f"kind: {error}"
        return
    yield from spec.problems(task)
    yield from _language_problems(task)
    yield from _label_problems(task)
    for name in SPLITS:
        source = getattr(task, name)
        if source is not None:
            for problem in _source_problems(task, source, pool=name == "pool"):
                yield f"{name}: {problem}"
    yield from _row_set_problems(task, spec)
    if task.equal_columns and (not task.parallel or task.sets):
        yield "equal_columns: expected only for parallel rows (parallel=True) without row sets"
    if task.item is not None and (task.sets or task.item not in [*task.columns]):
        fields = "nothing, as the task has row sets" if task.sets else f"a field of columns: {', '.join(task.columns)}"
        yield f"item: expected {fields}, found {task.item!r}"


def _language_problems(task: Task) -> Iterator[str]:
    if not task.languages:
        yield "languages: expected at least one language of the test set"
    every = (*task.languages, *task.more_languages)
    for code in every:
        try:
            languages.resolve(code)
        except ConfigError as error:
            yield f"languages: {error}"
    for code in dict.fromkeys(code for code in every if every.count(code) > 1):
        yield f"languages: {code} ({languages.resolve(code).name}) is declared twice"


def _label_problems(task: Task) -> Iterator[str]:
    if len(set(task.labels)) < len(task.labels):
        yield f"labels: a label is declared twice in {', '.join(task.labels)}"
    if task.labels and task.open_labels:
        yield "labels: declare them, or take those of the rows with open_labels=True; not both"
    if len(task.labels) == 1 and kind_specs.get(task.kind).named_labels:
        yield f"labels: expected two or more, found {task.labels[0]!r} alone"
    if task.open_labels and task.train is None:
        yield "open_labels: the labels are those of the training rows, so train must be declared"


def _source_problems(task: Task, source: Source, pool: bool) -> Iterator[str]:
    """Yield what is wrong with a source, its mirrors and what follows it."""
    if not isinstance(source.repo, str) or not re.fullmatch(REPO, source.repo):
        yield f"repo: expected owner/name, found {source.repo!r}"
    if source.format not in get_args(Format):
        yield f"format: expected {', '.join(get_args(Format))}, found {source.format!r}"
    if source.where is not None and not (_is_texts(source.where) and len(source.where) == 2):
        yield f"where: expected (column, value), two texts, found {source.where!r}"
        return
    texts = {"config": source.config, "split": source.split}
    if source.where is not None:
        texts["where"] = source.where[1]
    for name, text in texts.items():
        for problem in _placeholder_problems(text, task, pool):
            yield f"{name}: {problem}"
    for name in ("mirrors", "more"):
        others = getattr(source, name)
        if not isinstance(others, tuple) or not all(isinstance(other, Source) for other in others):
            yield f"{name}: expected a tuple of Source, found {others!r}"
            continue
        for other in others:
            for problem in _source_problems(task, other, pool):
                yield f"{name}: {problem}"


def _placeholder_problems(text: object, task: Task, pool: bool) -> Iterator[str]:
    """Yield what is wrong with a text that may contain placeholders."""
    if not isinstance(text, str):
        yield f"expected text, found {text!r}"
        return
    try:
        parts = [*string.Formatter().parse(text)]
    except ValueError as error:
        yield f"{text!r} is not readable ({error}); write a brace that is no placeholder twice"
        return
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS or form or conversion:
            expected = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            yield f"unknown placeholder in {text!r}; expected {expected}"
        elif name == "set" and not task.sets:
            yield f"{text!r} has {{set}}, but the task declares no row sets (sets)"
        elif pool:
            yield f"{text!r} has a placeholder, but all languages share the pool"


def _row_set_problems(task: Task, spec: KindSpec) -> Iterator[str]:
    """Yield what is wrong between the sources, the languages and the row sets."""
    if isinstance(task.adapt, Mapping) and set(task.adapt) != set(spec.row_sets):
        names = ", ".join(spec.row_sets)
        expected = f"functions for the row sets {names}" if names else "one function, as a split is one table"
        yield f"adapt: expected {expected}, found some for {', '.join(map(str, task.adapt)) or 'nothing'}"
    if task.pool is not None and not spec.shares_pool:
        yield f"pool: the kind {spec.name} has no pool of candidates"
    if task.test is None or [*_source_problems(task, task.test, pool=False)] or [*_language_problems(task)]:
        return
    rows: dict[Source, str] = {}
    for code in (*task.languages, *task.more_languages):
        for row_set in task.sets.values() or [""]:
            source = task.fill(task.test, code, row_set)
            other = rows.setdefault(source, code)
            if other != code:
                yield f"test: {other} and {code} would read the same rows ({source}); use {{code}} or the like"
                return


def _training_problems(task: Task, known: Known, complete: bool) -> Iterator[str]:
    """Yield what is wrong with where a task's training rows come from."""
    spec = kind_specs.known().get(task.kind)
    if spec is None:
        return
    if spec.searches:
        for name in ("train", "train_languages"):
            if getattr(task, name) is not None:
                yield f"{name}: tasks of the kind {spec.name} are never trained"
        if task.intermediate:
            yield f"intermediate: tasks of the kind {spec.name} are never trained"
    else:
        yield from _own_training_problems(task)
    for name in task.train_from:
        if name in known:
            yield from _giver_problems(task, known[name], spec)
        elif complete:
            yield f"train_from: {name!r} is not a task; `adaptstilts tasks` lists them"


def _own_training_problems(task: Task) -> Iterator[str]:
    if task.train is not None and task.train_from:
        yield "train: give the training rows, or the tasks that have them (train_from), not both"
    if task.train is None and not task.train_from:
        yield "train: expected the training rows, or the tasks that have them (train_from)"
    if task.train_languages is not None and _reads_same_rows(task, task.train_languages):
        yield "train_languages: every language would read the same rows; use {code} or the like"
    if task.train is not None and task.dev is None:
        yield "dev: expected rows for model selection, as the task has training rows"


def _reads_same_rows(task: Task, source: Source) -> bool:
    """Return whether a source, unless it is wrong in itself, is the same in all languages."""
    return not [*_source_problems(task, source, pool=False)] and task.fill(source, "de") == task.fill(source)


def _giver_problems(task: Task, giver: Task, spec: KindSpec) -> Iterator[str]:
    """Yield what keeps a task from using the training rows of another one."""
    where = f"train_from: {giver.name}"
    if giver.train is None or giver.dev is None:
        yield f"{where} has no training and dev rows of its own"
    if not spec.searches and (giver.kind, giver.labels) != (task.kind, task.labels):
        yield f"{where} has another kind or other labels, so its head does not fit"


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _is_mapping(value: object, members: type) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(name, str) and isinstance(member, members) for name, member in value.items())
