"""Settings of phases: how they train, evaluate, encode sentences and predict transfer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from adaptstilts.study.places import Place

Precision = Literal["auto", "bf16", "fp32"]
Pooling = Literal["mean", "max", "idf", "cls", "own"]
Margin = Literal["ratio", "distance", "absolute"]
Retrieval = Literal["max", "intersect", "forward", "backward"]


class StrictModel(BaseModel):
    """Immutable; unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    _place: Place = PrivateAttr(default_factory=Place)

    @property
    def place(self) -> Place:
        """Where this was written, which does not count in comparisons; a place without keys for a default."""
        return self._place

    def set_place(self, place: Place) -> None:
        """Remember where this was written."""
        self._place = place

    def identity(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, so that a new field leaves old content keys unchanged."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_identity(cls, fields: Mapping[str, Any]) -> Self:
        """Return the settings that :meth:`identity` wrote, in this version or an earlier one."""
        return cls.model_validate_json(json.dumps(fields))


class Train(StrictModel):
    """Budget and optimisation of one training phase.

    Attributes:
        examples: training rows used, drawn once at random (seeded by the phase); None for all.
        epochs: passes over the training rows.
        max_steps: largest number of optimizer steps; None for no limit.
        steps: exact number of optimizer steps, instead of ``epochs`` and ``max_steps``; rows are repeated as often as
            needed.
        batch_size: examples per optimizer step.
        max_length: tokens per sequence, special tokens included.
        lr: peak learning rate; None takes the method's default.
        warmup: share of the steps over which the rate rises linearly; it falls linearly to zero afterwards.
        warmup_steps: number of these steps, instead of their share.
        warmup_rule: ``trainer`` starts at a rate of zero and rounds the share up, as the Trainer of Hugging Face;
            ``earlier`` starts one step later and rounds down, as version 0.1.0.
        weight_decay: decay of matrices; biases and LayerNorm weights have none.
        clip: largest norm of the gradient.
        dev_examples: rows of the English dev set used for selection; None for all.
        eval_every: steps between two evaluations on dev; None for once per epoch, or with ``steps`` for
            ``epochs`` times in all.
        patience: evaluations without gain before training stops; None to never stop early.
        keep: the weights with the ``best`` dev score, or the ``last`` ones.
        precision: ``auto`` uses bf16 autocast where the hardware has it.
        padding: ``bucket`` groups rows of similar length; ``fixed`` draws rows at random and pads to ``max_length``.
        micro_tokens: largest number of padded tokens per forward pass; larger batches are split and accumulated.
        cache: compute the frozen layers below the lowest adapter once for every row, without dropout, and keep their
            hidden states for all epochs, and for the phases after this one.
    """

    examples: int | None = Field(None, ge=1)
    epochs: int = Field(3, ge=1)
    max_steps: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    batch_size: int = Field(32, ge=1)
    max_length: int = Field(128, ge=8)
    lr: float | None = Field(None, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    warmup_steps: int | None = Field(None, ge=1)
    warmup_rule: Literal["trainer", "earlier"] = "trainer"
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    dev_examples: int | None = Field(500, ge=1)
    eval_every: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)
    keep: Literal["best", "last"] = "best"
    precision: Precision = "auto"
    padding: Literal["bucket", "fixed"] = "bucket"
    micro_tokens: int = Field(8192, ge=64)
    cache: bool = False

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.warmup_steps is not None:
            if "warmup" in self.model_fields_set:
                raise ValueError("warmup and warmup_steps both say how long the rate rises; give one of them")
            for name, limit in (("max_steps", self.max_steps), ("steps", self.steps)):
                if limit is not None and self.warmup_steps >= limit:
                    raise ValueError(
                        f"warmup_steps must be less than {name}, which is {limit}, found {self.warmup_steps}"
                    )
        if self.steps is not None and self.max_steps is not None:
            raise ValueError("steps and max_steps both set the number of steps; give one of them")
        if self.patience is not None and self.keep == "last":
            raise ValueError("patience waits for a better dev score, and keep: last does not choose by it; give one")
        return self

    @property
    def warms_up(self) -> bool:
        """Return whether the learning rate rises before it falls."""
        return self.warmup_steps is not None or self.warmup > 0

    def identity(self) -> dict[str, Any]:
        """Return the fields that differ from those of version 0.1.0, whose warm-up had no rule to name."""
        fields = super().identity()
        fields.pop("warmup_rule", None)
        if self.warms_up and self.warmup_rule == "trainer":
            fields["warmup_rule"] = "trainer"
        return fields

    @classmethod
    def from_identity(cls, fields: Mapping[str, Any]) -> Self:
        """Return the settings that :meth:`identity` wrote; a warm-up without a rule is that of version 0.1.0."""
        settings = super().from_identity(fields)
        if settings.warms_up and "warmup_rule" not in fields:
            return settings.model_copy(update={"warmup_rule": "earlier"})
        return settings


def merge_train(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return training settings of several levels as one mapping.

    Args:
        levels: the last one wins; of ``warmup`` and ``warmup_steps``, it replaces either, and so it does of ``steps``
            and ``epochs`` or ``max_steps``.
    """
    merged: dict[str, Any] = {}
    for level in levels:
        if "warmup" in level or level.get("warmup_steps") is not None:
            merged.pop("warmup", None)
            merged.pop("warmup_steps", None)
        if level.get("steps") is not None:
            merged.pop("max_steps", None)
        elif level.get("epochs") is not None or level.get("max_steps") is not None:
            merged.pop("steps", None)
        merged |= level
    return merged


class Evaluate(StrictModel):
    """What an evaluate phase reads.

    Attributes:
        split: ``test``, or ``dev``, the split that the paper reports for intermediate tasks.
        examples: rows per language, the same random subset in every run; None for all.
        max_length: tokens per sequence; None takes what the target phase was trained with.
        precision: float32 by default, so that scores hardly depend on how rows are batched.
    """

    split: Literal["test", "dev"] = "test"
    examples: int | None = Field(None, ge=1)
    max_length: int | None = Field(None, ge=8)
    precision: Precision = "fp32"


class Measure(StrictModel):
    """What running trained targets takes, measured in a fresh process each time.

    Attributes:
        rounds: how often every target is measured. Targets take turns, so that a busy machine slows all of them.
        rows: test rows that are run one by one, and then in batches.
        language: of these rows; None for the first test language.
        seconds: how long batches are run at least, after a warm-up.
        device: None for the GPU if there is one.
        threads: processor threads; None for all, or as many as ``OMP_NUM_THREADS`` says.
        precision: as of an evaluation.
    """

    rounds: int = Field(5, ge=1, exclude=True)
    rows: int = Field(64, ge=2)
    language: str | None = None
    seconds: float = Field(2.0, gt=0, le=600)
    device: Literal["cpu", "cuda"] | None = Field(None, exclude=True)
    threads: int | None = Field(None, ge=1, exclude=True)
    precision: Precision = "fp32"


class Retrieve(StrictModel):
    """How sentences are encoded for retrieval.

    Attributes:
        layer: hidden state that is pooled, 0 the embeddings; None takes two thirds of the depth.
        max_length: tokens per sentence, special tokens included.
        precision: precision of the encoder; the search itself is exact.
        layers: further hidden states to score from the same pass; ``all`` for every one.
        pooling: mean over the tokens, their maximum, their mean weighted by rarity (``idf``), the first token
            (``cls``), or the pooling that the model was trained with (``own``), at its last layer unless ``layer`` says
            otherwise.
        centering: subtract the mean vector of each side of a language.
        margin: how mining and xSIM score pairs; see ``adaptstilts guide retrieval``.
        k: neighbours on either side that the margin is computed over.
        retrieval: which choices mining takes: those of either side, of both, or of one.
        batch_tokens: padded tokens of a batch; None for the best value on the device.
        backend: name of the search backend; ``auto`` takes the fastest. Results do not depend on it.
        prefix: text put before every sentence, such as ``"query: "`` for E5 models.
        foreign_prefix: the same for foreign sentences alone; None for ``prefix``.
        english_prefix: the same for English sentences alone; None for ``prefix``.
    """

    layer: int | None = Field(None, ge=0)
    max_length: int = Field(256, ge=8)
    precision: Precision = "auto"
    layers: Literal["all"] | tuple[int, ...] | None = None
    pooling: Pooling = "mean"
    centering: bool = False
    margin: Margin = "ratio"
    k: int = Field(4, ge=1)
    retrieval: Retrieval = "max"
    batch_tokens: int | None = Field(None, ge=64, exclude=True)
    backend: str = Field("auto", exclude=True)
    prefix: str = ""
    foreign_prefix: str | None = None
    english_prefix: str | None = None

    @field_validator("layers", mode="before")
    @classmethod
    def _check_layers(cls, value: Any) -> Any:
        """Raise one message instead of one for each of the types."""
        if value in (None, "all"):
            return value
        is_list = isinstance(value, tuple | list) and len(value) > 0
        if not is_list or not all(type(number) is int and number >= 0 for number in value):
            raise ValueError("expected all, or numbers of hidden states such as [4, 6, 8]")
        return tuple(value)

    def further_layers(self, depth: int) -> tuple[int, ...]:
        """Return the hidden states that ``layers`` names, in ascending order, for an encoder with some layers."""
        if self.layers == "all":
            return tuple(range(depth + 1))
        return tuple(sorted(set(self.layers or ())))

    def with_numbered_layers(self, depth: int) -> Retrieve:
        """Return settings whose ``layers`` are numbers, so that the same layers have the same key."""
        return self.model_copy(update={"layers": self.further_layers(depth) or None})

    def prefix_of(self, side: str) -> str:
        """Return the text before the sentences of a side, which is ``foreign`` or ``english``."""
        of_side = {"foreign": self.foreign_prefix, "english": self.english_prefix}.get(side)
        return self.prefix if of_side is None else of_side

    def with_shortest_prefixes(self) -> Retrieve:
        """Return settings that say the same with as few prefixes as possible, so that they have the same key."""
        foreign, english = self.prefix_of("foreign"), self.prefix_of("english")
        if foreign == english:
            prefixes = {"prefix": foreign, "foreign_prefix": None, "english_prefix": None}
        else:
            prefixes = {"prefix": "", "foreign_prefix": foreign or None, "english_prefix": english or None}
        return self.model_copy(update=prefixes)


class PredictTransfer(StrictModel):
    """What the predictors of transfer read.

    Attributes:
        rows: training rows of each task.
        max_length: tokens per sequence, special tokens included.
    """

    rows: int = Field(512, ge=16)
    max_length: int = Field(128, ge=8)
