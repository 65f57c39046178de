"""Vectors as 8-bit integers, with a bound on what each row lost: which cells a search in 8 bits can safely skip.

Encoders put most of every vector into a direction that all share; the products then differ in late digits, which 8
bits do not represent. So each side is centred if that shortens it: with centres a and b,
x y = (x - a)(y - b) + (b x - a b / 2) + (a y - a b / 2). The first product is taken in 8 bits; the two other terms are
rounded to whole steps of it and written in base 127 into some more entries, so that one integer product gives the sum.

A centred row u is s q + r with integers q, one scale s per side, and a remainder r whose length is measured. Then
|u v - s t (q p)| = |r v + (s q) r'| <= |r| |v| + (|u| + |r|) |r'| (Cauchy-Schwarz), whatever the rounding did.

Rows are first rotated by an orthogonal matrix, which changes no product but evens out their entries, so that one scale
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

from adaptstilts.search.base import Vectors

MapBlocks = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
LEVELS = 127
WIDTH_MULTIPLE = 32  # of the entries of a row: torch's product of narrow ones is wrong
BLOCK_ROWS = 512
_SAMPLE_ROWS = 512
_SCALES = tuple(share / 20 for share in range(8, 25))  # tried, as shares of a sample's largest entry
_USUAL = 0.99  # quantile of the lost lengths; rows above it lost more than usual
_SHORTER = 0.8  # centring must shorten rows to this share of their length to pay
_MAX_DIGITS = 256  # for the terms of both sides


@dataclass(frozen=True)
class QuantizedSide:
    """Vectors and their 8-bit form.

    Attributes:
        vectors: (n, d) float32, unchanged.
        rounded: (n, d or more) int8.
        bound: (n,) float64; maximum error of the 8-bit product of each row with any usual row of the other side.
        excess: (n,) float64; how much more that error can be for each row because it lost more than usual.
    """

    vectors: Tensor
    rounded: Tensor
    bound: Tensor
    excess: Tensor


@dataclass(frozen=True)
class ProductScale:
    """What an 8-bit product p stands for: ``offset`` + p ``unit``."""

    unit: float
    offset: float


@dataclass(frozen=True)
class _CentredSide:
    """A centred and rotated side as integers.

    Attributes:
        integers: (n, d) int8.
        scale: value of one integer step.
        term: (n,) float64; what the centred products of each row lack.
        length: (n,) float64; bound of the length of each centred row.
        lost: (n,) float64; bound of the length of its remainder.
    """

    integers: Tensor
    scale: float
    term: Tensor
    length: Tensor
    lost: Tensor

    @property
    def usual_loss(self) -> float:
        """Length that nearly all rows have lost at most."""
        if len(self.lost) < 2**24:  # torch's limit for quantiles
            return float(self.lost.quantile(_USUAL))
        return float(_sample(self.lost).max())

    def bound(self, other: _CentredSide, step: float) -> Tensor:
        """Return :attr:`QuantizedSide.bound`; the terms are off by half a step each, and by their own rounding."""
        error = self.lost * float(other.length.max()) + (self.length + self.lost) * other.usual_loss
        return error + step + 1e-6

    def excess(self, other: _CentredSide) -> Tensor:
        """Return :attr:`QuantizedSide.excess`."""
        return (self.lost - self.usual_loss).clamp(min=0) * float((other.length + other.lost).max())


def quantize_sides(
    foreign: Vectors, english: Vectors, map_blocks: MapBlocks = map
) -> tuple[QuantizedSide, QuantizedSide, ProductScale]:
    """Quantize both sides.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        map_blocks: applies a function to blocks of rows, in turn or in parallel.

    Returns:
        Both sides in 8 bits, and what their products stand for.
    """
    x, y = torch.from_numpy(foreign), torch.from_numpy(english)
    centres = _sample(x).mean(0), _sample(y).mean(0)
    longest = max(_mean_length(x, centres[0]), _mean_length(y, centres[1]))
    if longest < _SHORTER:
        quantized = _quantize_around(x, y, *centres, map_blocks)
        if quantized is not None:
            return quantized
    quantized = _quantize_around(x, y, torch.zeros_like(centres[0]), torch.zeros_like(centres[1]), map_blocks)
    assert quantized is not None  # noqa: S101 (without centres there are no terms)
    return quantized


def _mean_length(rows: Tensor, centre: Tensor) -> float:
    return float((_sample(rows) - centre).norm(dim=1).mean())


def _quantize_around(
    x: Tensor, y: Tensor, x_centre: Tensor, y_centre: Tensor, map_blocks: MapBlocks
) -> tuple[QuantizedSide, QuantizedSide, ProductScale] | None:
    """Quantize both sides around their centres.

    Returns:
        As :func:`quantize_sides`; None if the terms do not fit into integers.
    """
    rotation = _Rotation(x.shape[1])
    left = _centre(x, x_centre, y_centre, rotation, map_blocks)
    right = _centre(y, y_centre, x_centre, rotation, map_blocks)
    step = left.scale * right.scale
    offsets = float(left.term.mean()), float(right.term.mean())
    left_term = torch.round((left.term - offsets[0]) / step)
    right_term = torch.round((right.term - offsets[1]) / step)
    left_digits, right_digits = _digits_needed(left_term), _digits_needed(right_term)
    if left_digits + right_digits > _MAX_DIGITS:
        return None
    x_entries = [_to_digits(left_term, left_digits), _digit_weights(right_digits)]
    y_entries = [_digit_weights(left_digits), _to_digits(right_term, right_digits)]
    quantized_x = QuantizedSide(x, _append(left.integers, x_entries), left.bound(right, step), left.excess(right))
    quantized_y = QuantizedSide(y, _append(right.integers, y_entries), right.bound(left, step), right.excess(left))
    return quantized_x, quantized_y, ProductScale(step, sum(offsets))


def _append(integers: Tensor, entries: list[Tensor]) -> Tensor:
    """Append entries to every row, and zeros up to a width that torch can multiply."""
    width = integers.shape[1]
    extended_width = width + sum(part.shape[-1] for part in entries)
    padded_width = -(-extended_width // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    if padded_width == width:
        return integers
    padded = torch.zeros((len(integers), padded_width), dtype=torch.int8)
    padded[:, :width] = integers
    for part in entries:
        padded[:, width : width + part.shape[-1]] = part
        width += part.shape[-1]
    return padded


def _digits_needed(term: Tensor) -> int:
    """Return how many entries :func:`_to_digits` needs for the whole numbers of a term."""
    if not term.any():
        return 0
    return 2 + int(term.abs().max()) // LEVELS**2


def _to_digits(term: Tensor, places: int) -> Tensor:
    """Write whole numbers as entries of at most 127, to be summed with the :func:`_digit_weights` of the other side.

    Args:
        term: (n,) whole numbers.
        places: entries of each.
    """
    digits = torch.zeros(len(term), places)
    if not places:
        return digits
    high = torch.round(term / LEVELS)
    digits[:, 0] = (term - LEVELS * high).clamp(-LEVELS, LEVELS)
    for place in range(1, places):
        digits[:, place] = high.clamp(-LEVELS, LEVELS)
        high = high - digits[:, place]
    return digits


def _digit_weights(places: int) -> Tensor:
    """Return the weights of digits, which are entries of the other side: 1, and 127 for all but the first."""
    weights = torch.full((places,), float(LEVELS))
    weights[:1] = 1
    return weights


def _sample(rows: Tensor) -> Tensor:
    """Return evenly spread rows."""
    return rows[:: max(1, len(rows) // _SAMPLE_ROWS)]


def _centre(
    rows: Tensor, centre: Tensor, other_centre: Tensor, rotation: _Rotation, map_blocks: MapBlocks
) -> _CentredSide:
    """Centre, rotate and round one side at the scale that loses least on a sample.

    Entries beyond the largest integer are cut off and count as lost.

    Args:
        rows: (n, d).
        centre: (d,) of this side.
        other_centre: (d,) of the other side.
        rotation: rotation of both sides.
        map_blocks: see :func:`quantize_sides`.
    """
    width = rows.shape[1]
    scale = _best_scale(rotation.apply(_sample(rows) - centre))
    integers = torch.from_numpy(np.empty((len(rows), width), np.int8))  # numpy asks Linux for large pages
    length, lost, term = (torch.empty(len(rows), dtype=torch.float64) for _ in range(3))
    other = other_centre.double()

    def fill(start: int) -> None:
        at = slice(start, min(start + BLOCK_ROWS, len(rows)))
        block = rows[at] - centre
        length[at] = block.norm(dim=1).double()
        term[at] = rows[at].double() @ other
        block = rotation.apply(block).div_(scale)
        integers[at] = block.round().clamp_(-LEVELS, LEVELS)
        lost[at] = block.sub_(integers[at]).norm(dim=1).double()

    deque(map_blocks(fill, range(0, len(rows), BLOCK_ROWS)), maxlen=0)
    term -= float(centre.double() @ other) / 2
    rounding = 1 + width * 2.0**-22  # of the lengths themselves
    lost = lost * scale * rounding + rotation.error * length
    return _CentredSide(integers, scale, term, length * rounding, lost)


def _best_scale(sample: Tensor) -> float:
    """Choose the value of an integer step so that nearly all rows of a rotated sample lose little."""
    largest = max(float(sample.abs().max()), 1e-6)  # all rows of a sample may be zero

    def usual_loss(scale: float) -> float:
        scaled = sample / scale
        remainder = scaled - scaled.round().clamp(-LEVELS, LEVELS)
        return float(remainder.norm(dim=1).quantile(_USUAL)) * scale

    return min((share * largest / LEVELS for share in _SCALES), key=usual_loss)


class _Rotation:
    """An orthogonal matrix, the same for all rows of a width.

    Attributes:
        error: bound of the distance between a rotated row of length one and its true place: float32 rounding of two
            products over p and q entries (Higham 2002, section 3.1, with the norm of absolute values at most the root
            of their number).
    """

    def __init__(self, width: int) -> None:
        outer = next(p for p in range(math.isqrt(width), 0, -1) if width % p == 0)
        inner = width // outer
        signs = np.random.default_rng(width).choice([-1.0, 1.0], width)
        self._signs = torch.from_numpy(signs.astype(np.float32))
        self._outer, self._inner = _cosine_transform(outer), _cosine_transform(inner)
        self.error = (outer**1.5 + inner**1.5 + 4) * 2.0**-22

    def apply(self, rows: Tensor) -> Tensor:
        """Rotate rows (n, d)."""
        outer, inner = len(self._outer), len(self._inner)
        half = (rows * self._signs).view(-1, inner) @ self._inner
        rotated = torch.matmul(self._outer, half.view(len(rows), outer, inner))
        return rotated.view(len(rows), -1)


def _cosine_transform(size: int) -> Tensor:
    """Return the matrix of the orthonormal cosine transform (type 2)."""
    at = np.arange(size)
    angles = np.pi * np.outer(at + 0.5, at) / size
    table = np.sqrt(2 / size) * np.cos(angles)
    table[:, 0] = np.sqrt(1 / size)
    return torch.from_numpy(table.astype(np.float32))
