"""A study expands into a plan: a graph of phases, each with a content key, deduplicated by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from adaptstilts import languages, tasks
from adaptstilts.config import Arm, Part, Study, Train, evaluate_settings, train_settings
from adaptstilts.data import sources
from adaptstilts.data.sources import Split
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.methods.base import ANY
from adaptstilts.models.source import Model
from adaptstilts.spec import EvaluatePhase, Phase, RetrievePhase, Stream, TrainPhase
from adaptstilts.store import Store
from adaptstilts.tasks import Source, Task, masked
from adaptstilts.tasks.base import POOL
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class Cell:
    """One cell of the results: which phase answers for which combination.

    Attributes:
        task: target task.
        method: label of the method.
        trained_on: intermediate task under which the target was trained, or ``none``.
        over: intermediate task it is evaluated over; another one than ``trained_on`` after a swap.
        seed: of the phases.
        phase: key of the evaluate or retrieve phase.
        training: keys of the target's own training phases.
        missing: languages of the task that the data does not have.
    """

    task: str
    method: str
    trained_on: str
    over: str
    seed: int
    phase: str
    training: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def swapped(self) -> bool:
        """Whether this is a swap: evaluated over another intermediate than it was trained on."""
        return self.over != self.trained_on


@dataclass(frozen=True)
class Cost:
    """Rough cost of one training phase, known before anything is spent."""

    trainable: int
    bytes: int
    examples: int
    tokens: int
    flops: float


class Plan:
    """A graph of phases by key, with the cells that a study's results are made of."""

    def __init__(self, study: Study, model: Model) -> None:
        self.study, self.model = study, model
        self.phases: dict[str, Phase] = {}
        self.cells: list[Cell] = []

    def add(self, phase: Phase) -> str:
        """Add a phase, unless an equal one is there; returns its key."""
        self.phases.setdefault(phase.key, phase)
        return phase.key

    def order(self) -> list[Phase]:
        """Every phase, parents before children; otherwise in the order of the study."""
        done: dict[str, Phase] = {}

        def visit(key: str) -> None:
            if key in done or key not in self.phases:
                return
            for parent in self.phases[key].parents:
                visit(parent)
            done[key] = self.phases[key]

        for kind in ("train", "retrieve", "evaluate"):
            for key, phase in self.phases.items():
                if phase.kind == kind:
                    visit(key)
        return list(done.values())

    def missing(self, store: Store) -> list[Phase]:
        """Phases without an entry, in order."""
        return [phase for phase in self.order() if not store.has(phase.key)]

    def uses(self) -> dict[str, int]:
        """Key of a training phase -> results that stand on it."""
        found: Counter[str] = Counter()
        for cell in self.cells:
            below, todo = {cell.phase}, [cell.phase]
            while todo:
                phase = self.phases.get(todo.pop())
                new = set(phase.parents) - below if phase else set()
                below |= new
                todo += new
            found.update(below)
        return dict(found)

    def cost(self, workspace: Workspace) -> dict[str, Cost]:
        """Rough cost of every training phase."""
        return {
            phase.key: _cost(phase, self.model, workspace) for phase in self.order() if isinstance(phase, TrainPhase)
        }


def expand(study: Study, workspace: Workspace) -> Plan:
    """Expand a study.

    Raises:
        ConfigError: a combination that cannot be meant, before anything is spent.
        DataError: data that is missing or unreadable.
    """
    model = workspace.model(study)
    _check(study, model)
    plan = Plan(study, model)
    builder = _Builder(plan, workspace)
    for seed in study.seeds:
        for arm in study.methods:
            builder.arm(arm, seed)
    workspace.memory.save()
    return plan


@dataclass(frozen=True)
class _Under:
    """What a target phase stands on: an intermediate task and the phase that trained it."""

    name: str
    base: str | None = None
    stack: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Test:
    """What a target is tested on: digests by name, the languages that are there, and those that are missing."""

    data: dict[str, str]
    languages: tuple[str, ...]
    missing: tuple[str, ...]


