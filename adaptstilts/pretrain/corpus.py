"""Aligned text as groups of translations, without sentences of evaluation sets."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.pretrain.evaluated import evaluated_fingerprints, fingerprint
from adaptstilts.pretrain.plan import EXCLUDED, CorpusPhase, evaluation_splits, text_source
from adaptstilts.pretrain.recipe import TextCollection
from adaptstilts.pretrain.tables import cells, tables_of
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

Group = dict[str, str]
MAX_CHARACTERS = 2000  # of a sentence
_BLANKS = re.compile(r"\s+")


@dataclass
class Corpus:
    """Groups of translations: language -> sentence. Groups of running text keep their order.

    Attributes:
        groups: for training.
        held_out: set aside; every one has English and at least one other language.
        rows: number of rows read, by collection.
        removed: number of sentences that an evaluation set has, by language.
        dropped: number of sentences left out for another reason, by reason: ``length`` (empty or too long),
            ``evaluated translation`` (its translation was removed), ``repeated`` (a second translation of the same
            English sentence), ``held out`` (its group is set aside for another language).
    """

    groups: list[Group] = field(default_factory=list)
    held_out: list[Group] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def clean(text: str) -> str:
    """Return a text in NFKC with single blanks, as the tokenizer reads it."""
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", text)).strip()


def read(phase: CorpusPhase, workspace: Workspace) -> Corpus:
    """Read, clean and filter everything that a recipe names.

    Args:
        phase: names the text, and the digests of its files.
        workspace: reads the files.

    Raises:
        DataError: a column is missing, no text is left, or the files are not those that the phase's key depends on.
    """
    return _CorpusReader(phase, workspace).read()


class _CorpusReader:
    """Reads the collections of a recipe into one corpus."""

    def __init__(self, phase: CorpusPhase, workspace: Workspace) -> None:
        self.phase, self.recipe, self.workspace = phase, phase.recipe, workspace
        self.corpus = Corpus()
        self.paired: dict[str, Group] = {}  # fingerprint of the English sentence -> group of ``pairs`` text
        self.evaluated = self._evaluated()

    def read(self) -> Corpus:
        """Collect the groups: pairs with the same English sentence become one, aligned text keeps its order."""
        for text in self.recipe.text:
            is_aligned = text.layout == "aligned"
            for group in self._aligned(text) if is_aligned else self._pairs(text):
                remaining = self._without_evaluated(group)
                if remaining and is_aligned:
                    self.corpus.groups.append(remaining)
                elif remaining:
                    self._add_pair(remaining)
        self._hold_out()
        if not self.corpus.groups:
            raise DataError(f"{self.phase.title}: no text is left; see the text and exclude sections of the file")
        return self.corpus

    def _add_pair(self, pair: Group) -> None:
        """Add the sentences of a pair to the group of its English sentence, unless the group has that language."""
        group = self.paired.setdefault(fingerprint(pair["en"]), {})
        if not group:
            self.corpus.groups.append(group)
        self.corpus.dropped["repeated"] += len(group.keys() & pair.keys() - {"en"})
        for code, sentence in pair.items():
            group.setdefault(code, sentence)

    def _split(self, source: Source, name: str = "{}") -> Split:
        """Return a split whose content is the one that the phase's key depends on.

        Args:
            source: source of the split.
            name: form of its name in the phase's data.

        Raises:
            DataError: the content is another one.
        """
        split = self.workspace.sources.get(source)
        if self.phase.data.get(name.format(source)) != split.digest:
            raise DataError(f"{source}: the files changed since the plan was made; run the command again")
        return split

    def _pairs(self, text: TextCollection) -> Iterator[Group]:
        """Yield a sentence and its English translation for every row."""
        for code, (first, second) in self._rows(text):
            group = {code: clean(first), "en": clean(second)}
            if all(self._has_valid_length(sentence) for sentence in group.values()):
                yield group

    def _aligned(self, text: TextCollection) -> Iterable[Group]:
        """Return the sentences of all languages by their keys, in order."""
        groups: dict[str, Group] = defaultdict(dict)
        for code, (key, sentence) in self._rows(text):
            cleaned = clean(sentence)
            if self._has_valid_length(cleaned):
                groups[key][code] = cleaned
        return groups.values()

    def _has_valid_length(self, sentence: str) -> bool:
        """Return whether a sentence is neither empty nor too long, and count it if it is."""
        is_valid = 0 < len(sentence) <= MAX_CHARACTERS
        self.corpus.dropped["length"] += not is_valid
        return is_valid

    def _rows(self, text: TextCollection) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield the language and the two columns of every row that is not to be left out."""
        left_out = self._left_out_values(text)
        for code in self.recipe.languages:
            if code in text.configs:
                for row in _columns(self._split(text_source(text, code)), text, left_out):
                    self.corpus.rows[text.repo] += 1
                    yield code, row

    def _left_out_values(self, text: TextCollection) -> frozenset[Any]:
        """Return the values of the column by which rows are left out."""
        if text.without is None:
            return frozenset()
        values: set[Any] = set()
        split = self._split(Source(**text.without.of.model_dump()))
        for path, table in tables_of(split):
            values |= {value for (value,) in cells(path, table, [text.without.column])}
        return frozenset(values)

    def _without_evaluated(self, group: Group) -> Group:
        """Return a group without its evaluated sentences; empty if English or all translations are among them.

        The translation of an evaluated English sentence would give its meaning away, so the whole group is left out.
        """
        remaining = {code: text for code, text in group.items() if fingerprint(text) not in self.evaluated}
        self.corpus.removed.update(group.keys() - remaining.keys())
        has_lost_english = "en" in group and "en" not in remaining
        if len(remaining) < len(group) and (len(remaining) < 2 or has_lost_english):
            self.corpus.dropped["evaluated translation"] += len(remaining)
            return {}
        return remaining

    def _evaluated(self) -> frozenset[str]:
        """Return the fingerprints of all sentences in evaluation sets."""
        splits = evaluation_splits(self.recipe, self.workspace)[0]
        for split in splits:
            self._split(split.source, EXCLUDED)
        return evaluated_fingerprints(splits)

    def _hold_out(self) -> None:
        """Set groups of ``pairs`` text aside: ``held_out`` for each language, at most a tenth of what it has."""
        corpus, chosen = self.corpus, self._choose_held_out()
        for i, codes in sorted(chosen.items()):
            group = corpus.groups[i]
            corpus.held_out.append({code: group[code] for code in ("en", *sorted(codes))})
            corpus.dropped["held out"] += len(group) - 1 - len(codes)
        corpus.groups = [group for i, group in enumerate(corpus.groups) if i not in chosen]

    def _choose_held_out(self) -> dict[int, set[str]]:
        """Return the numbers of the groups to set aside, and the languages that each is set aside for."""
        candidates = {id(group) for group in self.paired.values()}
        places: dict[str, list[int]] = defaultdict(list)
        for i, group in enumerate(self.corpus.groups):
            if id(group) in candidates:
                for code in group.keys() - {"en"}:
                    places[code].append(i)
        chosen: dict[int, set[str]] = defaultdict(set)
        for code, numbers in sorted(places.items()):
            count = min(self.recipe.held_out, len(numbers) // 10)
            for i in random.Random(f"held-out-{code}").sample(numbers, count):
                chosen[i].add(code)
        return chosen


def _columns(split: Split, text: TextCollection, left_out: frozenset[Any]) -> Iterator[tuple[str, str]]:
    """Yield the two columns of a collection, without the rows to leave out.

    Args:
        split: split of one language.
        text: names the columns.
        left_out: values of the column by which rows are left out.

    Raises:
        DataError: a sentence is no text.
    """
    columns = [*text.columns, *([text.without.column] if text.without else [])]
    sentences = (0, 1) if text.layout == "pairs" else (1,)
    for path, table in tables_of(split):
        for number, values in enumerate(cells(path, table, columns)):
            for i in sentences:
                if not isinstance(values[i], str):
                    raise DataError(f"{path}: row {number}: {columns[i]}: expected text, found {values[i]!r}")
            if len(values) < 3 or values[2] not in left_out:
                yield str(values[0]), values[1]
