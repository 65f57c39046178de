"""Vectors to search."""

from __future__ import annotations

import numpy as np

from adaptstilts.search.base import Vectors
from adaptstilts.search.products import normalize


def clustered(rows: int, width: int, seed: int) -> Vectors:
    """Return rows of length one around twelve centres, which are the same for every seed."""
    source = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((12, width))
    return normalize(
        (centres[source.integers(0, 12, rows)] + 0.5 * source.standard_normal((rows, width))).astype(np.float32)
    )