class _Builder:
    def __init__(self, plan: Plan, workspace: Workspace) -> None:
        self.plan, self.study, self.workspace = plan, plan.study, workspace
        self._tests: dict[tuple[str, str], _Test] = {}

    def arm(self, arm: Arm, seed: int) -> None:
        """All phases and cells of one method with one seed."""
        unders = [self._intermediate(self._lower(arm), part, seed) for part in self.study.intermediates]
        for part in self.study.targets:
            if tasks.get(part.task).retrieval:
                for under in unders:
                    self._retrieve(part, arm, under, self._represent(part, arm, under, seed), seed)
                continue
            trained: dict[str, tuple[_Under, tuple[str, ...]]] = {}
            for composition in self.study.compositions:
                for under in unders:
                    seen = under if composition == "stack" else _Under("none")
                    if seen.name not in trained:
                        trained[seen.name] = (seen, self._target(part, arm, seen, seed))
            for under, chain in trained.values():
                self._evaluate(part, arm, under, under, chain, seed)
            if self.study.swap == "all" and arm.method.below.stackable:
                for under, chain in trained.values():
                    for other in unders:
                        if other.name != under.name and chain[-1] not in other.stack:  # never over itself
                            self._evaluate(part, arm, under, other, chain, seed)

    def _intermediate(self, arm: Arm, part: Part, seed: int) -> _Under:
        if part.task == "none":
            return _Under("none")
        mixed = part.mixture or part.masked
        key = self._mixed(part, arm, seed) if mixed else self._chain(part, arm, _Under("none"), seed)[-1]
        return _Under(part.label, stack=(key,)) if arm.method.stackable else _Under(part.label, base=key)

    def _lower(self, arm: Arm) -> Arm:
        """The arm of the intermediate phases: its own, or as the study has it, for what stands on another method."""
        below = arm.method.below
        return next((other for other in (arm, *self.study.methods) if other.method == below), Arm(method=below))

    def _represent(self, part: Part, arm: Arm, under: _Under, seed: int) -> _Under:
        """What a retrieval task's sentences are encoded with: the intermediate encoder, or what is trained on it."""
        if not tasks.get(part.task).train_from:
            return under
        key = self._chain(part, arm, under, seed)[-1]
        if arm.method.stackable:
            return _Under(under.name, under.base, (*under.stack, key))
        return _Under(under.name, key)

    def _target(self, part: Part, arm: Arm, under: _Under, seed: int) -> tuple[str, ...]:
        return self._chain(part, arm, under, seed)

    def _chain(self, part: Part, arm: Arm, under: _Under, seed: int) -> tuple[str, ...]:
        """One training phase for each training set of a task, each continuing the one before."""
        task = tasks.get(part.task)
        if under.stack and arm.method.refusal:
            raise ConfigError(f"method {arm.method.label}: cannot stand on {under.name}: {arm.method.refusal}")
        names = task.train_from or (task.name,)
        keys: tuple[str, ...] = ()
        shared = bool(task.train_from) and (task.shared_training or task.dev is None)
        for i, name in enumerate(names):
            giver = tasks.get(name)
            own = giver if i < len(names) - 1 or shared else task
            settings = train_settings(self.study, arm, part, own.name)
            self._check_length(settings.max_length)
            over = f" over {under.name}" if under.name != "none" else ""
            phase = TrainPhase(
                task=own.name,
                rows=giver.name,
                data={"train": self._digest(giver.train, giver), "dev": self._digest(own.dev, own)},
                model=self.plan.model.fingerprint,
                method=arm.method,
                base=under.base,
                stack=under.stack,
                init=keys[-1] if keys else None,
                settings=settings,
                seed=seed,
                title=f"train {own.name} ({arm.method.label}){over}, seed {seed}",
            )
            keys += (self.plan.add(phase),)
        return keys

    def _mixed(self, part: Part, arm: Arm, seed: int) -> str:
        """One training phase for a mixture of tasks, or for a task with masked language modelling beside it."""
        names = part.mixture.tasks if part.mixture else (part.task,)
        streams = [Stream(name, name, train_settings(self.study, arm, part, name)) for name in names]
        data: dict[str, str] = {}
        for stream in streams:
            task = tasks.get(stream.task)
            for split, source in (("train", task.train), ("dev", task.dev)):
                data[f"{task.name}.{split}"] = self._digest(source, task)
        if part.masked:
            text = masked.of(part.masked)
            own = train_settings(self.study, arm, part, None).model_copy(update={"examples": part.masked.examples})
            streams.append(Stream(text.name, text.name, own, part.masked))
            data |= {f"{text.name}.train": self._digest(text.train, text)}
        for stream in streams:
            self._check_length(stream.settings.max_length)
        phase = TrainPhase(
            task=part.label,
            rows=part.label,
            data=data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            settings=train_settings(self.study, arm, part, None),
            seed=seed,
            streams=tuple(streams),
            mixture=part.mixture,
            masked=part.masked.ratio if part.masked else 0.0,
            title=f"train {part.label} ({arm.method.label}), seed {seed}",
        )
        return self.plan.add(phase)

    def _evaluate(self, part: Part, arm: Arm, trained: _Under, over: _Under, chain: tuple[str, ...], seed: int) -> None:
        settings = evaluate_settings(self.study, part)
        test = self._test(part.task, settings.split)
        if settings.max_length is not None:
            self._check_length(settings.max_length)
        swap = f", swapped from {trained.name}" if over.name != trained.name else ""
        phase = EvaluatePhase(
            task=part.task,
            data=test.data,
            model=self.plan.model.fingerprint,
            method=arm.method,
            stack=over.stack,
            target=chain[-1],
            languages=test.languages,
            settings=settings,
            title=f"evaluate {part.task} ({arm.method.label}) over {over.name}{swap}, seed {seed}",
        )
        key = self.plan.add(phase)
        cell = Cell(part.task, arm.method.label, trained.name, over.name, seed, key, chain, test.missing)
        self.plan.cells.append(cell)

    def _retrieve(self, part: Part, arm: Arm, under: _Under, own: _Under, seed: int) -> None:
        test = self._test(part.task, "test")
        bare = not own.base and not own.stack
        self._check_length(self.study.retrieve.max_length)
        phase = RetrievePhase(
            task=part.task,
            data=test.data,
            model=self.plan.model.fingerprint,
            method=None if bare else arm.method.below,
            base=own.base,
            stack=own.stack,
            languages=test.languages,
            settings=self.study.retrieve,
            title=f"retrieve {part.task}, "
            + ("base model" if bare else f"{under.name} ({arm.method.label}), seed {seed}"),
        )
        key = self.plan.add(phase)
        cell = Cell(part.task, arm.method.label, under.name, under.name, seed, key, (), test.missing)
        self.plan.cells.append(cell)

    def _digest(self, source: Source | None, task: Task) -> str:
        if source is None:
            raise ConfigError(f"{task.name} has no training or dev rows; it cannot be trained")
        return self.workspace.split(source).identity(task.version)

    def _test(self, name: str, split: str) -> _Test:
        if (name, split) not in self._tests:
            self._tests[name, split] = _languages(tasks.get(name), split, self.study, self.workspace)
        return self._tests[name, split]

    def _check_length(self, tokens: int) -> None:
        limit = self.plan.model.shape["positions"] - 2
        if tokens > limit:
            raise ConfigError(
                f"max_length {tokens} is more than the {limit} positions of the model; give"
                f" train.max_length={limit} (or evaluate.max_length, retrieve.max_length)"
            )


