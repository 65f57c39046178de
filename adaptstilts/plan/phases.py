"""Phases: immutable descriptions of one unit of work, each with a content key.

The key of a phase is the sha256 of its spec: what is computed, from which data and which parents. It contains no path,
host or log setting. :func:`parse` turns a spec, as the manifest of an entry has it, back into the phase.

A kind of phase is one class. Those of this package are listed below; another package adds its own with :func:`add` or
an entry point of the group ``adaptstilts.phases``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeVar

from adaptstilts import tasks
from adaptstilts.data.shots import Shots
from adaptstilts.errors import AdaptstiltsError, ArtifactError
from adaptstilts.io import hashing
from adaptstilts.methods import AdapterMethod, Method, fusion
from adaptstilts.models.locate import Fingerprint
from adaptstilts.plan import readings
from adaptstilts.plan.passes import Pass, evaluation_pass
from adaptstilts.plan.phase import Phase as Phase
from adaptstilts.plan.readings import Reading
from adaptstilts.plan.specs import SpecField
from adaptstilts.registry import Registry
from adaptstilts.store.entries import Entry
from adaptstilts.study import Evaluate, Masked, Mixture, PredictTransfer, Retrieve, Train, masked_text
from adaptstilts.tasks import kind_specs

P = TypeVar("P", bound="Phase")


def _is_phase_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Phase) and "kind" in vars(value)


def _problems(phase: type[Phase]) -> Iterator[str]:
    """Yield what is wrong with the class of a phase."""
    performer = getattr(phase, "performer", None)
    if not isinstance(performer, str) or not re.fullmatch(kind_specs.IMPLEMENTATION, performer):
        yield f"performer: expected module:function, found {performer!r}"
    annotated = vars(phase).get("__annotations__", {})
    lost = [name for name in annotated if name not in phase.__dataclass_fields__]
    if lost:
        yield f"the field {lost[0]} is not part of the key; add @dataclass(frozen=True, kw_only=True) to the class"


REGISTRY: Registry[type[Phase]] = Registry(
    "kind of phase",
    "adaptstilts.phases",
    name_of=lambda phase: phase.kind,
    is_member=_is_phase_class,
    problems=_problems,
    expected="a class derived from Phase with a kind",
    modules=(__name__, "adaptstilts.plan.measures", "adaptstilts.pretrain.plan"),
)
add = REGISTRY.add
known = REGISTRY.known


def parse(spec: Mapping[str, Any]) -> Phase:
    """Return the phase whose spec this is; it has no title.

    Raises:
        ArtifactError: its kind is unknown, or it was written by another version of this package.
    """
    fields = dict(spec)
    kind, version = fields.pop("kind", None), fields.pop("version", None)
    cls = known().get(str(kind))
    if cls is None:
        raise ArtifactError(f"unknown kind of phase {kind!r}; {REGISTRY.hint_for(str(kind))}")
    if version != cls.version:
        raise ArtifactError(f"a {kind} phase of version {version}; this package reads version {cls.version}")
    try:
        phase = cls.read_fields(fields)
    except (ValueError, AdaptstiltsError) as error:
        raise ArtifactError(f"not a {kind} phase that this version can read: {error}") from None
    if hashing.of(phase.spec) != hashing.of(dict(spec)):
        raise ArtifactError(f"not a {kind} phase that this version can read: it would be written differently")
    return phase


def phase_of(entry: Entry, cls: type[P]) -> P:
    """Return the phase that wrote an entry.

    Args:
        entry: from any store.
        cls: the class that the phase must have.

    Raises:
        ArtifactError: the phase is of another class, or cannot be read; see :func:`parse`.
    """
    try:
        phase = parse(entry.spec)
    except ArtifactError as error:
        raise ArtifactError(f"entry {entry.key[:12]}: {error}") from None
    if not isinstance(phase, cls):
        kinds = sorted(kind for kind, member in known().items() if issubclass(member, cls))
        expected = f"the entry of a phase of kind {' or '.join(kinds)}"
        raise ArtifactError(f"entry {entry.key[:12]}: expected {expected}, found {phase.kind}")
    return phase


@dataclass(frozen=True, kw_only=True)
class TaskPhase(Phase):
    """A phase of a study: it reads the rows of one task and uses the base model.

    Attributes:
        task: name of the task.
        data: name of what is read -> digest of its content.
        model: the base model.
        method: how the encoder is adapted; None for the base model as it is.
        base: key of a full fine-tuning phase whose encoder is used instead of the base model's.
        stack: keys of the phases whose frozen adapters are under this phase's own, the lowest first.
    """

    task: str
    data: Mapping[str, str]
    model: Fingerprint
    method: Method | None
    base: str | None = None
    stack: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WeightsPhase(TaskPhase):
    """A phase that trains weights: an adapter, a fusion of adapters or a whole encoder."""

    method: Method


@dataclass(frozen=True)
class StreamSpec:
    """One source of training batches.

    Attributes:
        task: the task whose head, loss and dev rows are used.
        rows: the task whose training rows are used.
        settings: how many rows, the batch size, the lengths.
        column: the column with the text, for masked language modelling.
        text: where the text is read, for masked language modelling; not part of the key, which has its digest.
    """

    task: str
    rows: Annotated[str, SpecField(same_as="task")]
    settings: Annotated[Train, SpecField("train")]
    column: str | None = None
    text: Masked | None = field(default=None, compare=False)

    def digests(self, alone: bool) -> dict[str, str]:
        """Return the names under which the phase's ``data`` has the digests of this stream's rows.

        Args:
            alone: whether the phase has no other stream.

        Returns:
            ``train`` and, unless the rows are masked text, ``dev`` -> the name.
        """
        parts = ("train",) if self.column else ("train", "dev")
        return {part: part if alone else f"{self.task}.{part}" for part in parts}


@dataclass(frozen=True, kw_only=True)
class TrainPhase(WeightsPhase):
    """Train an adapter (or the whole encoder) and heads on English rows, or on a few of another language.

    Attributes:
        rows: the task whose training rows are used, often ``task`` itself.
        settings: budget and optimisation.
        seed: seed of initial weights, row order and dropout.
        init: key of the phase whose weights and head are the start.
        start: key of the phase whose adapter is the start, with a new head.
        fuse: keys of the phases over whose adapters a fusion is trained, instead of an adapter.
        streams: what the steps are divided among; empty for the rows of ``rows`` alone.
        mixture: how the tasks among the streams share the steps.
        masked: share of the steps that masked text among the streams gets.
        shots: the training rows, if they are a few of one language instead of the English ones.
        placebo: permute the labels among the training rows, by the seed.
    """

    kind: ClassVar[str] = "train"
    performer: ClassVar[str] = "adaptstilts.phases.train:train"
    turn: ClassVar[int] = 10
    trains: ClassVar[bool] = True
    settings: Annotated[Train, SpecField("train")]
    seed: int
    rows: Annotated[str, SpecField(same_as="task")]
    init: str | None = None
    start: str | None = None
    fuse: tuple[str, ...] = ()
    streams: tuple[StreamSpec, ...] = ()
    mixture: Mixture | None = None
    masked: float = 0.0
    shots: Shots | None = None
    placebo: bool = False

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return the number of trained parameters in the encoder, without heads."""
        if self.fuse:
            return fusion.trainable(self.method, shape)
        return self.method.trainable(shape)

    def weight_bytes(self, shape: Mapping[str, int]) -> int:
        """Return the size of the trained weights in float32, without heads."""
        return 4 * self.trainable(shape)

    def passes(self) -> list[Pass]:
        """Return the training rows of every stream."""
        return [self._pass(stream) for stream in self._every_stream()]

    def readings(self) -> list[Reading]:
        """Return the training and dev rows of every stream."""
        return readings.of_training(self._every_stream(), self.shots)

    def _every_stream(self) -> tuple[StreamSpec, ...]:
        return self.streams or (StreamSpec(self.task, self.rows, self.settings),)

    def _pass(self, stream: StreamSpec) -> Pass:
        task = masked_text.of(stream.text) if stream.text else tasks.get(stream.rows)
        if self.shots:
            source = task.shot_source(self.shots.language)
            epochs, most = _extent(self.settings, self.settings.batch_size)
            flops = self.method.flops_per_weight
            length = stream.settings.max_length
            return Pass((source,), length, epochs, self.shots.k, most, flops, self.shots.k)
        assert task.train is not None  # noqa: S101
        limits = [stream.settings.examples, self.mixture.cap if self.mixture else None]
        epochs, most = _extent(self.settings, stream.settings.batch_size, max(len(self.streams), 1))
        return Pass(
            (task.fill(task.train),),
            stream.settings.max_length,
            epochs=epochs,
            limit=min((limit for limit in limits if limit), default=None),
            most=most,
            flops_per_weight=self.method.flops_per_weight,
            published_rows=task.train_rows,
        )


