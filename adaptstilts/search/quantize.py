"""Vectors as 8-bit integers, with how much each row lost: what a search in few bits may leave out for certain.

Encoders put most of every vector into a direction that all share; the products then differ in late digits, which 8
bits do not hold. So each side is centred where that shortens it: with centres a and b,
x y = (x - a)(y - b) + (b x - a b / 2) + (a y - a b / 2). The first product is taken in 8 bits; the two other terms are
whole numbers of its steps, written in base 127 into some more entries, so that one integer product gives the sum.

A centred row u is s q + r with integers q, one scale s for a side, and a remainder r whose length is measured. Then
|u v - s t (q p)| = |r v + (s q) r'| <= |r| |v| + (|u| + |r|) |r'| (Cauchy-Schwarz), whatever the rounding did.

Rows are turned before by an orthogonal matrix, which changes no product but evens out their entries, so that one scale
fits them all. The matrix is a random choice of signs and a Kronecker product of two cosine transforms, which costs a
tenth of a full one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptstilts.search.exact import Vectors

Each = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
LEVELS = 127
WIDTH = 32  # entries of a row are a multiple of it: torch's product of narrow ones is wrong
BLOCK = 512
_SAMPLE = 512
_SHARES = tuple(share / 20 for share in range(8, 25))  # of a sample's largest entry, tried as the largest integer
_USUAL = 0.99  # of the rows; the others may have lost more
_SHORTER = 0.8  # rows must become so much shorter that centring pays
_DIGITS = 256  # at most, of the terms of a centred side


@dataclass(frozen=True)
class Side:
    """Vectors and their 8-bit form.

    Attributes:
        rows: (n, d) float32, as given.
        rounded: (n, d or more) int8.
        bound: (n,) float64; at most so far is a product of each row with any usual row of the other side from its
            8-bit one.
        extra: (n,) float64; how much further it may be for each row of this side, because it lost more than usual.
    """

    rows: Tensor
    rounded: Tensor
    bound: Tensor
    extra: Tensor


@dataclass(frozen=True)
class _Centred:
    """A centred and turned side as integers, the term that goes with it, and lengths of rows and their remainders.

    Attributes:
        whole: (n, d) int8.
        scale: what an integer stands for.
        term: (n,) float64.
        length: (n,) float64.
        lost: (n,) float64.
    """

    whole: Tensor
    scale: float
    term: Tensor
    length: Tensor
    lost: Tensor

    @property
    def usual(self) -> float:
        """What nearly all rows have lost at most."""
        return float(self.lost.quantile(_USUAL)) if len(self.lost) < 2**24 else float(_sample(self.lost).max())

    def bound(self, other: _Centred, step: float) -> Tensor:
        """See :class:`Side`; the terms are off by half a step each, and by their own rounding."""
        off = self.lost * float(other.length.max()) + (self.length + self.lost) * other.usual
        return off + step + 1e-6

    def further(self, other: _Centred) -> Tensor:
        """See :class:`Side`."""
        return (self.lost - self.usual).clamp(min=0) * float((other.length + other.lost).max())


@dataclass(frozen=True)
class Steps:
    """What an 8-bit product p stands for: ``zero`` + p ``unit``."""

    unit: float
    zero: float


def sides(foreign: Vectors, english: Vectors, each: Each = map) -> tuple[Side, Side, Steps]:
    """Both sides in 8 bits, and what their products stand for.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        each: does blocks of rows, one after the other or at once.
    """
    rows = [torch.from_numpy(side) for side in (foreign, english)]
    centres = [_sample(side).mean(0) for side in rows]
    none = [torch.zeros_like(centre) for centre in centres]
    lengths = [float((_sample(side) - centre).norm(dim=1).mean()) for side, centre in zip(rows, centres, strict=True)]
    found = _sides(rows, centres, each) if max(lengths) < _SHORTER else None
    found = found or _sides(rows, none, each)
    assert found is not None  # noqa: S101 (without centres there are no terms)
    return found


def _sides(rows: list[Tensor], centres: list[Tensor], each: Each) -> tuple[Side, Side, Steps] | None:
    """The same with given centres; None if the terms do not fit into what integers can hold."""
    turn = _Turn(rows[0].shape[1])
    x, y = (_centred(rows[i], centres[i], centres[1 - i], turn, each) for i in (0, 1))
    step = x.scale * y.scale
    zeros = [float(side.term.mean()) for side in (x, y)]
    terms = [torch.round((side.term - zero) / step) for side, zero in zip((x, y), zeros, strict=True)]
    spare = [2 + int(term.abs().max()) // LEVELS**2 if term.any() else 0 for term in terms]
    if sum(spare) > _DIGITS:
        return None
    made = []
    for i, (own, other) in enumerate(((x, y), (y, x))):
        entries = [_digits(terms[i], spare[j]) if i == j else _weights(spare[j]) for j in (0, 1)]
        made.append(Side(rows[i], _wide(own.whole, entries), own.bound(other, step), own.further(other)))
    return made[0], made[1], Steps(step, sum(zeros))


def _wide(whole: Tensor, entries: list[Tensor]) -> Tensor:
    """Integers with some more entries, and zeros up to a width that torch can multiply."""
    width = whole.shape[1]
    wide = -(-(width + sum(part.shape[-1] for part in entries)) // WIDTH) * WIDTH
    if wide == width:
        return whole
    held = torch.zeros((len(whole), wide), dtype=torch.int8)
    held[:, :width] = whole
    for part in entries:
        held[:, width : width + part.shape[-1]] = part
        width += part.shape[-1]
    return held


def _digits(term: Tensor, places: int) -> Tensor:
    """Whole numbers as ``places`` entries of at most 127, to be summed with the weights of the other side."""
    digits = torch.zeros(len(term), places)
    high = torch.round(term / LEVELS)
    for place in range(places):
        digits[:, place] = (high if place else term - LEVELS * high).clamp(-LEVELS, LEVELS)
        high = high - digits[:, place] if place else high
    return digits


def _weights(places: int) -> Tensor:
    """The other side's entries for the digits of a term: 1, and 127 for all but the first."""
    weights = torch.full((places,), float(LEVELS))
    weights[:1] = 1
    return weights


