"""What every phase works with: the workspace, the model, its tokenizer, rows that are read once, and reports."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property

import torch

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples, read
from adaptstilts.data.placebo import permute_labels
from adaptstilts.data.shots import Shots, take
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.models import unknown_tokens
from adaptstilts.models.batching import Features
from adaptstilts.models.locate import Model
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.models.unknown_tokens import KnownWords, TokenCount
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.runtime.hardware import environment, find_device
from adaptstilts.runtime.loggers import Logger, select
from adaptstilts.store.cache import StateCache
from adaptstilts.tasks import Source, Task, kind_specs
from adaptstilts.workspace import Workspace

CACHED_FEATURES = 256  # sets of rows
CACHED_ROWS = 1_000_000  # of all sets together; the newest one is kept whatever its size
CACHE_GIB = 8.0


class Runtime:
    """Shared by the phases of one process.

    Args:
        workspace: store, data and models.
        model: the base model; None if no phase has one.
        report: called with a line of progress, the amount that is done, and the total.
        stop: called at every step; True makes a phase write a checkpoint and stop.
        checkpoint_every: steps between two checkpoints; None for one per ``checkpoint_seconds``.
        checkpoint_seconds: seconds between two checkpoints.
        device: torch device; None for the GPU if there is one.
        cache_gib: largest disk space for hidden states that are cached for later phases.
        loggers: receive the curves of training phases, by name or as instances; ``jsonl`` is always on.
        stage: called with a line on what is done while there is no progress to count, such as loading the model.
        interruptible: context within which a signal may stop a phase at once, because nothing is worth saving.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: Model | None,
        report: Callable[[str, int, int], None] = lambda line, done, total: None,
        stop: Callable[[], bool] = lambda: False,
        checkpoint_every: int | None = None,
        checkpoint_seconds: float = 60.0,
        device: str | None = None,
        cache_gib: float = CACHE_GIB,
        loggers: Sequence[str | Logger] = (),
        stage: Callable[[str], None] = lambda line: None,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.workspace, self.report, self.stop = workspace, report, stop
        self.stage, self.interruptible = stage, interruptible
        self.base_model, self._cache_gib = model, cache_gib
        self.checkpoint_every, self.checkpoint_seconds = checkpoint_every, checkpoint_seconds
        self.device = find_device(device)
        self.loggers = select(loggers)
        self._labelled: dict[str, Task] = {}
        self._warned: set[str] = set()
        self._features: OrderedDict[tuple[object, ...], tuple[Examples, Features]] = OrderedDict()
        self._totals: dict[tuple[object, ...], int] = {}  # rows that there are before a limit

    @property
    def model(self) -> Model:
        """Return the base model of a phase that has one; ``base_model`` is None if the plan has none."""
        assert self.base_model is not None  # noqa: S101
        return self.base_model

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the base model."""
        return Tokenizer(self.model.tokenizer_folder, self.model.architecture)

    @cached_property
    def known_words(self) -> KnownWords:
        """Return what tells sentences of which the tokenizer knows no word."""
        return KnownWords(self.tokenizer)

    @cached_property
    def adapter_pool(self) -> AdapterPool:
        """Return the encoder and adapters that the phases of this process share; created on first use."""
        return AdapterPool(self.workspace.store, self.model, self.device)

    @cached_property
    def state_cache(self) -> StateCache:
        """Return the cached hidden states of frozen lower layers."""
        hardware = {**environment(self.device), "instructions": torch.backends.cpu.get_cpu_capability()}
        return StateCache(self.workspace.store.states, self._cache_gib, hardware)

    def split(self, task: Task, source: Source, expected: str) -> Split:
        """Return a split after checking that its content is still that of the plan.

        Args:
            task: the task whose rows it has.
            source: source of the split.
            expected: identity of the content in the phase's key.

        Raises:
            DataError: the files changed.
        """
        split = self.workspace.sources.get(source)
        if split.identity(task.version) != expected:
            raise DataError(f"{source}: the files changed since the plan was made; run the command again")
        return split

    def task(self, name: str) -> Task:
        """Return a task; open labels are filled in from its rows, in alphabetical order."""
        task = tasks.get(name)
        if not task.open_labels:
            return task
        if name not in self._labelled:
            self._labelled[name] = replace(task, labels=tuple(sorted(self._labels_in_rows(task))))
        return self._labelled[name]

    def _labels_in_rows(self, task: Task) -> set[str]:
        """Return the labels that the training and dev rows of a task have."""
        field = kind_specs.get(task.kind).label_field
        labels: set[str] = set()
        for source in (task.train, task.dev):
            if source is None or field is None:
                continue
            split = self.workspace.sources.get(task.fill(source))
            for row in read(split, task, kinds.get(task.kind).check).rows:
                labels.update(row[field] if isinstance(row[field], list) else [row[field]])
        return labels

    def rows(
        self,
        task: Task,
        source: Source,
        expected: str,
        max_length: int,
        limit: int | None = None,
        seed: object = "subset",
        shots: Shots | None = None,
        permuted: int | None = None,
    ) -> tuple[Examples, Features]:
        """Return examples and features of a split; they are kept for the next phase that needs the same ones.

        Args:
            task: the task whose rows they are.
            source: source of the split.
            expected: as of :meth:`split`.
            max_length: largest number of tokens per sequence.
            limit: largest number of examples, drawn at random; None for all.
            seed: seed of that draw.
            shots: a draw of a few rows of one language instead.
            permuted: seed by which labels are permuted among the rows; None leaves them.

        Raises:
            DataError: the files changed, or rows are not usable.
        """
        split = self.split(task, source, expected)
        kind = kinds.trainable(task.kind)
        place = (task.name, *task.columns.values(), split.digest, split.source, max_length, shots, permuted)
        key = (*place, *self._draw(place, limit, seed))
        if key not in self._features:
            examples = read(split, task, kind.check, limit, seed)
            self._totals[place] = examples.total
            key = (*place, *self._draw(place, limit, seed))
        if key not in self._features:
            if shots:
                examples = take(examples, task, shots)
            if permuted is not None:
                examples = permute_labels(examples, task, permuted)
            features = kind.features(examples.rows, self.tokenizer, task, max_length)
            self._features[key] = examples, features
            self.warn_of_unknown(f"{task.name}, {source.title}", unknown_tokens.count(features.items, self.tokenizer))
        self._features.move_to_end(key)
        self._drop_oldest()
        return self._features[key]

    def _draw(self, place: tuple[object, ...], limit: int | None, seed: object) -> tuple[object, ...]:
        """Return what distinguishes a draw of rows from others; nothing if all rows are taken, whatever the seed.

        Args:
            place: what the rows are drawn from.
            limit: as of :meth:`rows`.
            seed: as of :meth:`rows`.
        """
        total = self._totals.get(place)
        takes_all = limit is None or (total is not None and limit >= total)
        return () if takes_all else (limit, seed)

    def _drop_oldest(self) -> None:
        """Drop the rows that were unused longest, as long as there are too many."""
        rows = sum(len(examples.rows) for examples, _ in self._features.values())
        while len(self._features) > 1 and (rows > CACHED_ROWS or len(self._features) > CACHED_FEATURES):
            _, (examples, _) = self._features.popitem(last=False)
            rows -= len(examples.rows)

    def forget(self) -> None:
        """Drop the encoder with its adapters, and the rows: a phase that failed may have left them half-changed."""
        vars(self).pop("adapter_pool", None)
        self._features.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def warn_of_unknown(self, text: str, tokens: TokenCount) -> None:
        """Report a warning if the model does not know many tokens of a text; once for each text.

        Args:
            text: what people call it.
            tokens: how many it has.
        """
        warning = tokens.warning(text)
        if warning and text not in self._warned:
            self._warned.add(text)
            self.report(warning, 0, 0)
