"""Hidden states of the frozen lower layers of an encoder: computed once, cached on disk, and reused.

Below the lowest active adapter, and below the lowest trained weight, hidden states depend on the encoder and on the
token ids alone. They are computed without dropout and in the batches of an evaluation, whichever phase needs them
first, so what is cached is the same in every run. A set belongs to all sequences of some features and is one flat file
without padding, beside a manifest: whole or absent, hashed on first use, computed anew if it is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.data.batches import sorted_runs
from adaptstilts.errors import Interrupted, ResourceError
from adaptstilts.io import hashing
from adaptstilts.io.wording import size
from adaptstilts.models.batching import Batch, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import TrainPhase, WeightsPhase, phase_of
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.store.cache import Remark, StateCache, StateWriter
from adaptstilts.store.store import Store

_VERSION = 1
_ATTEMPTS = 2  # attempts to write states that another process removes meanwhile


@dataclass(frozen=True)
class StateLayout:
    """The places of the states of some features in a set.

    Attributes:
        first: number of the first sequence of each feature, and one more at the end.
        start: first token of each sequence, and one more at the end.
        digest: digest of all token ids and of how they are divided.
    """

    first: NDArray[np.int64]
    start: NDArray[np.int64]
    digest: str

    @classmethod
    def of(cls, features: Features, typed: bool = False) -> StateLayout:
        """Return the layout of some features.

        Args:
            features: in the order of the set.
            typed: whether states depend on token types as well.
        """
        sequences = [*chain.from_iterable(item.sequences for item in features.items)]
        first = np.cumsum([0, *features.sizes], dtype=np.int64)
        start = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        ids = np.fromiter(chain.from_iterable(sequences), np.int32, int(start[-1]))
        parts: list[NDArray[Any]] = [first, start, ids]
        if typed:
            parts.append(_second_texts(features))
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        return cls(first, start, digest)

    def spans(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Return the [first, last) tokens of every sequence of some features."""
        spans = []
        for row in rows:
            for i in range(self.first[row], self.first[row + 1]):
                spans.append((int(self.start[i]), int(self.start[i + 1])))
        return spans


def _second_texts(features: Features) -> NDArray[np.int64]:
    """Return where the second text of every sequence begins; -1 if there is none."""
    places: list[int] = []
    for item in features.items:
        for place in item.second or (None,) * len(item.sequences):
            places.append(-1 if place is None else place)
    return np.array(places, np.int64)


class FrozenLayers:
    """The lower part of an encoder, without an active adapter or a trained weight.

    Args:
        cache: cache of the states.
        encoder: the encoder with its present composition.
        weights: what identifies the weights of this part; see :func:`identity`.
        block: the block whose input the states are, counted as in :meth:`Encoder.first_active_block`.
        bf16: use autocast to bfloat16.
        exact: cache states in float32; otherwise states under autocast are in bfloat16, rounded from the first use on.
        remark: called with problems of the cache; None if it does not matter whether states are cached.
    """

    def __init__(
        self,
        cache: StateCache,
        encoder: Encoder,
        weights: str,
        block: int,
        bf16: bool,
        exact: bool,
        remark: Remark | None,
    ) -> None:
        self.cache, self.encoder, self.weights, self.block = cache, encoder, weights, block
        self.bf16, self.rounded, self.remark = bf16, bf16 and not exact, remark

    @contextlib.contextmanager
    def states_of(self, features: Features) -> Iterator[LowerStates]:
        """Provide the states of some features within the context: read them, or compute and write them.

        A set becomes complete, and is cached, if every feature is used within the context.
        """
        layout = StateLayout.of(features, self.encoder.architecture.text_format.token_types)
        lower = LowerStates(self, layout)
        try:
            yield lower
            lower.commit()
        finally:
            lower.close()

    def fill(
        self, features: Features, pad: int, stop: Callable[[], bool], report: Callable[[int, int], None]
    ) -> LowerStates:
        """Return the states of some features, computed now if missing.

        If they cannot be cached, they are recomputed on each use; under autocast only if they are too large for the
        cache at any time, because those of other batches have other bits, and equal specs have equal results.

        Args:
            features: in any order; they are batched by length.
            pad: id of the padding token.
            stop: called before every batch.
            report: called with the number of features that are done, and their total.

        Raises:
            Interrupted: ``stop`` returned True.
            ResourceError: states under autocast could not be written, although the cache may have them.
        """
        for _ in range(_ATTEMPTS):
            lower, is_lost = self._fill(features, pad, stop, report)
            if not is_lost:
                break
        if self.rounded and lower.size and lower.cached is None and self.cache.can_ever_keep(lower.size):
            raise ResourceError(
                f"{self.cache.folder}: {size(lower.size)} of hidden states cannot be kept, and in bf16 those of other"
                " batches would give another result; free some space, or give train.cache=false"
            )
        return lower

    def _fill(
        self, features: Features, pad: int, stop: Callable[[], bool], report: Callable[[int, int], None]
    ) -> tuple[LowerStates, bool]:
        """Fill once; return the states, and whether they were written but vanished. Arguments as of :meth:`fill`."""
        done = 0
        with self.states_of(features) as lower:
            was_writing = lower.is_writing
            runs = sorted_runs(features.sizes, features.lengths, TOKENS) if was_writing else ()
            for run in runs:
                if stop():
                    raise Interrupted("stopped while hidden states were computed; they begin anew")
                lower(run, collate([features.items[i] for i in run], pad, self.encoder.device))
                done += len(run)
                report(done, len(features.items))
                if not lower.is_writing:
                    break
        return lower, was_writing and lower.cached is None

    def compute(self, batch: Batch) -> Tensor:
        """Compute the states of a batch; those at padding are arbitrary."""
        with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.bf16):
            return self.encoder.below(batch.ids, batch.mask, self.block, batch.types)


