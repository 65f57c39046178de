"""LogME against the evidence computed outright, regret and rank correlation against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from adaptstilts.metrics.transfer import logme, rank_correlation, regret


def evidence(features: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """Log density of y under N(0, F F' / alpha + 1 / beta), per example."""
    n = len(y)
    covariance = features @ features.T / alpha + np.eye(n) / beta
    sign, determinant = np.linalg.slogdet(covariance)
    assert sign > 0
    return float(-(n * np.log(2 * np.pi) + determinant + y @ np.linalg.solve(covariance, y)) / (2 * n))


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 20)])
def test_logme_is_the_largest_evidence(n: int, d: int) -> None:
    generator = np.random.default_rng(n)
    features = generator.normal(size=(n, d))
    y = features @ generator.normal(size=d) + generator.normal(size=n)
    found = logme(features, y[:, None])
    grid = np.exp(np.linspace(-6, 6, 61))
    best = max(evidence(features, y, alpha, beta) for alpha in grid for beta in grid)
    assert found == pytest.approx(best, abs=2e-3)
    assert found >= best - 1e-6


def test_logme_prefers_features_that_tell() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 200)
    targets = (labels[:, None] == np.arange(3)).astype(float)
    noise = generator.normal(size=(200, 16))
    telling = noise.copy()
    telling[:, :3] += 2 * targets
    assert logme(telling, targets) > logme(noise, targets) + 0.1
    assert np.isfinite(logme(telling, np.ones((200, 1))))


def test_regret_is_what_the_first_k_lose() -> None:
    truth = {"a": 50.0, "b": 40.0, "c": 45.0}
    assert regret(truth, ["b", "c", "a"], 1) == pytest.approx(20.0)
    assert regret(truth, ["b", "c", "a"], 2) == pytest.approx(10.0)
    assert regret(truth, ["b", "c", "a"], 3) == 0.0
    assert regret({"a": 0.0, "b": 0.0}, ["a", "b"], 1) == 0.0


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486832980505138)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