def _languages(task: Task, split: str, study: Study, workspace: Workspace) -> _Test:
    every = (*task.languages, *task.more_languages)
    if isinstance(study.languages, str):
        wanted = list(every if study.languages == "xtreme-r" else task.languages)
    else:
        asked = {languages.resolve(code).code for code in study.languages or task.languages}
        wanted = [code for code in every if code in asked]
    if not wanted:
        raise ConfigError(f"{task.name} has none of the languages {', '.join(sorted(asked))}")
    reads = {code: task.reads(split, languages.resolve(code)) for code in wanted}
    own = {code: [source for name, source in held.items() if name != POOL] for code, held in reads.items()}
    missing = [code for code, held in own.items() if not any(map(workspace.sources.find, held))]
    if missing and (study.missing == "error" or len(missing) == len(wanted)):
        repo = next(iter(reads[missing[0]].values())).repo
        raise DataError(
            f"{task.name}: no {split} rows for {', '.join(missing)} in {repo}; add the data, name the"
            f" languages to evaluate (languages=[...]) or give missing=skip"
        )
    found = tuple(code for code in wanted if code not in missing)
    data = {
        name: workspace.sources.get(source).identity(task.version)
        for code in found
        for name, source in reads[code].items()
    }
    return _Test(data, found, tuple(missing))


