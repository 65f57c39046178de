"""The phases of a pretraining file: one corpus, then an encoder for each shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from adaptstilts import languages, tasks
from adaptstilts.data.sources import Split
from adaptstilts.errors import ConfigError
from adaptstilts.plan.phases import Phase
from adaptstilts.pretrain.recipe import CorpusRecipe, Recipe, Shape, TextCollection
from adaptstilts.study import near
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

EXCLUDED = "exclude {}"  # name in the data of a phase


@dataclass(frozen=True, kw_only=True)
class CorpusPhase(Phase):
    """Read, clean and tokenize the text; train the tokenizer.

    Attributes:
        recipe: languages, text, exclusions and vocabulary; the spec has its fields beside ``data``.
        data: name of what is read -> digest of its content.
        absent: evaluation sets that were not looked at, because the data does not have them.
    """

    kind: ClassVar[str] = "corpus"
    performer: ClassVar[str] = "adaptstilts.phases.corpus:corpus"
    recipe: CorpusRecipe
    data: dict[str, str]
    absent: tuple[str, ...] = field(default=(), compare=False)

    def write_fields(self) -> dict[str, Any]:
        """Return the spec without kind and version."""
        fields = {**self.recipe.identity(), "data": self.data}
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def read_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the phase that :meth:`write_fields` wrote."""
        recipe = {name: value for name, value in fields.items() if name != "data"}
        return cls(recipe=CorpusRecipe.model_validate_json(json.dumps(recipe)), data=dict(fields.get("data", {})))


@dataclass(frozen=True, kw_only=True)
class PretrainPhase(Phase):
    """Train one encoder on a corpus.

    Attributes:
        name: name of the encoder; not part of the key.
        corpus: key of the corpus phase.
        shape: what is trained, and how; without ``start``.
        positions: longest input in tokens.
        start: key of the phase whose weights are the start.
    """

    kind: ClassVar[str] = "pretrain"
    performer: ClassVar[str] = "adaptstilts.phases.pretrain:pretrain"
    name: str = field(default="", compare=False)
    corpus: str
    shape: Shape
    positions: int
    start: str | None = None

    def weight_bytes(self, shape: Mapping[str, int]) -> int:
        """Return the size of the encoder in float32, at most."""
        return self.shape.bytes


class PretrainPlan:
    """The phases of a recipe; counterpart of :class:`adaptstilts.plan.expand.Plan`.

    Attributes:
        model: None, because no phase has a base model.
        encoders: the requested phases by name; those that they start from are in :meth:`order` too.
    """

    model = None

    def __init__(self, recipe: Recipe, corpus: CorpusPhase) -> None:
        self.recipe, self.corpus = recipe, corpus
        self.encoders: dict[str, PretrainPhase] = {}
        self._phases: dict[str, PretrainPhase] = {}

    def order(self) -> list[Phase]:
        """Return every phase, the corpus first and each encoder after the one that it starts from."""
        return [self.corpus, *self._phases.values()]

    def add(self, name: str) -> PretrainPhase:
        """Return the phase of an encoder, planning it and the one that it starts from if needed."""
        if name not in self._phases:
            shape = self.recipe.encoders[name]
            start = self.add(shape.start).key if shape.start else None
            self._phases[name] = PretrainPhase(
                name=name,
                corpus=self.corpus.key,
                shape=shape.model_copy(update={"start": None}),
                positions=self.recipe.positions,
                start=start,
                title=f"pretrain {name}",
            )
        return self._phases[name]


def expand(recipe: Recipe, workspace: Workspace, names: Iterable[str] = ()) -> PretrainPlan:
    """Return the plan of a recipe.

    Args:
        recipe: from a pretraining file.
        workspace: reads the text.
        names: names of the encoders that are planned; all if empty.

    Raises:
        ConfigError: the recipe has no encoder of that name.
        DataError: text is missing or unreadable.
    """
    requested = list(names) or list(recipe.encoders)
    for name in requested:
        if name not in recipe.encoders:
            raise ConfigError(f"no encoder {name!r} in {recipe.name}{near(name, recipe.encoders)}")
    data = {str(split.source): split.digest for split in text_splits(recipe, workspace)}
    evaluation, absent = evaluation_splits(recipe, workspace)
    data |= {EXCLUDED.format(split.source): split.digest for split in evaluation}
    settings = CorpusRecipe(**{name: getattr(recipe, name) for name in CorpusRecipe.model_fields})
    corpus = CorpusPhase(recipe=settings, data=data, absent=absent, title=f"corpus of {recipe.name}")
    plan = PretrainPlan(recipe, corpus)
    plan.encoders = {name: plan.add(name) for name in requested}
    workspace.memory.save()
    return plan


def text_source(text: TextCollection, code: str) -> Source:
    """Return where a collection's text in one language is."""
    return Source(text.repo, text.configs[code], text.split)


def text_splits(recipe: CorpusRecipe, workspace: Workspace) -> list[Split]:
    """Return every split of the text, and those that say which rows are left out."""
    sources = []
    for text in recipe.text:
        sources += [text_source(text, code) for code in recipe.languages if code in text.configs]
        if text.without:
            sources.append(Source(**text.without.of.model_dump()))
    return [workspace.sources.get(source) for source in sources]


def evaluation_splits(recipe: CorpusRecipe, workspace: Workspace) -> tuple[list[Split], tuple[str, ...]]:
    """Return the dev and test splits of the excluded tasks, and the names of those that the data does not have.

    Args:
        recipe: names tasks and languages.
        workspace: reads the data.
    """
    splits: dict[str, Split] = {}
    absent: dict[str, None] = {}
    for name in recipe.exclude:
        for source in _evaluation_sources(name, recipe.languages):
            split = workspace.sources.find(source)
            if split is None:
                absent[f"{name}: {source}"] = None
            else:
                splits[str(source)] = split
    return list(splits.values()), tuple(absent)


def _evaluation_sources(name: str, codes: Iterable[str]) -> list[Source]:
    """Return where the dev and test rows of a task are, in the languages that it has, each place once."""
    task = tasks.get(name)
    sources: dict[Source, None] = {}
    for code in codes:
        if code in task.languages:
            for split in ("dev", "test"):
                if getattr(task, split) is not None:
                    sources |= dict.fromkeys(task.reads(split, languages.resolve(code)).values())
    return list(sources)
