"""What a pretraining file says, and the phases that it expands into: one corpus, then an encoder for each size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from adaptstilts import languages, tasks
from adaptstilts.data.sources import Split
from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.plan.phases import Phase
from adaptstilts.study import (
    NAME,
    REPO,
    Origin,
    Place,
    Precision,
    Problems,
    StrictModel,
    as_tuples,
    explain,
    near,
    override_key,
    read_text,
    split_override,
)
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

LARGEST_VOCABULARY = 60_000
EXCLUDED = "exclude {}"


class SplitPlace(StrictModel):
    """One split of a repository, as in a task's declaration."""

    repo: str = Field(pattern=REPO)
    config: str
    split: str


class Without(StrictModel):
    """Rows to leave out: those whose ``column`` holds a value of the same column of another split."""

    column: str
    of: SplitPlace


class Text(StrictModel):
    """One collection of aligned text.

    Attributes:
        repo: owner/name on the hub, or the folder of that name under a local data root.
        split: the same for every language.
        layout: ``pairs`` has a sentence and its English translation in a row; ``aligned`` has one sentence a row,
            and rows of different languages with the same key are translations of each other.
        columns: of the sentence and its translation (``pairs``), or of the key and the sentence (``aligned``).
        configs: language -> config of the repository.
        without: rows to leave out, because an evaluation set has them.
        licence: of the text, for the cards of the encoders; not part of content keys.
        source: whose it is and where it is from, for the cards; not part of content keys.
    """

    repo: str = Field(pattern=REPO)
    split: str
    layout: Literal["pairs", "aligned"]
    columns: tuple[str, str]
    configs: dict[str, str] = Field(min_length=1)
    without: Without | None = None
    licence: str = Field("", exclude=True)
    source: str = Field("", exclude=True)

    @field_validator("configs")
    @classmethod
    def _codes(cls, configs: dict[str, str]) -> dict[str, str]:
        _check_codes(configs)
        return configs


class Vocabulary(StrictModel):
    """The tokenizer: a sentencepiece unigram model.

    Attributes:
        size: pieces, special tokens included.
        sentences: drawn for its training, over all languages.
        coverage: share of the characters that become pieces of their own.
    """

    size: int = Field(16_000, ge=64, le=LARGEST_VOCABULARY)
    sentences: int = Field(300_000, ge=100)
    coverage: float = Field(0.9995, gt=0.9, le=1)


class Objectives(StrictModel):
    """Share of the steps that each objective gets; they need not add up to one.

    Attributes:
        mlm: masked tokens of running text in one language (Devlin et al. 2019, arXiv 1810.04805).
        tlm: masked tokens of a sentence beside its translation (Lample and Conneau 2019, arXiv 1901.07291).
        ranking: a sentence finds its translation among those of the batch (as in InfoXLM, arXiv 2007.07834).
    """

    mlm: float = Field(0.25, ge=0)
    tlm: float = Field(0.25, ge=0)
    ranking: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _some(self) -> Objectives:
        if not self.mlm + self.tlm + self.ranking > 0:
            raise ValueError("at least one objective needs a share above 0")
        return self


