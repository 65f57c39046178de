"""Hidden states of the frozen lower layers of an encoder: computed once, kept on disk, read again.

Below the lowest adapter that acts, and below the lowest weight that is trained, hidden states depend on the trunk and
on the token ids alone. They are computed without dropout, in the batches of an evaluation whoever asks first, so what
is kept is the same in every run. A set of them belongs to all sequences of some features and is one flat file without
padding, beside a manifest: whole or absent, hashed on first use, computed anew when it is damaged.
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
from adaptstilts.errors import Interrupted
from adaptstilts.io import hashing
from adaptstilts.models.batching import Batch, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import TrainPhase, WeightsPhase, phase_of
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.store.cache import Remark, StateCache, StateWriter
from adaptstilts.store.store import Store

_VERSION = 1


@dataclass(frozen=True)
class Layout:
    """Where the states of some features are in a set.

    Attributes:
        first: number of the first sequence of each feature, and one more at the end.
        start: first token of each sequence, and one more at the end.
        digest: of all token ids, and how they are divided.
    """

    first: NDArray[np.int64]
    start: NDArray[np.int64]
    digest: str

    @classmethod
    def of(cls, features: Features, typed: bool = False) -> Layout:
        """The layout of these features; ``typed`` if states depend on token types."""
        sequences = [sequence for item in features.items for sequence in item.sequences]
        first = np.cumsum([0, *features.sizes], dtype=np.int64)
        start = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        ids = np.fromiter(chain.from_iterable(sequences), np.int32, int(start[-1]))
        parts: list[NDArray[Any]] = [first, start, ids]
        if typed:
            second = chain.from_iterable(item.second or (None,) * len(item.sequences) for item in features.items)
            parts.append(np.array([-1 if place is None else place for place in second]))
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        return cls(first, start, digest)

    def spans(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """First token, and the one after the last, of every sequence of these features."""
        every = (i for row in rows for i in range(self.first[row], self.first[row + 1]))
        return [(int(self.start[i]), int(self.start[i + 1])) for i in every]


class Frozen:
    """The lower part of an encoder that nothing acts on and nothing trains.

    Args:
        cache: where its states are kept.
        encoder: as it is composed now.
        trunk: what its weights are known by; see :func:`identity`.
        block: of which the states are the input, counted as in :meth:`Encoder.first_active_block`.
        bf16: autocast.
        exact: keep states in float32; else those of autocast in bfloat16, and give them so rounded at once.
        remark: told what is not as it should be; None where it is of no consequence that states are not kept.
    """

    def __init__(
        self,
        cache: StateCache,
        encoder: Encoder,
        trunk: str,
        block: int,
        bf16: bool,
        exact: bool,
        remark: Remark | None,
    ) -> None:
        self.cache, self.encoder, self.trunk, self.block = cache, encoder, trunk, block
        self.bf16, self.rounded, self.remark = bf16, bf16 and not exact, remark

    @contextlib.contextmanager
    def over(self, features: Features) -> Iterator[Lower]:
        """States of some features, read within the block or, if they are not there, written by one pass over all."""
        lower = Lower(self, Layout.of(features, self.encoder.architecture.text_format.token_types))
        try:
            yield lower
            lower.commit()
        finally:
            lower.close()

    def filled(self, features: Features, pad: int, stop: Callable[[], bool], tell: Callable[[int, int], None]) -> Lower:
        """States of some features, computed now if they are not there; where they cannot be kept, at every use.

        Raises:
            Interrupted: ``stop`` said so.
        """
        done = 0
        with self.over(features) as lower:
            for run in sorted_runs(features.sizes, features.lengths, TOKENS) if lower.writing else ():
                if stop():
                    raise Interrupted("stopped while hidden states were computed; they begin anew")
                lower(run, collate([features.items[i] for i in run], pad, self.encoder.device))
                done += len(run)
                tell(done, len(features.items))
                if not lower.writing:
                    break
        return lower

    def compute(self, batch: Batch) -> Tensor:
        """States of a batch; at padding they are what the trunk makes of it."""
        with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.bf16):
            return self.encoder.below(batch.ids, batch.mask, self.block, batch.types)


class Lower:
    """The states of some features; call it with features and their batch for what ``Encoder.states`` starts from."""

    def __init__(self, frozen: Frozen, layout: Layout) -> None:
        self.frozen, self.layout = frozen, layout
        self.hidden, self.dtype = frozen.encoder.hidden, np.dtype(np.int16 if frozen.rounded else np.float32)
        self.size = int(layout.start[-1]) * self.hidden * self.dtype.itemsize
        self.fields = {
            "version": _VERSION,
            "trunk": frozen.trunk,
            "block": frozen.block,
            "rows": layout.digest,
            "tokens": TOKENS,
            "autocast": frozen.bf16,
            "dtype": "bfloat16" if frozen.rounded else "float32",
            "environment": frozen.cache.environment,
        }
        self.key = hashing.of(self.fields)
        self.kept: NDArray[Any] | None = None
        self.writing: StateWriter | None = None
        if self.size and not self._open():
            self.writing = frozen.cache.create(self.key, self.size, frozen.remark)

    def __call__(self, rows: Sequence[int], batch: Batch) -> tuple[int, Tensor]:
        """The block, and (sequences, tokens, hidden) states that go into it."""
        if self.kept is not None:
            return self.frozen.block, self._read(self.kept, rows, batch)
        states = self.frozen.compute(batch)
        if self.frozen.rounded:
            states = states.bfloat16()
        if self.writing:
            self._write(self.writing, rows, states)
        return self.frozen.block, states.float() if self.frozen.rounded else states

    def commit(self) -> None:
        """Keep what was written, if it is all, and read it from now on."""
        if self.writing:
            try:
                whole = self.writing.commit(self.fields)
            except OSError as error:
                self._abandon(error)
            else:
                if whole:
                    self._open()

    def close(self) -> None:
        """Stop writing."""
        if self.writing:
            self.writing.close()
            self.writing = None

    def _open(self) -> bool:
        frozen = self.frozen
        path = frozen.cache.open(self.key, self.size, frozen.remark or (lambda line: None))
        if path is not None:
            with contextlib.suppress(OSError, ValueError):  # another process dropped it
                shape = (int(self.layout.start[-1]), self.hidden)
                self.kept = np.memmap(path, self.dtype, "r", shape=shape)
        return self.kept is not None

    def _read(self, kept: NDArray[Any], rows: Sequence[int], batch: Batch) -> Tensor:
        spans = self.layout.spans(rows)
        held = np.zeros((len(spans), batch.ids.shape[1], self.hidden), self.dtype)
        for i, (start, end) in enumerate(spans):
            held[i, : end - start] = kept[start:end]
        states = torch.from_numpy(held).to(batch.ids.device)
        return states.view(torch.bfloat16).float() if self.frozen.rounded else states

    def _write(self, writing: StateWriter, rows: Sequence[int], states: Tensor) -> None:
        held = states.detach().cpu()
        if not self.frozen.rounded and held.dtype != torch.float32:
            self._abandon(OSError(f"hidden states are {held.dtype}, expected float32"))
            return
        array = held.view(torch.int16).numpy() if self.frozen.rounded else held.numpy()
        try:
            for i, (start, end) in enumerate(self.layout.spans(rows)):
                writing.put(start * self.hidden * self.dtype.itemsize, array[i, : end - start].tobytes())
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        if self.frozen.remark:
            self.frozen.remark(f"hidden states are not cached: {error.strerror or error}")
        self.close()


def identity(entries: Store, model: Model, base: str | None, block: int) -> str:
    """What the weights below a block are known by: the base model, or the phase that trained them last.

    Args:
        entries: where the phases are.
        model: the base model.
        base: key of the full fine-tuning phase whose encoder it is; None for the base model's.
        block: counted from 0, the embeddings being below block 0.
    """
    while base is not None:
        phase = phase_of(entries.entry(base), WeightsPhase)
        if not isinstance(phase, TrainPhase) or not phase.method.trains_encoder:
            return base
        if phase.method.lowest_block(model.shape["layers"]) < block:
            return base
        base = phase.init or phase.base
    return hashing.of(model.fingerprint.identity())
