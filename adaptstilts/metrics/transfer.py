"""How well a representation or a ranking predicts a score: LogME, regret, rank correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.scores import mean_ranks

Matrix = NDArray[np.float64]
_ROUNDS = 100
_TOLERANCE = 1e-6
_SMALL = 1e-12


def logme(features: Matrix, targets: Matrix) -> float:
    """Compute LogME: the largest log evidence of a linear model (You et al. 2021, arXiv 2102.11005).

    With ``y = F w + noise``, ``w ~ N(0, 1/alpha)`` and noise of precision ``beta``, both precisions are set to where
    the evidence is largest, by fixed-point iteration in the basis of the singular vectors.

    Args:
        features: (examples, dimensions).
        targets: (examples, columns); for classes one column of zeros and ones each.

    Returns:
        The log evidence per example, averaged over columns.
    """
    basis, values, _ = np.linalg.svd(features, full_matrices=False)
    evidences = [_evidence(basis.T @ column, float(column @ column), values, len(features)) for column in targets.T]
    return float(np.mean(evidences))


def _evidence(inside: Matrix, squared_length: float, values: Matrix, n: int) -> float:
    """Return the largest log evidence per example of one column of targets.

    Args:
        inside: the column in the singular basis: (dimensions,).
        squared_length: squared length of the whole column.
        values: singular values of the features: (dimensions,).
        n: number of examples.
    """
    outside, squares = max(squared_length - float(inside @ inside), 0.0), values**2
    alpha = beta = 1.0
    for _ in range(_ROUNDS):
        norm, residual = _moments(inside, outside, values, alpha, beta)
        gamma = float((beta * squares / (alpha + beta * squares)).sum())
        before = alpha, beta
        alpha, beta = gamma / (norm + _SMALL), (n - gamma) / (residual + _SMALL)
        if abs(alpha / before[0] - 1) < _TOLERANCE and abs(beta / before[1] - 1) < _TOLERANCE:
            break
    norm, residual = _moments(inside, outside, values, alpha, beta)
    evidence = len(values) * np.log(alpha) + n * np.log(beta / (2 * np.pi))
    evidence -= beta * residual + alpha * norm + np.log(alpha + beta * squares).sum()
    return float(evidence / (2 * n))


def _moments(inside: Matrix, outside: float, values: Matrix, alpha: float, beta: float) -> tuple[float, float]:
    """Return the squared length of the posterior mean, and its squared residual.

    Args:
        inside: the targets in the singular basis: (dimensions,).
        outside: squared length of the part of the targets outside that basis.
        values: singular values of the features: (dimensions,).
        alpha: precision of the weights.
        beta: precision of the noise.
    """
    spread = alpha + beta * values**2
    weights = beta * values * inside / spread
    return float(weights @ weights), outside + float(((inside * alpha / spread) ** 2).sum())


def regret(truth: Mapping[str, float], order: Sequence[str], k: int) -> float:
    """Compute what trying only the first ``k`` candidates loses (Poth et al. 2021, arXiv 2104.08247).

    Args:
        truth: score of every candidate.
        order: the candidates, the most promising first.
        k: how many are tried.

    Returns:
        The loss in per cent of the best score.
    """
    best = max(truth.values())
    tried = max(truth[name] for name in order[:k])
    return 100 * (best - tried) / best if best else 0.0


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Compute Spearman's rho, equal values having their mean rank; None for fewer than three or only equal values."""
    if len(a) < 3 or len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return float(np.corrcoef(mean_ranks(a), mean_ranks(b))[0, 1])