class Shape(StrictModel):
    """One encoder: its shape, budget and optimisation.

    Attributes:
        hidden: hidden size; the feed-forward layers have four times as many units.
        layers: number of layers.
        heads: attention heads; must divide ``hidden``.
        objectives: shares of the steps.
        steps: optimizer steps.
        tokens: padded tokens per step, about.
        lr: peak learning rate.
        embedding_lr: that of the embeddings, as a share of ``lr``.
        warmup: share of the steps over which the rate rises linearly; it falls linearly to zero afterwards.
        weight_decay: of matrices.
        clip: largest norm of the gradient.
        mask: share of the tokens that MLM and TLM ask for.
        temperature: of the ranking loss.
        ranking_layer: hidden state that the ranking loss pools; None takes two thirds of the depth.
        max_length: tokens of a sentence in TLM and ranking; MLM reads runs of up to ``positions`` tokens.
        start: another encoder of the file, of the same shape, whose weights are the start; None for new ones.
        svd: whether new embeddings start from the text's singular vectors, else at random.
        precision: ``auto`` uses bf16 autocast where the hardware has it.
        seed: of weights, batches and masks.
    """

    hidden: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    objectives: Objectives = Objectives()
    steps: int = Field(ge=1)
    tokens: int = Field(6144, ge=256)
    lr: float = Field(1e-3, gt=0)
    embedding_lr: float = Field(0.3, gt=0, le=1)
    warmup: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    mask: float = Field(0.15, gt=0, lt=1)
    temperature: float = Field(0.05, gt=0)
    ranking_layer: int | None = Field(None, ge=0)
    max_length: int = Field(64, ge=8)
    start: str | None = None
    svd: bool = True
    precision: Precision = "auto"
    seed: int = 1

    @property
    def middle(self) -> int:
        """The hidden state that the ranking loss pools."""
        return round(self.layers * 2 / 3) if self.ranking_layer is None else self.ranking_layer

    @property
    def bytes(self) -> int:
        """Size of the weights in float32, at most."""
        return 4 * (LARGEST_VOCABULARY * self.hidden + 12 * self.layers * self.hidden**2)

    @model_validator(mode="after")
    def _fits(self) -> Shape:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} cannot be divided among {self.heads} heads")
        if self.ranking_layer is not None and self.ranking_layer > self.layers:
            raise ValueError(f"ranking_layer {self.ranking_layer} is above the {self.layers} layers")
        return self


class CorpusRecipe(StrictModel):
    """What the corpus and the tokenizer of a family of encoders are made from.

    Attributes:
        languages: codes; English must be among them.
        text: aligned collections.
        exclude: tasks none of whose evaluation sentences may be in the text.
        held_out: groups of ``pairs`` text per language kept for choosing a layer, a tenth of them at most.
        positions: longest input of the encoders, in tokens.
        vocabulary: of the tokenizer.
    """

    languages: tuple[str, ...] = Field(min_length=2)
    text: tuple[Text, ...] = Field(min_length=1)
    exclude: tuple[str, ...] = ()
    held_out: int = Field(150, ge=0)
    positions: int = Field(256, ge=16)
    vocabulary: Vocabulary = Vocabulary()

    @field_validator("languages")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        _check_codes(codes)
        if "en" not in codes or len(set(codes)) != len(codes):
            raise ValueError("expected distinct codes with en among them")
        return codes

    @field_validator("exclude")
    @classmethod
    def _tasks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                tasks.get(name)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return names


class Recipe(CorpusRecipe):
    """A family of encoders with one corpus and one tokenizer.

    Attributes:
        name: of the family.
        encoders: name -> shape.
    """

    name: str = Field(pattern=NAME)
    encoders: dict[Annotated[str, Field(pattern=NAME)], Shape] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        for name, shape in self.encoders.items():
            if shape.max_length > self.positions:
                raise ValueError(f"encoders.{name}.max_length {shape.max_length} is above positions {self.positions}")
        names = list(self.encoders)
        for name, shape in self.encoders.items():
            if shape.start is None:
                continue
            if shape.start not in names[: names.index(name)]:
                raise ValueError(f"encoders.{name}.start: {shape.start!r} is no encoder above it in the file")
            start = self.encoders[shape.start]
            if (start.hidden, start.layers, start.heads) != (shape.hidden, shape.layers, shape.heads):
                raise ValueError(f"encoders.{name}.start: {shape.start!r} has another shape")
        return self