def _check(study: Study, model: Model) -> None:
    """Combinations that no single key shows to be wrong."""
    held = [tasks.get(part.task) for part in study.targets]
    known = {code for task in held for code in (*task.languages, *task.more_languages)}
    named = study.languages if isinstance(study.languages, tuple) else ()
    for code in named:
        if languages.resolve(code).code not in known:
            raise ConfigError(f"languages: no target of this study has {code!r}")
    for name in ("intermediates", "targets", "methods", "seeds"):
        items = [_name(item) for item in getattr(study, name)]
        if len(items) != len(set(items)):
            raise ConfigError(f"{name}: {', '.join(map(str, items))} holds the same one twice")
    for arm in study.methods:
        below = arm.method.below
        if not below.layers(model.shape["layers"]) and below.backend != ANY:
            raise ConfigError(f"method {below.label}: leaves out every layer of the model")
        if below.backend == ANY and any(part.task != "none" for part in study.intermediates):
            raise ConfigError(
                f"method {arm.method.label}: an intermediate task would change nothing, because nothing of the encoder"
                f" is trained; say what is trained with it (over: bottleneck), or give intermediates=[none]"
            )
        outside = [i for i in getattr(below, "leave_out", ()) if not 0 <= i < model.shape["layers"]]
        if outside:
            raise ConfigError(
                f"method {arm.method.label}: the model has no layer {outside[0]}, its"
                f" {model.shape['layers']} layers are counted from 0"
            )
    if study.swap == "all":
        if not any(arm.method.below.stackable for arm in study.methods):
            raise ConfigError("swap: full fine-tuning has no intermediate adapter to swap; add an adapter method")
        if len(study.intermediates) < 2 or "stack" not in study.compositions:
            raise ConfigError("swap: needs two or more intermediates and the composition stack")
    if study.retrieve.layer is not None and study.retrieve.layer > model.shape["layers"]:
        raise ConfigError(f"retrieve.layer: the model has hidden states 0 to {model.shape['layers']}")


def _name(item: Part | Arm | int) -> object:
    if isinstance(item, Part):
        return item.label
    return item.method.label if isinstance(item, Arm) else item


def _cost(phase: TrainPhase, model: Model, workspace: Workspace) -> Cost:
    examples = tokens = 0
    for stream in phase.streams or (Stream(phase.task, phase.rows, phase.settings),):
        own = masked.of(stream.text) if stream.text else tasks.get(stream.rows)
        assert own.train is not None  # noqa: S101
        seen, mean = _reading(own, workspace.split(own.train), stream.settings, phase)
        examples += seen
        tokens += int(seen * mean)
    trainable = phase.method.trainable(model.shape)
    passes = {"full": 6, "head": 2}.get(phase.method.kind, 4)
    core = model.shape["parameters"] - model.shape["vocabulary"] * model.shape["hidden"]
    return Cost(trainable, 4 * trainable, examples, tokens, float(passes * core * tokens))


def _reading(task: Task, split: Split, settings: Train, phase: TrainPhase) -> tuple[int, float]:
    """How many rows of a split a phase reads, about, and how many tokens one has; of unseen data as much as fits."""
    rows, size = _size(split) if split.files else (task.train_rows, task.train_rows * 4 * settings.max_length)
    cap = phase.mixture.cap if phase.mixture else None
    seen = min(rows, settings.examples or rows, cap or rows) * phase.settings.epochs
    if phase.settings.max_steps:
        seen = min(seen, phase.settings.max_steps * settings.batch_size // max(len(phase.streams), 1))
    return seen, min(settings.max_length, size / max(rows, 1) / 4 + 4)


def _size(split: Split) -> tuple[int, int]:
    """Rows of a split and bytes of its text, about."""
    return sources.row_count(split), sources.byte_size(split)
