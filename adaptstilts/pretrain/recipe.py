"""The content of a pretraining file: one corpus and tokenizer, and the encoders that are trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from adaptstilts import languages, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.study import NAME, REPO, Precision, StrictModel

LARGEST_VOCABULARY = 60_000
MAX_LENGTH = 64
POSITIONS = 256
CHECKED = "contradictions were looked for"  # as a context of pydantic: they are reported already


class RepositorySplit(StrictModel):
    """One split of a repository, as in a task's declaration."""

    repo: str = Field(pattern=REPO)
    config: str
    split: str


class RowsToLeaveOut(StrictModel):
    """Rows whose ``column`` has a value that the same column of another split has, too."""

    column: str
    of: RepositorySplit


class TextCollection(StrictModel):
    """One collection of aligned text.

    Attributes:
        repo: owner/name on the hub, or the folder of that name under a local data root.
        split: the same for every language.
        layout: ``pairs`` has a sentence and its English translation in a row; ``aligned`` has one sentence a row,
            and rows of different languages with the same key are translations of each other.
        columns: names of the sentence and its translation (``pairs``), or of the key and the sentence (``aligned``).
        configs: language -> config of the repository.
        without: rows to leave out, because an evaluation set has them.
        licence: licence of the text, for the cards of the encoders; not part of content keys.
        source: owner and origin of the text, for the cards; not part of content keys.
    """

    repo: str = Field(pattern=REPO)
    split: str
    layout: Literal["pairs", "aligned"]
    columns: tuple[str, str]
    configs: dict[str, str] = Field(min_length=1)
    without: RowsToLeaveOut | None = None
    licence: str = Field("", exclude=True)
    source: str = Field("", exclude=True)

    @field_validator("configs")
    @classmethod
    def _check_configs(cls, configs: dict[str, str]) -> dict[str, str]:
        _check_codes(configs)
        return configs


class Vocabulary(StrictModel):
    """The tokenizer: a sentencepiece unigram model.

    Attributes:
        size: number of pieces, special tokens included.
        sentences: number of sentences that it is trained on, over all languages.
        coverage: share of the characters that become pieces of their own.
    """

    size: int = Field(16_000, ge=64, le=LARGEST_VOCABULARY)
    sentences: int = Field(300_000, ge=100)
    coverage: float = Field(0.9995, gt=0.9, le=1)


class Objectives(StrictModel):
    """The share of the steps that each objective gets; shares need not add up to one.

    Attributes:
        mlm: masked tokens of running text in one language (Devlin et al. 2019, arXiv 1810.04805).
        tlm: masked tokens of a sentence beside its translation (Lample and Conneau 2019, arXiv 1901.07291).
        ranking: picking a sentence's translation among those of the batch (as in InfoXLM, arXiv 2007.07834).
    """

    mlm: float = Field(0.25, ge=0)
    tlm: float = Field(0.25, ge=0)
    ranking: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _check_shares(self) -> Objectives:
        if not self.mlm + self.tlm + self.ranking > 0:
            raise ValueError("at least one objective needs a share above 0")
        return self