def _extent(settings: Train, batch_size: int, streams: int = 1) -> tuple[int, int | None]:
    """Return how often rows are read, and how many are read at most over all epochs.

    Args:
        settings: of the phase.
        batch_size: of the stream.
        streams: how many share the steps.
    """
    steps = settings.steps or settings.max_steps
    most = steps * batch_size // streams if steps else None
    return (most or 1) if settings.steps else settings.epochs, most


@dataclass(frozen=True, kw_only=True)
class MergePhase(WeightsPhase):
    """Compute a weighted sum of what training phases produced; nothing is trained.

    Attributes:
        of: keys of the phases; if the last is of a target, its head is kept.
        weights: one for each phase.
    """

    kind: ClassVar[str] = "merge"
    performer: ClassVar[str] = "adaptstilts.phases.merge:merge"
    turn: ClassVar[int] = 20
    of: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ImportPhase(WeightsPhase):
    """Import an adapter that somebody else trained; ``data`` has the digest of its files as ``adapter``.

    Attributes:
        place: the folder or hub id that it is read from; not part of the key.
    """

    kind: ClassVar[str] = "import"
    performer: ClassVar[str] = "adaptstilts.phases.import_adapter:import_adapter"
    turn: ClassVar[int] = 0
    method: AdapterMethod
    place: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class EvaluatePhase(TaskPhase):
    """Evaluate a target phase zero-shot in every language, over any intermediate adapters.

    Attributes:
        target: key of the target's training phase.
        languages: codes, in order.
        settings: split, subset, precision.
        below: language -> key of the language adapter under everything else in that language.
        head: key of the phase whose head is used, such as an earlier phase's on a later encoder; None for ``target``.
        kind_version: of the task's kind (:class:`adaptstilts.tasks.kind_specs.KindSpec`).
    """

    kind: ClassVar[str] = "evaluate"
    performer: ClassVar[str] = "adaptstilts.phases.evaluate:evaluate"
    turn: ClassVar[int] = 50
    target: str
    languages: tuple[str, ...]
    settings: Annotated[Evaluate, SpecField("evaluate")]
    below: Mapping[str, str] = field(default_factory=dict)
    head: str | None = None
    kind_version: int = 1

    def passes(self) -> list[Pass]:
        """Return one pass over the rows of every language."""
        settings = self.settings
        return [evaluation_pass(self.task, settings.split, self.languages, settings.examples, settings.max_length)]

    def readings(self) -> list[Reading]:
        """Return the rows of every language."""
        return readings.of_evaluation(self.task, self.settings.split, self.languages, self.settings.examples)