def _check_codes(codes: Iterable[str]) -> None:
    """Refuse unknown languages, and other names of known ones."""
    for code in codes:
        try:
            proper = languages.resolve(code).code
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if proper != code:
            raise ValueError(f"{code}: write {proper}")


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
        name: of the encoder; not part of the key.
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
    """The phases of a recipe: see ``plan.Plan``, of which this is the small sister.

    Attributes:
        encoders: the phases asked for, by name; what they start from is in ``order()`` too.
    """

    model = None

    def __init__(self, recipe: Recipe, corpus: CorpusPhase) -> None:
        self.recipe, self.corpus = recipe, corpus
        self.encoders: dict[str, PretrainPhase] = {}
        self._made: dict[str, PretrainPhase] = {}

    def order(self) -> list[Phase]:
        """The corpus first, starts before what starts from them."""
        return [self.corpus, *self._made.values()]

    def add(self, name: str) -> PretrainPhase:
        """The phase of an encoder, after the one that it starts from."""
        if name not in self._made:
            shape = self.recipe.encoders[name]
            start = self.add(shape.start).key if shape.start else None
            self._made[name] = PretrainPhase(
                name=name,
                corpus=self.corpus.key,
                shape=shape.model_copy(update={"start": None}),
                positions=self.recipe.positions,
                start=start,
                title=f"pretrain {name}",
            )
        return self._made[name]


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a pretraining file and apply ``key.path=value`` overrides.

    Raises:
        ConfigError: names file, line and key of every mistake found.
    """
    document = yaml.parse(read_text(path, "pretraining"), str(path))
    origin, problems = Origin(str(path), document.lines), Problems()
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys {', '.join(Recipe.model_fields)}")
    for override in overrides:
        keys = override_key(data, *split_override(override), override, Recipe.model_fields)
        origin.overrides.append((keys, override))
    try:
        return Recipe.model_validate(as_tuples(data))
    except ValidationError as error:
        explain(error, Recipe, Place(origin), problems)
    raise ConfigError("\n".join(problems.lines()))


def expand(recipe: Recipe, workspace: Workspace, names: Iterable[str] = ()) -> PretrainPlan:
    """The phases of a recipe, all encoders or those named.

    Raises:
        ConfigError: no encoder of that name.
        DataError: text that is missing or unreadable.
    """
    wanted = list(names) or list(recipe.encoders)
    for name in wanted:
        if name not in recipe.encoders:
            raise ConfigError(f"no encoder {name!r} in {recipe.name}{near(name, recipe.encoders)}")
    data = {str(s.source): s.digest for s in text_splits(recipe, workspace)}
    evaluation, absent = evaluation_splits(recipe, workspace)
    data |= {EXCLUDED.format(s.source): s.digest for s in evaluation}
    settings = CorpusRecipe(**{name: getattr(recipe, name) for name in CorpusRecipe.model_fields})
    corpus = CorpusPhase(recipe=settings, data=data, absent=absent, title=f"corpus of {recipe.name}")
    plan = PretrainPlan(recipe, corpus)
    plan.encoders = {name: plan.add(name) for name in wanted}
    workspace.memory.save()
    return plan


def text_splits(recipe: CorpusRecipe, workspace: Workspace) -> list[Split]:
    """Every split of the text, and of what rows are left out by."""
    found = []
    for text in recipe.text:
        chosen = [code for code in recipe.languages if code in text.configs]
        found += [workspace.sources.get(Source(text.repo, text.configs[code], text.split)) for code in chosen]
        if text.without:
            found.append(workspace.sources.get(Source(**text.without.of.model_dump())))
    return found


def evaluation_splits(recipe: CorpusRecipe, workspace: Workspace) -> tuple[list[Split], tuple[str, ...]]:
    """Dev and test splits of the excluded tasks in the recipe's languages, and those the data does not have."""
    found: dict[str, Split] = {}
    absent: list[str] = []
    for name in recipe.exclude:
        task = tasks.get(name)
        wanted = [code for code in recipe.languages if code in task.languages]
        held = [split for split in ("dev", "test") if getattr(task, split) is not None]
        places = [
            place for code in wanted for split in held for place in task.reads(split, languages.resolve(code)).values()
        ]
        for place in dict.fromkeys(places):
            split = workspace.sources.find(place)
            if split is None:
                absent.append(f"{name}: {place}")
            else:
                found[str(place)] = split
    return list(found.values()), tuple(dict.fromkeys(absent))
