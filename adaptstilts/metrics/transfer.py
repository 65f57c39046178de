"""How well a representation or a ranking foretells a score: LogME, regret, rank correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_ROUNDS = 100
_SMALL = 1e-12


def logme(features: Matrix, targets: Matrix) -> float:
    """LogME: the largest log evidence, per example, of a linear model on features (You et al. 2021, arXiv 2102.11005).

    With ``y = F w + noise``, ``w ~ N(0, 1/alpha)`` and noise of precision ``beta``, both precisions are set to where
    the evidence is largest, by fixed-point iteration in the basis of the singular vectors.

    Args:
        features: (examples, dimensions).
        targets: (examples, columns); of classes one column of zeros and ones for each.

    Returns:
        The mean over columns.
    """
    basis, values, _ = np.linalg.svd(features, full_matrices=False)
    return float(np.mean([_evidence(basis.T @ y, float(y @ y), values, len(features)) for y in targets.T]))


def _evidence(inside: Matrix, length: float, values: Matrix, n: int) -> float:
    """Largest log evidence per example of one column: its part in the singular basis, and its squared length."""
    outside, squares = max(length - float(inside @ inside), 0.0), values**2
    alpha = beta = 1.0
    for _ in range(_ROUNDS):
        norm, residual = _moments(inside, outside, values, alpha, beta)
        gamma = float((beta * squares / (alpha + beta * squares)).sum())
        before = alpha, beta
        alpha, beta = gamma / (norm + _SMALL), (n - gamma) / (residual + _SMALL)
        if abs(alpha / before[0] - 1) < 1e-6 and abs(beta / before[1] - 1) < 1e-6:
            break
    norm, residual = _moments(inside, outside, values, alpha, beta)
    evidence = len(values) * np.log(alpha) + n * np.log(beta / (2 * np.pi))
    evidence -= beta * residual + alpha * norm + np.log(alpha + beta * squares).sum()
    return float(evidence / (2 * n))


def _moments(inside: Matrix, outside: float, values: Matrix, alpha: float, beta: float) -> tuple[float, float]:
    """Squared length of the posterior's mean, and its squared residual."""
    spread = alpha + beta * values**2
    weights = beta * values * inside / spread
    return float(weights @ weights), outside + float(((inside * alpha / spread) ** 2).sum())


def regret(truth: Mapping[str, float], order: Sequence[str], k: int) -> float:
    """What is lost by training on the first ``k`` alone, in per cent of the best (Poth et al. 2021, arXiv 2104.08247).

    Args:
        truth: score of every candidate.
        order: the candidates, the most promising first.
        k: how many are tried.
    """
    best = max(truth.values())
    return 100 * (best - max(truth[name] for name in order[:k])) / best if best else 0.0


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rho, ties at their mean rank; None for fewer than three values or none that differ."""
    if len(a) < 3 or len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> Matrix:
    held = np.asarray(values)
    return np.array([((held < value).sum() + ((held == value).sum() - 1) / 2) for value in held])