class Shape(StrictModel):
    """One encoder: its shape, budget and optimisation.

    Attributes:
        hidden: hidden size; the feed-forward layers have four times as many units.
        layers: number of layers.
        heads: number of attention heads; must divide ``hidden``.
        objectives: shares of the steps.
        steps: number of optimizer steps.
        tokens: padded tokens per step, about.
        lr: peak learning rate.
        embedding_lr: learning rate of the word embeddings, as a share of ``lr``.
        warmup: share of the steps over which the rate rises linearly; it falls linearly to zero afterwards.
        weight_decay: decay of matrices.
        clip: largest norm of the gradient.
        mask: share of the tokens that MLM and TLM mask.
        temperature: temperature of the ranking loss.
        ranking_layer: hidden state that the ranking loss pools; None for the one at two thirds of the depth.
        max_length: tokens of a sentence in TLM and ranking; MLM reads runs of up to ``positions`` tokens.
        start: another encoder of the file, of the same shape, whose weights are the start; None for new ones.
        svd: start new embeddings from the text's singular vectors; if false, at random.
        precision: ``auto`` uses bf16 autocast if the hardware supports it.
        seed: seed of weights, batches and masks.
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
    max_length: int = Field(MAX_LENGTH, ge=8)
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


class CorpusRecipe(StrictModel):
    """The text of the corpus and the tokenizer of a family of encoders.

    Attributes:
        languages: codes; English must be among them.
        text: aligned collections.
        exclude: tasks none of whose evaluation sentences may be in the text.
        held_out: groups of ``pairs`` text per language that are set aside, to choose a layer; at most a tenth of them.
        positions: longest input of the encoders, in tokens.
        vocabulary: settings of the tokenizer.
    """

    languages: tuple[str, ...] = Field(min_length=2)
    text: tuple[TextCollection, ...] = Field(min_length=1)
    exclude: tuple[str, ...] = ()
    held_out: int = Field(150, ge=0)
    positions: int = Field(POSITIONS, ge=16)
    vocabulary: Vocabulary = Vocabulary()

    @field_validator("languages")
    @classmethod
    def _check_languages(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        _check_codes(codes)
        if "en" not in codes or len(set(codes)) != len(codes):
            raise ValueError("expected distinct codes with en among them")
        return codes

    @field_validator("exclude")
    @classmethod
    def _check_tasks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                tasks.get(name)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return names


class Recipe(CorpusRecipe):
    """A family of encoders with one corpus and one tokenizer.

    Attributes:
        name: name of the family.
        encoders: name -> shape.
    """

    name: str = Field(pattern=NAME)
    encoders: dict[Annotated[str, Field(pattern=NAME)], Shape] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_combinations(self, info: ValidationInfo) -> Recipe:
        if info.context != CHECKED:
            lines = [f"{'.'.join(keys)}: {message}" for keys, message in contradictions(self.model_dump())]
            if lines:
                raise ValueError("; ".join(lines))
        return self


def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every combination of settings that is wrong, as its key and what was expected.

    Args:
        data: a recipe as plain values; what is missing or of another type is passed over.
    """
    encoders = data.get("encoders")
    earlier: dict[str, Mapping[str, Any]] = {}
    for name, shape in encoders.items() if isinstance(encoders, Mapping) else ():
        if isinstance(shape, Mapping):
            for key, message in _shape_contradictions(shape, data.get("positions", POSITIONS), earlier):
                yield ("encoders", str(name), key), message
            earlier[name] = shape


def _shape_contradictions(
    shape: Mapping[str, Any], positions: object, earlier: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the wrong combinations of one encoder, as key and message.

    Args:
        shape: shape of the encoder, as plain values.
        positions: positions of the recipe.
        earlier: the encoders above it in the file.
    """
    hidden, heads, layers = shape.get("hidden"), shape.get("heads"), shape.get("layers")
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0 and hidden % heads:
        yield "heads", f"hidden {hidden} cannot be divided among {heads} heads"
    ranking_layer = shape.get("ranking_layer")
    if isinstance(ranking_layer, int) and isinstance(layers, int) and ranking_layer > layers:
        yield "ranking_layer", f"{ranking_layer} is above the {layers} layers"
    max_length = shape.get("max_length", MAX_LENGTH)
    if isinstance(max_length, int) and isinstance(positions, int) and max_length > positions:
        yield "max_length", f"max_length {max_length} is above positions {positions}"
    start = shape.get("start")
    if not isinstance(start, str):
        return
    if start not in earlier:
        yield "start", f"{start!r} is not an encoder above it in the file"
    elif any(earlier[start].get(key) != shape.get(key) for key in ("hidden", "layers", "heads")):
        yield "start", f"{start!r} has another shape"


def _check_codes(codes: Iterable[str]) -> None:
    """Raise ValueError if a language is unknown, or spelled otherwise than in the table of languages."""
    for code in codes:
        try:
            proper = languages.resolve(code).code
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if proper != code:
            raise ValueError(f"{code}: write {proper}")
