"""Aligned text as groups of translations, freed of every sentence that is evaluated somewhere."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptstilts.data import file_formats
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.pretrain.recipe import EXCLUDED, CorpusPhase, Text, evaluation_splits
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
        rows: rows read, by collection.
        removed: sentences that an evaluation set has, by language.
        dropped: sentences left out for another reason, by reason: ``length`` (empty or too long), ``evaluated
            translation`` (its translation was removed), ``repeated`` (a second translation of the same English
            sentence), ``held out`` (its group is kept aside for another language).
    """

    groups: list[Group] = field(default_factory=list)
    held_out: list[Group] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


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
        DataError: a column is missing, no text is left, or the files are not those that the phase's key was made from.
    """
    return _Reader(phase, workspace).read()


class _Reader:
    def __init__(self, phase: CorpusPhase, workspace: Workspace) -> None:
        self.phase, self.recipe, self.workspace = phase, phase.recipe, workspace
        self.corpus = Corpus()
        self.evaluated = self._evaluated()

    def read(self) -> Corpus:
        """Collect the groups: pairs with the same English sentence become one, aligned text keeps its order."""
        corpus, paired = self.corpus, dict[str, Group]()
        for text in self.recipe.text:
            for group in self._pairs(text) if text.layout == "pairs" else self._aligned(text):
                kept = self._kept(group)
                if not kept:
                    continue
                if text.layout == "aligned":
                    corpus.groups.append(kept)
                    continue
                known = paired.setdefault(fingerprint(kept["en"]), {})
                if not known:
                    corpus.groups.append(known)
                corpus.dropped["repeated"] += len(known.keys() & kept.keys() - {"en"})
                known |= {code: sentence for code, sentence in kept.items() if code not in known}
        self._hold_out({id(group) for group in paired.values()})
        if not corpus.groups:
            raise DataError(f"{self.phase.title}: no text is left; see the text and exclude sections of the file")
        return corpus

    def _split(self, source: Source, name: str = "{}") -> Split:
        split = self.workspace.sources.get(source)
        if self.phase.data.get(name.format(source)) != split.digest:
            raise DataError(f"{source}: the files changed since the plan was made; run the command again")
        return split

    def _pairs(self, text: Text) -> Iterator[Group]:
        for code, (first, second) in self._rows(text):
            group = {code: clean(first), "en": clean(second)}
            if all(self._fits(sentence) for sentence in group.values()):
                yield group

    def _aligned(self, text: Text) -> Iterable[Group]:
        groups: dict[str, Group] = defaultdict(dict)
        for code, (key, sentence) in self._rows(text):
            if self._fits(clean(sentence)):
                groups[key][code] = clean(sentence)
        return groups.values()

    def _fits(self, sentence: str) -> bool:
        fits = 0 < len(sentence) <= LONGEST
        self.corpus.dropped["length"] += not fits
        return fits

    def _rows(self, text: Text) -> Iterator[tuple[str, tuple[str, str]]]:
        barred = self._barred(text)
        for code in self.recipe.languages:
            if code in text.configs:
                split = self._split(Source(text.repo, text.configs[code], text.split))
                for row in _texts_of(split, text, barred):
                    self.corpus.rows[text.repo] += 1
                    yield code, row

    def _barred(self, text: Text) -> frozenset[Any]:
        if text.without is None:
            return frozenset()
        column, split = text.without.column, self._split(Source(**text.without.of.model_dump()))
        return frozenset(value for path, table in _tables(split) for (value,) in _cells(path, table, [column]))

    def _kept(self, group: Group) -> Group:
        """A group without its evaluated sentences; empty when the English one or all translations are among them.

        The translation of an evaluated English sentence would give its meaning away, hence the whole group goes.
        """
        kept = {code: sentence for code, sentence in group.items() if fingerprint(sentence) not in self.evaluated}
        self.corpus.removed.update(group.keys() - kept.keys())
        if len(kept) < len(group) and (len(kept) < 2 or ("en" in group and "en" not in kept)):
            self.corpus.dropped["evaluated translation"] += len(kept)
            return {}
        return kept

    def _evaluated(self) -> frozenset[str]:
        """Fingerprints of all evaluated sentences. Languages are not told apart: a match in any counts for all."""
        seen: set[str] = set()
        for split in evaluation_splits(self.recipe, self.workspace)[0]:
            self._split(split.source, EXCLUDED)
            for _, table in _tables(split):
                for column in table.column_names:
                    flat = str(table[column].type) in ("string", "large_string")
                    for value in (table[column].unique() if flat else table[column]).to_pylist():
                        for text in _texts(value):
                            seen.add(fingerprint(text))
                            seen |= {part for part in map(fingerprint, _ENDS.split(text)) if len(part) > 3}
        return frozenset(seen - {""})

    def _hold_out(self, candidates: set[int]) -> None:
        """Move groups of ``pairs`` text aside: ``held_out`` a language, a tenth of a language's groups at most."""
        corpus, places = self.corpus, defaultdict[str, list[int]](list)
        for i, group in enumerate(corpus.groups):
            if id(group) in candidates:
                for code in group.keys() - {"en"}:
                    places[code].append(i)
        chosen: dict[int, set[str]] = defaultdict(set)
        for code, at in sorted(places.items()):
            for i in random.Random(f"held-out-{code}").sample(at, min(self.recipe.held_out, len(at) // 10)):
                chosen[i].add(code)
        for i, codes in sorted(chosen.items()):
            group = corpus.groups[i]
            corpus.held_out.append({code: group[code] for code in ("en", *sorted(codes))})
            corpus.dropped["held out"] += len(group) - 1 - len(codes)
        corpus.groups = [group for i, group in enumerate(corpus.groups) if i not in chosen]


def _texts_of(split: Split, text: Text, barred: frozenset[Any]) -> Iterator[tuple[str, str]]:
    """The two columns of a collection, without the rows to leave out."""
    columns = [*text.columns, *([text.without.column] if text.without else [])]
    sentences = (0, 1) if text.layout == "pairs" else (1,)
    for path, table in _tables(split):
        for number, values in enumerate(_cells(path, table, columns)):
            for i in sentences:
                if not isinstance(values[i], str):
                    raise DataError(f"{path}: row {number}: {columns[i]}: expected text, found {values[i]!r}")
            if len(values) < 3 or values[2] not in barred:
                yield str(values[0]), values[1]


def _tables(split: Split) -> Iterator[tuple[Path, Any]]:
    """Every file of a split and of what follows it, with all its rows."""
    for part in split.parts:
        for path in part.files:
            yield path, file_formats.read([path], part.source.format)[0]


def _cells(path: Path, table: Any, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for column in columns:
        if column not in table.column_names:
            raise DataError(f"{path}: no column {column!r}; found {', '.join(table.column_names)}")
    return zip(*(table[column].to_pylist() for column in columns), strict=True)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a cell; a list of words is one text."""
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
            if isinstance(item, list | dict):
                yield from _texts(item)
