"""The backend ``one-pass``: both directions at once, from products in 8 bits.

The search itself is in :mod:`adaptstilts.search.int8.tiles`, which imports torch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from adaptstilts.search.base import Backend, Neighbours, Vectors

MIN_ROWS = 4096  # of the smaller side; below that it does not pay
_CPU_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}  # without them sums may be cut off at 16 bits
_CPUINFO = Path("/proc/cpuinfo")


class OnePass(Backend):
    """Exact search in both directions that computes every product once, in 8 bits."""

    name = "one-pass"

    def neighbours(self, queries: Vectors, index: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest rows of the index for every query."""
        if not len(queries):
            from adaptstilts.search import exact

            return exact.BACKEND.neighbours(queries, index, k)
        return self.mutual_neighbours(queries, index, k)[0]

    def mutual_neighbours(self, foreign: Vectors, english: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
        """Find the ``k`` nearest rows of the other side for the rows of both sides."""
        from adaptstilts.search.int8 import tiles

        return tiles.mutual_neighbours(foreign, english, k)

    def why_not_available(self) -> str | None:
        """Return what the processor or torch lacks."""
        if has_int8():
            return None
        return f"needs a processor with 8-bit products ({', '.join(sorted(_CPU_FLAGS))}); use auto"

    def priority(self, queries: int, index: int, mutual: bool) -> int | None:
        """Return 20 for many rows in both directions: ahead of a CPU's FAISS, behind a GPU's."""
        return 20 if mutual and min(queries, index) >= MIN_ROWS else None


BACKEND = OnePass()


@cache
def has_int8() -> bool:
    """Return whether the processor and torch have exact 8-bit products."""
    import torch

    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return hasattr(torch, "_int_mm") and not _CPU_FLAGS.isdisjoint(text.split())
