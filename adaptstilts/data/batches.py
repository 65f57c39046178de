"""Choose the rows of every batch, and their order, as a function of lengths, seed and epoch alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

MEGA = 50  # batches per group that is sorted by length

Sizes = Sequence[int] | Mapping[int, int]


def epoch_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int, bucket: bool = True) -> list[list[int]]:
    """Return the batches of one epoch, as row numbers.

    With ``bucket``, rows are shuffled, cut into groups of ``MEGA`` batches and sorted by length within each group; then
    the groups are cut into batches, whose order is shuffled. Padding stays below a few per cent, and epochs differ.

    Args:
        lengths: tokens of each row.
        batch_size: rows per batch; the last batch of an epoch may be smaller.
        seed: seed of the phase.
        epoch: number of the epoch, from 0. The order depends on (seed, epoch) only, so a resumed epoch is the same.
        bucket: whether to group rows by length; False keeps the shuffled order, for fixed padding.
    """
    generator = random.Random(f"order-{seed}-{epoch}")
    rows = list(range(len(lengths)))
    generator.shuffle(rows)
    if not bucket:
        return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    batches: list[list[int]] = []
    for i in range(0, len(rows), MEGA * batch_size):
        group = sorted(rows[i : i + MEGA * batch_size], key=lambda row: lengths[row])
        batches += [group[j : j + batch_size] for j in range(0, len(group), batch_size)]
    generator.shuffle(batches)
    return batches


def by_tokens(rows: Sequence[int], sizes: Sizes, lengths: Sizes, budget: int) -> list[list[int]]:
    """Cut rows into runs whose padded size stays within a token budget; a run has at least one row.

    Args:
        rows: row numbers, in the order to keep.
        sizes: sequences of each row (more than one for multiple choice).
        lengths: tokens of the longest sequence of each row.
        budget: padded tokens per run.
    """
    runs: list[list[int]] = []
    count = longest = 0
    for row in rows:
        count += sizes[row]
        longest = max(longest, lengths[row])
        if not runs or count * longest > budget:
            runs.append([])
            count, longest = sizes[row], lengths[row]
        runs[-1].append(row)
    return runs


def sorted_runs(sizes: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Cut all rows, the longest first, into the batches of an evaluation.

    Args:
        sizes: sequences of each row.
        lengths: tokens of the longest sequence of each row.
        budget: padded tokens per batch.
    """
    rows = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    return by_tokens(rows, sizes, lengths, budget)
