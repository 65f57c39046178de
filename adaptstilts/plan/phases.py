"""Phases as data: immutable specs of one unit of work, each with a content key.

The key of a phase is the sha256 of the canonical JSON of its spec: what is computed, on which data, from which
parents. No path, host or log setting is in it. ``kind`` and ``version`` are written out in every phase class, so that
a class can be renamed; a version is raised when the meaning of its kind changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from adaptstilts.io import hashing
from adaptstilts.methods import Method, fusion
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.models.locate import Fingerprint
from adaptstilts.store import entries
from adaptstilts.study import Evaluate, Foresee, Masked, Mixture, Retrieve, Train


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One unit of work. ``title`` is for people and not part of the key.

    Attributes:
        kind: the word for what is done, as content keys hold it; never changes.
        version: raised when the same spec comes to mean something else.
        performer: ``module:function`` that does the work, imported when the phase runs. It is called with the phase,
            a :class:`adaptstilts.runtime.context.Runtime` and the folder to write the entry's files to.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    performer: ClassVar[str]

    title: str = field(default="", compare=False)

    @property
    def parents(self) -> tuple[str, ...]:
        """Keys of the phases whose entries this one reads."""
        return entries.parents(self.spec)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What the key is the digest of; empty fields are left out."""
        spec = {"kind": self.kind, "version": self.version, **self._spec()}
        return {key: value for key, value in spec.items() if value not in (None, [], {})}

    @cached_property
    def key(self) -> str:
        """sha256 of the spec."""
        return hashing.of(self.spec)

    def _spec(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, kw_only=True)