def _sample(rows: Tensor) -> Tensor:
    return rows[:: max(1, len(rows) // _SAMPLE)]


def _centred(rows: Tensor, centre: Tensor, other: Tensor, turn: _Turn, each: Each) -> _Centred:
    """One side, rounded at the scale that loses least on a sample; entries beyond it are cut off and so lost."""
    width, scale = rows.shape[1], _scale(turn(_sample(rows) - centre))
    whole = torch.from_numpy(np.empty((len(rows), width), np.int8))  # numpy asks Linux for large pages
    length, lost = torch.empty(len(rows), dtype=torch.float64), torch.empty(len(rows), dtype=torch.float64)
    term, far = torch.empty(len(rows), dtype=torch.float64), other.double()

    def fill(start: int) -> None:
        at = slice(start, min(start + BLOCK, len(rows)))
        block = rows[at] - centre
        length[at], term[at] = block.norm(dim=1).double(), rows[at].double() @ far
        block = turn(block).div_(scale)
        whole[at] = block.round().clamp_(-LEVELS, LEVELS)
        lost[at] = block.sub_(whole[at]).norm(dim=1).double()

    deque(each(fill, range(0, len(rows), BLOCK)), maxlen=0)
    term -= float(centre.double() @ far) / 2
    more = 1 + width * 2.0**-22  # the lengths' own rounding
    return _Centred(whole, scale, term, length * more, lost * scale * more + turn.error * length)


def _scale(turned: Tensor) -> float:
    """What an integer stands for so that nearly all rows of a sample lose little."""
    top = max(float(turned.abs().max()), 1e-6)  # rows have length one, but those of a sample may all be zero

    def usual(scale: float) -> float:
        block = turned / scale
        return float((block - block.round().clamp(-LEVELS, LEVELS)).norm(dim=1).quantile(_USUAL)) * scale

    return min((share * top / LEVELS for share in _SHARES), key=usual)


class _Turn:
    """Rows times one orthogonal matrix, the same for all rows of a width.

    ``error`` is how far a turned row of length one may be from where it belongs: float32 rounding of two products over
    p and q entries (Higham 2002, section 3.1, with the norm of absolute values at most the root of their number).
    """

    def __init__(self, width: int) -> None:
        outer = max(p for p in range(1, math.isqrt(width) + 1) if width % p == 0)
        inner = width // outer
        signs = np.random.default_rng(width).choice([-1.0, 1.0], width)
        self.signs = torch.from_numpy(signs.astype(np.float32))
        self.outer, self.inner = _cosines(outer), _cosines(inner)
        self.error = (outer**1.5 + inner**1.5 + 4) * 2.0**-22

    def __call__(self, rows: Tensor) -> Tensor:
        outer, inner = len(self.outer), len(self.inner)
        half = (rows * self.signs).view(-1, inner) @ self.inner
        return torch.matmul(self.outer, half.view(len(rows), outer, inner)).view(len(rows), -1)


def _cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (type 2)."""
    at = np.arange(size)
    table = np.sqrt(2 / size) * np.cos(np.pi * np.outer(at + 0.5, at) / size)
    table[:, 0] = np.sqrt(1 / size)
    return torch.from_numpy(table.astype(np.float32))
