"""Aligned text as groups of translations, freed of every sentence that is evaluated somewhere."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.pretrain.recipe import CorpusPhase, Recipe, Text, evaluation_splits
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

Group = dict[str, str]
_BLANK = re.compile(r"\s+")
_ENDS = re.compile(r"(?<=[.!?。！？؟।])\s*")
LONGEST = 2000


@dataclass
class Corpus:
    """Groups of translations: language -> sentence. Groups of running text keep their order.

    Attributes:
        groups: for training.
        held_out: kept aside; every one has English and one other language at least.
        removed: sentences removed by exact match with an evaluated one, by language.
        rows: rows read, by collection.
    """

    groups: list[Group] = field(default_factory=list)
    held_out: list[Group] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)


def clean(text: str) -> str:
    """NFKC, with single blanks: what the tokenizer does to its input as well."""
    return _BLANK.sub(" ", unicodedata.normalize("NFKC", text)).strip()


class _Silent(dict[int, str | None]):
    """For ``str.translate``: drops punctuation, blanks, symbols and controls; filled as characters come up."""

    def __missing__(self, code: int) -> str | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "PZSC" else chr(code)
        return self[code]


_SILENT = _Silent()


def fingerprint(text: str) -> str:
    """A sentence without case, punctuation and blanks: equal for what counts as the same sentence."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_SILENT)


def read(phase: CorpusPhase, workspace: Workspace) -> Corpus:
    """Read everything that a recipe names.

    Raises:
        DataError: a column is missing, or no text is left.
    """
    recipe, corpus = phase.recipe, Corpus()
    evaluated = _evaluated(recipe, workspace)
    paired: dict[str, Group] = {}
    for text in recipe.text:
        for group in _groups(text, recipe, workspace, corpus.rows):
            kept = _kept(group, evaluated, corpus.removed)
            if len(kept) < 2 and (len(kept) < len(group) or not kept):
                continue
            if text.layout == "pairs":
                known = paired.setdefault(fingerprint(kept["en"]), {}) if "en" in kept else {}
                if not known:
                    corpus.groups.append(known)
                for code, sentence in kept.items():
                    known.setdefault(code, sentence)
            else:
                corpus.groups.append(kept)
    _hold_out(corpus, recipe, {id(group) for group in paired.values()})
    if not corpus.groups:
        raise DataError(f"{recipe.name}: no text is left; see the text and exclude sections of the file")
    return corpus


def _groups(text: Text, recipe: Recipe, workspace: Workspace, rows: Counter[str]) -> Iterator[Group]:
    barred = _barred(text, workspace)
    aligned: dict[str, Group] = defaultdict(dict)
    for code in recipe.languages:
        if code not in text.configs:
            continue
        split = workspace.sources.get(Source(text.repo, text.configs[code], text.split))
        for row in _rows(split, text, barred):
            rows[text.repo] += 1
            first, second = row
            if text.layout == "pairs":
                group = {code: clean(first), "en": clean(second)}
                if all(0 < len(sentence) <= LONGEST for sentence in group.values()):
                    yield group
            elif 0 < len(clean(second)) <= LONGEST:
                aligned[first][code] = clean(second)
    yield from aligned.values()


def _rows(split: Split, text: Text, barred: frozenset[Any]) -> Iterator[tuple[str, str]]:
    wanted = [*text.columns, *([text.without.column] if text.without else [])]
    for path in split.files:
        table = pq.read_table(path)
        for column in wanted:
            if column not in table.column_names:
                raise DataError(f"{path}: no column {column!r}; found {', '.join(table.column_names)}")
        for values in zip(*(table[column].to_pylist() for column in wanted), strict=True):
            if len(values) == 3 and values[2] in barred:
                continue
            if not isinstance(values[1], str) or values[0] is None:
                raise DataError(f"{path}: expected text in {text.columns[1]!r}, found {values[1]!r}")
            yield str(values[0]), values[1]


def _barred(text: Text, workspace: Workspace) -> frozenset[Any]:
    if text.without is None:
        return frozenset()
    found: set[Any] = set()
    for path in workspace.sources.get(Source(**text.without.of.model_dump())).files:
        found |= set(pq.read_table(path)[text.without.column].to_pylist())
    return frozenset(found)


def _kept(group: Group, evaluated: Mapping[str, frozenset[str]], removed: Counter[str]) -> Group:
    """A group without its evaluated sentences; empty when the English one is among them.

    The translation of an evaluated English sentence would give its meaning away, hence the whole group goes.
    """
    kept = {}
    for code, sentence in group.items():
        if fingerprint(sentence) in evaluated.get(code, ()):
            removed[code] += 1
        else:
            kept[code] = sentence
    return kept if "en" not in group or "en" in kept else {}


def _evaluated(recipe: Recipe, workspace: Workspace) -> dict[str, frozenset[str]]:
    """Fingerprints of all evaluated sentences. A language is not told apart: a match in any counts for all."""
    seen: set[str] = set()
    for split in evaluation_splits(recipe, workspace)[0]:
        for path in split.files:
            table = pq.read_table(path)
            for column in table.column_names:
                for value in table[column].unique().to_pylist() if _flat(table[column]) else table[column].to_pylist():
                    for text in _texts(value):
                        seen |= {fingerprint(part) for part in (text, *_ENDS.split(text))}
    seen = {text for text in seen if len(text) > 3}
    return dict.fromkeys(recipe.languages, frozenset(seen))


def _flat(column: Any) -> bool:
    return str(column.type) in ("string", "large_string")


def _texts(value: Any) -> Iterable[str]:
    """Every text in a cell; the words of a tagged sentence as one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        words = [item for item in value if isinstance(item, str)]
        if words:
            yield " ".join(words)
        for item in value:
            if not isinstance(item, int | float):
                yield from _texts(item)


def _hold_out(corpus: Corpus, recipe: Recipe, candidates: set[int]) -> None:
    """Move groups of ``pairs`` text aside: ``held_out`` per language, a tenth of a language's groups at most."""
    places: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(corpus.groups):
        if id(group) in candidates:
            for code in group:
                if code != "en":
                    places[code].append(i)
    chosen: dict[int, set[str]] = defaultdict(set)
    for code, at in sorted(places.items()):
        for i in random.Random(f"held-out-{code}").sample(at, min(recipe.held_out, len(at) // 10)):
            chosen[i].add(code)
    corpus.held_out = [{c: corpus.groups[i][c] for c in ("en", *sorted(codes))} for i, codes in sorted(chosen.items())]
    corpus.groups = [group for i, group in enumerate(corpus.groups) if i not in chosen and group]