class TaskPhase(Phase):
    """A phase of a study: it reads one task's rows with a base model.

    Attributes:
        task: name of the task.
        data: what is read -> digest of its content.
        model: the base model.
        method: how the encoder is adapted; None for the bare base model.
        base: key of a full fine-tuning phase whose encoder is used instead of the base model's.
        stack: keys of the frozen intermediate phases under the phase's own adapter, the lowest first.
    """

    task: str
    data: Mapping[str, str]
    model: Fingerprint
    method: Method | None
    base: str | None = None
    stack: tuple[str, ...] = ()

    def _spec(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "data": dict(self.data),
            "model": self.model.identity(),
            "method": self.method.identity() if self.method else None,
            "base": self.base,
            "stack": list(self.stack),
            **self._more_spec(),
        }

    def _more_spec(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Stream:
    """One source of batches of a training phase.

    Attributes:
        task: whose head, loss and dev rows; what :data:`data` of the phase names its digests by.
        rows: the task whose training rows are used.
        settings: which rows, how many to a batch, how long.
        text: what is read instead of a task's rows, in masked language modelling.
    """

    task: str
    rows: str
    settings: Train
    text: Masked | None = None

    def digests(self, alone: bool) -> dict[str, str]:
        """Name in the phase's ``data`` of what it trains on, and of what it is selected on, where it is."""
        parts = ("train",) if self.text else ("train", "dev")
        return {part: part if alone else f"{self.task}.{part}" for part in parts}

    def identity(self) -> dict[str, Any]:
        """What content keys hold."""
        found = {
            "task": self.task,
            "rows": self.rows if self.rows != self.task else None,
            "column": self.text.column if self.text else None,
            "train": self.settings.identity(),
        }
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, kw_only=True)
class TrainPhase(TaskPhase):
    """Train an adapter (or the whole encoder) and heads on English rows.

    Attributes:
        rows: the task whose training rows are used, where it is another one than ``task``.
        settings: budget and optimisation.
        seed: of initial weights, row order and dropout.
        init: key of the phase whose trained weights and head are continued.
        start: key of the phase whose adapter is continued, with a new head.
        fuse: keys of the phases whose adapters a fusion is trained over, instead of an adapter.
        streams: what the steps are divided over, where it is not ``task`` alone.
        mixture: how they are, among tasks.
        masked: share of the steps that the masked text among the streams gets.
    """

    kind: ClassVar[str] = "train"
    performer: ClassVar[str] = "adaptstilts.phases.train:train"
    method: Method
    settings: Train
    seed: int
    rows: str
    init: str | None = None
    start: str | None = None
    fuse: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    mixture: Mixture | None = None
    masked: float = 0.0

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Trained parameters of the encoder part."""
        if self.fuse and isinstance(self.method, Bottleneck):
            return fusion.trainable(self.method, shape)
        return self.method.trainable(shape)

    def _more_spec(self) -> dict[str, Any]:
        rows = self.rows if self.rows != self.task else None
        return {
            "train": self.settings.identity(),
            "seed": self.seed,
            "rows": rows,
            "init": self.init,
            "start": self.start,
            "fuse": list(self.fuse),
            "streams": [stream.identity() for stream in self.streams],
            "mixture": self.mixture.identity() if self.mixture else None,
            "masked": self.masked or None,
        }


@dataclass(frozen=True, kw_only=True)
class MergePhase(TaskPhase):
    """A weighted sum of what training phases left; nothing is trained.

    Attributes:
        of: keys of the phases; of a target phase among them, the last, the head is kept.
        weights: one for each.
        method: of the sum, which leaves out the layers that are dropped.
    """

    kind: ClassVar[str] = "merge"
    performer: ClassVar[str] = "adaptstilts.phases.merge:merge"
    method: Method
    of: tuple[str, ...]
    weights: tuple[float, ...]

    def _more_spec(self) -> dict[str, Any]:
        return {"of": list(self.of), "weights": list(self.weights)}


@dataclass(frozen=True, kw_only=True)
class ImportPhase(TaskPhase):
    """Take over an adapter that somebody else trained; ``data`` has the digest of its files as ``adapter``.

    Attributes:
        place: the folder or hub id that it is read from; no part of the key.
    """

    kind: ClassVar[str] = "import"
    performer: ClassVar[str] = "adaptstilts.phases.import_adapter:adopt"
    method: Method
    place: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class EvaluatePhase(TaskPhase):
    """Evaluate a target phase zero-shot in every language, over any intermediate adapters.

    Attributes:
        target: key of the target's training phase.
        languages: codes, in order.
        settings: split, subset, precision.
        below: language -> key of the language adapter under everything else in that language.
    """

    kind: ClassVar[str] = "evaluate"
    performer: ClassVar[str] = "adaptstilts.phases.evaluate:evaluate"
    target: str
    languages: tuple[str, ...]
    settings: Evaluate
    below: Mapping[str, str] = field(default_factory=dict)

    def _more_spec(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "below": dict(self.below),
            "languages": list(self.languages),
            "evaluate": self.settings.identity(),
        }


@dataclass(frozen=True, kw_only=True)
class ForeseePhase(TaskPhase):
    """Predictors of how much an intermediate helps a target, before the target is trained on it.

    Attributes:
        rows: the task whose training rows stand for the target.
        sources: tasks that the intermediate was trained on, where that is known.
        settings: how many rows.
    """

    kind: ClassVar[str] = "foresee"
    performer: ClassVar[str] = "adaptstilts.phases.predict_transfer:foresee"
    rows: str
    sources: tuple[str, ...]
    settings: Foresee

    def _more_spec(self) -> dict[str, Any]:
        rows = self.rows if self.rows != self.task else None
        return {"rows": rows, "sources": list(self.sources), "foresee": self.settings.identity()}


@dataclass(frozen=True, kw_only=True)
class RetrievePhase(TaskPhase):
    """Sentence retrieval with the encoder as it is, or after an intermediate phase."""

    kind: ClassVar[str] = "retrieve"
    performer: ClassVar[str] = "adaptstilts.phases.retrieve:retrieve"
    languages: tuple[str, ...]
    settings: Retrieve

    def _more_spec(self) -> dict[str, Any]:
        return {"languages": list(self.languages), "retrieve": self.settings.identity()}
