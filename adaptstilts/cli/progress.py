"""What the command line prints: progress, plans, lists. Bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from adaptstilts import methods, tasks
from adaptstilts.io import markdown
from adaptstilts.io.wording import short_count, size
from adaptstilts.methods import composition_kinds
from adaptstilts.models import locate as models
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.graph import Cost
from adaptstilts.plan.phases import Phase, TrainPhase
from adaptstilts.pretrain import PretrainPlan
from adaptstilts.run import Listener
from adaptstilts.store import entries
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from adaptstilts.reports.data_inventory import Holding

QUIET_SECONDS = 30.0
ASSUMED_RATE = 5e10


class Progress(Listener):
    """Prints what a run does to standard error; one line a phase, and one every half minute within long ones."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._task: Any = None
        self._told = 0.0
        self._title = ""

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, phase: Phase, number: int, total: int) -> None:
        """Say which phase of how many starts."""
        self._title = f"[{number}/{total}] {phase.title}"
        self._told = time.monotonic()
        if self._bars:
            self._task = self._bars.add_task(_plain(self._title), total=None)

    def progress(self, line: str, done: int, total: int) -> None:
        """Move the bar, or print a remark."""
        if total == 0:
            self._print(line)
        elif self._bars:
            if self._task is None:  # what runs is no phase
                self._task = self._bars.add_task("")
            named = {} if self._title else {"description": _plain(line)}
            self._bars.update(self._task, completed=done, total=total, **named)
        elif time.monotonic() - self._told > QUIET_SECONDS:
            self._told = time.monotonic()
            self._print(f"{self._title}: {done}/{total}" if self._title else line)

    def end(self, phase: Phase, seconds: float) -> None:
        """Say that a phase is done."""
        self._print(f"{self._title}: {seconds:.1f} s")
        self._drop()

    def failed(self, phase: Phase, error: Exception) -> None:
        """Say that a phase failed, and why."""
        self._drop()
        self._print(f"failed: {phase.title}: {error}")

    def _drop(self) -> None:
        if self._bars and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._title = ""

    def _print(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def pretrain_lines(plan: PretrainPlan, store: Store) -> Iterator[str]:
    """What a pretraining run made: text kept and removed, and each encoder's held-out scores."""
    corpus = entries.CORPUS_RESULT.read(store.entry(plan.corpus.key))
    removed = corpus["removed"]["total"]
    yield (
        f"{sum(corpus['sentences'].values()):,} sentences in {len(corpus['languages'])} languages; {removed:,} removed"
        f" because an evaluation set has them; {len(corpus['not_looked_at'])} evaluation sets not in the data"
    )
    for name, phase in plan.encoders.items():
        found = entries.PRETRAIN_RESULT.read(store.entry(phase.key))
        held = found["held_out"]
        told = f", held-out retrieval {100 * max(held['mean']):.1f} at layer {held['layer']}" if held else ""
        yield f"{name}: {short_count(found['parameters'])} parameters{told}, {phase.key[:12]}"


def model_lines() -> Iterator[str]:
    """The built-in encoders with their shapes."""
    yield f"{'name':18} {'parameters':>10} {'layers':>7} {'hidden':>7} {'MB':>6}"
    for name in models.builtin_names():
        found = models.locate(name)
        size = (found.folder / models.WEIGHTS).stat().st_size / 1e6
        count = short_count(found.shape["parameters"])
        yield f"{name:18} {count:>10} {found.shape['layers']:>7} {found.shape['hidden']:>7} {size:6.1f}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def plan_lines(plan: Plan, workspace: Workspace, every: bool, speed: float | None = None) -> Iterator[str]:
    """Phases with their state, size and rough cost; ``speed`` in FLOP/s, None for what was measured or is assumed."""
    store = workspace.store
    costs = plan.cost(workspace)
    rate, source = (speed, "given") if speed else _rate(store, costs)
    todo = 0.0

    def minutes(cost: Cost) -> float:
        return cost.flops / rate / 60

    uses = plan.uses()
    yield f"{'state':8} {'trains':>8} {'bytes':>10} {'tokens':>8} {'minutes':>8} {'used by':>8}  phase"
    for phase in plan.order():
        state = "done" if store.has(phase.key) else "missing"
        if isinstance(phase, TrainPhase):
            cost = costs[phase.key]
            todo += minutes(cost) if state == "missing" else 0.0
            stored = size(cost.bytes)
            count, tokens = (short_count(n) for n in (cost.trainable, cost.tokens))
            used = f"{uses.get(phase.key, 0):8}"
            numbers = f"{count:>8} {stored:>10} {tokens:>8} {minutes(cost):8.1f} {used}"
            yield f"{state:8} {numbers}  {phase.key[:12]} {phase.title}"
        elif every:
            yield f"{state:8} {'':>8} {'':>10} {'':>8} {'':>8} {'':>8}  {phase.key[:12]} {phase.title}"
    counts = Counter(phase.kind for phase in plan.phases.values())
    done = Counter(phase.kind for phase in plan.phases.values() if store.has(phase.key))
    yield ", ".join(f"{counts[kind]} {kind} ({done[kind]} done)" for kind in counts)
    alone = sum(minutes(costs[key]) * uses.get(key, 1) for key in costs)
    once = sum(map(minutes, costs.values()))
    if once:
        yield (
            f"{len(plan.cells)} results; training phases are shared: one after the other each result would cost"
            f" {alone / once:.1f} times as much"
        )
    missing_bytes = sum(c.bytes for key, c in costs.items() if not store.has(key))
    yield (f"to train: about {_time(todo)} at {rate / 1e9:.0f} GFLOP/s ({source}), {size(missing_bytes)} to store")


def _time(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:,.0f} hours"


def _rate(store: Store, costs: dict[str, Any]) -> tuple[float, str]:
    """FLOP/s of this plan's finished training phases, else a guess; and where it is from."""
    done = [key for key in costs if store.has(key)]
    seconds = sum(entries.COST.read(store.peek(key))["seconds"] for key in done)
    if not seconds:
        return ASSUMED_RATE, "assumed, nothing measured yet"
    return sum(costs[key].flops for key in done) / seconds, "measured in this store"


def status_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Counts by kind and state, and the phases that run or were begun."""
    begun, running = [], []
    counts: Counter[tuple[str, str]] = Counter()
    for phase in plan.order():
        state = "done" if store.has(phase.key) else "missing"
        holder = None if state == "done" else store.holder(phase.key)
        if holder:
            state = "running"
            running.append(f"running on {holder}: {phase.title}")
        elif state == "missing" and any(store.work(phase.key).glob("step-*")):
            state = "begun"
            steps = sorted(path.name for path in store.work(phase.key).glob("step-*"))
            begun.append(f"begun, {steps[-1]}: {phase.title}")
        counts[phase.kind, state] += 1
    for kind in dict.fromkeys(kind for kind, _ in counts):
        told = [f"{counts[kind, s]} {s}" for s in ("done", "running", "begun", "missing") if counts[kind, s]]
        yield f"{kind}: {', '.join(told)}"
    yield from running + begun


def task_lines() -> Iterator[str]:
    """Every task with kind, role and languages."""
    yield f"{'task':16} {'kind':15} {'role':20} languages"
    for task in sorted(tasks.known().values(), key=lambda task: (task.kind, task.name)):
        roles = ["intermediate"] if task.intermediate else []
        roles += ["target"]
        yield f"{task.name:16} {task.kind:15} {', '.join(roles):20} {len(task.languages)}: {' '.join(task.languages)}"


def holding_lines(workspace: Workspace) -> Iterator[str]:
    """Return the rows of every task in the data at hand, as a Markdown table."""
    from adaptstilts.reports.data_inventory import take

    header = ("task", "kind", "train", "dev", "test", "left out", "languages", "metric")
    rows = [_holding_row(holding) for holding in take(workspace)]
    yield from markdown.table(header, rows).splitlines()


def _holding_row(holding: Holding) -> tuple[str, ...]:
    task = holding.task
    available, declared = len(holding.languages), len(task.languages) + len(task.more_languages)
    return (
        task.name,
        task.kind,
        f"from {' then '.join(task.train_from)}" if task.train_from else _held(holding.rows, "train"),
        _held(holding.rows, "dev"),
        _held(holding.rows, "test"),
        f"{holding.dropped:,}" if holding.dropped else "-",
        str(declared) if available == declared else f"{available} of {declared}",
        " and ".join(task.headline).replace("_", " "),
    )


def _held(rows: Mapping[str, int | None], part: str) -> str:
    if part not in rows:
        return "-"
    return "not in the data" if rows[part] is None else f"{rows[part]:,}"


def method_lines() -> Iterator[str]:
    """Yield every method with its settings, then every composition with the methods that support it."""
    for kind, cls in sorted(methods.known().items()):
        yield f"{kind}: {(cls.__doc__ or '').strip().splitlines()[0]}"
        for name, field in cls.model_fields.items():
            if name != "kind":
                yield f"    {name} = {field.default!r}"
        yield f"    default learning rate {cls.default_lr:g}"
    yield ""
    yield "compositions, how a target uses its intermediates (in study files, compositions: [stack, merge]):"
    for composition, description in composition_kinds.DESCRIPTIONS.items():
        yield f"{composition}: {description}"
        yield f"    methods: {', '.join(composition_kinds.supporting(composition))}"


def doctor_lines(store: Path) -> Iterator[str]:
    """Versions, device, precision, search backend and disk."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in ("adaptstilts", "torch", "transformers", "adapters", "peft", "datasets", "accelerate"):
        yield f"{name} {version(name)}"
    both = []
    for name in ("faiss-cpu", "faiss-gpu"):
        try:
            yield f"{name} {version(name)}"
            both.append(name)
        except PackageNotFoundError:
            continue
    if not both:
        yield "faiss: not installed; one pass in 8 bits and numpy search instead (install the extra cpu or gpu)"
    if len(both) == 2:
        yield "faiss: faiss-cpu and faiss-gpu overwrite each other; uninstall both, then install one"
    import torch

    from adaptstilts.runtime.context import half_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    yield f"device {torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu'}"
    yield f"threads {torch.get_num_threads()}, bf16 {'yes' if half_precision('auto', device) else 'no'}"
    at = next(path for path in (store, *store.absolute().parents) if path.exists())
    free = size(shutil.disk_usage(at).free)
    yield f"store {store}, {free} free"