@dataclass(frozen=True, kw_only=True)
class PredictTransferPhase(TaskPhase):
    """Predict how much an intermediate helps a target, before the target is trained on it.

    Attributes:
        rows: the task whose training rows stand for the target.
        sources: tasks that the intermediate was trained on, if known.
        settings: how many rows.
    """

    kind: ClassVar[str] = "foresee"
    performer: ClassVar[str] = "adaptstilts.phases.predict_transfer:predict_transfer"
    turn: ClassVar[int] = 30
    rows: Annotated[str, SpecField(same_as="task")]
    sources: tuple[str, ...]
    settings: Annotated[PredictTransfer, SpecField("foresee")]

    def passes(self) -> list[Pass]:
        """Return some training rows of the target and of each source task."""
        read = (tasks.get(name) for name in (self.rows, *self.sources))
        sources = tuple(task.fill(task.train) for task in read if task.train)
        return [Pass(sources, self.settings.max_length, limit=self.settings.rows)]

    def readings(self) -> list[Reading]:
        """Return the training rows of the target and of each source task."""
        return readings.of_english(map(tasks.get, (self.rows, *self.sources)))


@dataclass(frozen=True, kw_only=True)
class RetrievePhase(TaskPhase):
    """Retrieve translations with the encoder of the base model, or after an intermediate phase.

    Attributes:
        languages: codes, in order.
        settings: how sentences are encoded, searched and scored.
        kind_version: of the task's kind (:class:`adaptstilts.tasks.kind_specs.KindSpec`).
    """

    kind: ClassVar[str] = "retrieve"
    performer: ClassVar[str] = "adaptstilts.phases.retrieve:retrieve"
    turn: ClassVar[int] = 40
    languages: tuple[str, ...]
    settings: Annotated[Retrieve, SpecField("retrieve")]
    kind_version: int = 1

    def passes(self) -> list[Pass]:
        """Return one pass over the sentences of every language."""
        return [evaluation_pass(self.task, "test", self.languages, None, self.settings.max_length)]

    def readings(self) -> list[Reading]:
        """Return the sentences of every language."""
        return readings.of_evaluation(self.task, "test", self.languages, None)