class LowerStates:
    """The states of some features; called with features and their batch, it returns where the encoder starts.

    Args:
        layers: the layers that compute them.
        layout: layout of the features.

    Attributes:
        cached: the flat file that states are read from; None while they are computed.
    """

    def __init__(self, layers: FrozenLayers, layout: StateLayout) -> None:
        self.layers, self.layout = layers, layout
        self.hidden = layers.encoder.hidden
        self.dtype = np.dtype(np.int16 if layers.rounded else np.float32)
        self.size = int(layout.start[-1]) * self.hidden * self.dtype.itemsize
        self.fields = {
            "version": _VERSION,
            "trunk": layers.weights,
            "block": layers.block,
            "rows": layout.digest,
            "tokens": TOKENS,
            "autocast": layers.bf16,
            "dtype": "bfloat16" if layers.rounded else "float32",
            "environment": layers.cache.environment,
        }
        self.key = hashing.of(self.fields)
        self.cached: NDArray[Any] | None = None
        self._writer: StateWriter | None = None
        if self.size and not self._open():
            self._writer = layers.cache.create(self.key, self.size, layers.remark)

    def __call__(self, rows: Sequence[int], batch: Batch) -> tuple[int, Tensor]:
        """Return the block, and the (sequences, tokens, hidden) states that are its input.

        Args:
            rows: numbers of the features.
            batch: batch of these features.
        """
        if self.cached is not None:
            return self.layers.block, self._read(self.cached, rows, batch)
        states = self.layers.compute(batch)
        if self.layers.rounded:
            states = states.bfloat16()
        if self._writer:
            self._write(self._writer, rows, states)
        return self.layers.block, states.float() if self.layers.rounded else states

    @property
    def is_writing(self) -> bool:
        """Return whether computed states are written to the cache."""
        return self._writer is not None

    def commit(self) -> None:
        """Keep what was written if it is complete, and read it from now on."""
        if not self._writer:
            return
        try:
            is_complete = self._writer.commit(self.fields)
        except OSError as error:
            self._abandon(error)
            return
        if is_complete:
            self._open()

    def close(self) -> None:
        """Stop writing."""
        if self._writer:
            self._writer.close()
            self._writer = None

    def _open(self) -> bool:
        """Map the cached file; return whether there is one."""
        path = self.layers.cache.open(self.key, self.size, self.layers.remark or (lambda line: None))
        if path is not None:
            with contextlib.suppress(OSError, ValueError):  # another process dropped it
                shape = (int(self.layout.start[-1]), self.hidden)
                self.cached = np.memmap(path, self.dtype, "r", shape=shape)
        return self.cached is not None

    def _read(self, cached: NDArray[Any], rows: Sequence[int], batch: Batch) -> Tensor:
        """Return the states of a batch from the file; zeros at padding."""
        spans = self.layout.spans(rows)
        padded = np.zeros((len(spans), batch.ids.shape[1], self.hidden), self.dtype)
        for i, (start, end) in enumerate(spans):
            padded[i, : end - start] = cached[start:end]
        states = torch.from_numpy(padded).to(batch.ids.device)
        return states.view(torch.bfloat16).float() if self.layers.rounded else states

    def _write(self, writer: StateWriter, rows: Sequence[int], states: Tensor) -> None:
        """Write the states of a batch, without padding."""
        states = states.detach().cpu()
        if not self.layers.rounded and states.dtype != torch.float32:
            self._abandon(OSError(f"hidden states are {states.dtype}, expected float32"))
            return
        array = states.view(torch.int16).numpy() if self.layers.rounded else states.numpy()
        try:
            for i, (start, end) in enumerate(self.layout.spans(rows)):
                writer.put(start * self.hidden * self.dtype.itemsize, array[i, : end - start].tobytes())
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        """Stop writing because of an error."""
        if self.layers.remark:
            self.layers.remark(f"hidden states are not cached: {error.strerror or error}")
        self.close()


def identity(entries: Store, model: Model, base: str | None, block: int) -> str:
    """Return what identifies the weights below a block: the base model, or the phase that trained them last.

    Args:
        entries: where the phases are.
        model: the base model.
        base: key of the full fine-tuning phase whose encoder it is; None for the base model's.
        block: counted from 0; the embeddings are below block 0.
    """
    while base is not None:
        phase = phase_of(entries.entry(base), WeightsPhase)
        is_frozen = isinstance(phase, TrainPhase) and phase.method.trains_encoder
        if not is_frozen or phase.method.lowest_block(model.shape["layers"]) < block:
            return base
        base = (phase.init if isinstance(phase, TrainPhase) else None) or phase.base
    return hashing.of(model.fingerprint.identity())
