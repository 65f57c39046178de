"""Intervals that count seeds and items: formulas by hand, influence values by the jackknife, coverage by simulation."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from adaptstilts.metrics.intervals import (
    Difference,
    corrected,
    detectable,
    holm,
    influence,
    number_items,
    paired_difference,
)
from adaptstilts.metrics.scores import measure

Array = NDArray[np.float64]


def difference(
    blocks: dict[str, Array], items: dict[str, list[Hashable]] | None = None, sample: bool = False
) -> Difference:
    """The interval of per-language differences (seeds, items)."""
    seeds = len(next(iter(blocks.values())))
    ours = [{code: block[seed] for code, block in blocks.items()} for seed in range(seeds)]
    zeros = [{code: np.zeros(block.shape[1]) for code, block in blocks.items()} for _ in range(seeds)]
    numbers = number_items(items) if items else None
    return paired_difference(ours, zeros, numbers, "sample" if sample else "fixed")


def test_the_two_way_formula_by_hand() -> None:
    generator = np.random.default_rng(3)
    seeds, n = 4, 50
    block = generator.normal(0, 1, (seeds, n)) + generator.normal(0, 2, (seeds, 1)) + generator.normal(0, 12, (1, n))
    rest = block - block.mean(axis=1, keepdims=True) - block.mean(axis=0) + block.mean()
    ms_seed = n * block.mean(axis=1).var(ddof=1)
    ms_item = seeds * block.mean(axis=0).var(ddof=1)
    ms_rest = (rest**2).sum() / (seeds - 1) / (n - 1)
    variance = (ms_seed + ms_item - ms_rest) / (seeds * n)
    freedom = [seeds - 1, n - 1, (seeds - 1) * (n - 1)]
    df = (ms_seed + ms_item - ms_rest) ** 2 / sum(
        ms**2 / each for ms, each in zip([ms_seed, ms_item, ms_rest], freedom, strict=True)
    )
    interval = difference({"de": block})
    assert interval.value == pytest.approx(block.mean())
    assert interval.error == pytest.approx(math.sqrt(variance))
    assert interval.df == pytest.approx(df, rel=1e-3)
    low, high = reference.t.interval(0.95, interval.df, interval.value, interval.error)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.p == pytest.approx(2 * reference.t.sf(abs(interval.value) / interval.error, interval.df))


def test_one_seed_has_no_training_noise_in_it() -> None:
    values = np.random.default_rng(0).normal(5, 1, (1, 400))
    interval = difference({"de": values})
    assert interval.seeds == 1
    assert interval.error == pytest.approx(values.std(ddof=1) / 20)
    assert interval.p == 1.0
    assert interval.detectable == math.inf


def test_shared_items_are_one_sample() -> None:
    """Two languages with the same rows say no more than one; with rows of their own they say more."""
    block = np.random.default_rng(1).normal(0, 1, (3, 200))
    ids: dict[str, list[Hashable]] = {"de": list(range(200)), "fr": list(range(200))}
    alone = difference({"de": block})
    both = difference({"de": block, "fr": block}, ids)
    assert both.error == pytest.approx(alone.error)
    own = difference({"de": block[:1], "fr": block[:1]})
    assert own.error == pytest.approx(difference({"de": block[:1]}).error / math.sqrt(2))


def test_items_shared_in_part() -> None:
    block = np.random.default_rng(1).normal(0, 1, (1, 200))
    half: dict[str, list[Hashable]] = {"de": list(range(200)), "fr": [*range(100), *range(1000, 1100)]}
    error = difference({"de": block, "fr": block}, half).error
    nested, shared = block.std(ddof=1) / 20, block.std(ddof=1) / math.sqrt(200)
    assert nested < error < shared


@pytest.mark.parametrize("name", ["ratio", "f1", "matthews", "pearson"])
def test_influence_is_what_leaving_a_row_out_does(name: str) -> None:
    """Against the jackknife: n (score - score without the row), to first order."""
    generator = np.random.default_rng(7)
    n = 400
    if name == "ratio":
        total = generator.integers(1, 9, n)
        rows = np.stack([generator.binomial(total, 0.7), total], axis=1)
    elif name == "f1":
        gold, right = generator.integers(1, 6, n), generator.integers(0, 2, n)
        rows = np.stack([right, gold + generator.integers(0, 2, n), gold], axis=1)
    elif name == "matthews":
        rows = np.eye(4)[generator.choice(4, n, p=[0.4, 0.1, 0.2, 0.3])]
    else:
        x = generator.normal(0, 1, n)
        y = x + generator.normal(0, 1, n)
        rows = np.stack([np.ones(n), x, y, x * x, y * y, x * y], axis=1)
    values = influence(name, rows.astype(float))
    score = measure(name, rows.sum(axis=0))  # type: ignore[arg-type]
    assert values.mean() == pytest.approx(score)
    left_out = np.array([measure(name, rows.sum(axis=0) - row) for row in rows])  # type: ignore[arg-type]
    jackknife = (n - 1) * (score - left_out)
    assert np.corrcoef(jackknife, values - score)[0, 1] > 0.999
    assert (values - score).std() == pytest.approx(jackknife.std(), rel=0.02)


def test_constant_scores_have_no_width() -> None:
    interval = difference({"de": np.zeros((3, 10))})
    assert (interval.low, interval.high, interval.p, interval.detectable) == (0.0, 0.0, 1.0, 0.0)
    assert difference({"de": np.ones((3, 10))}).p == 0.0
    assert not influence("matthews", np.eye(4)[np.zeros(5, int)]).any()
    assert not influence("ratio", np.zeros((5, 2))).any()


def test_equal_sides_differ_by_nothing() -> None:
    block = np.random.default_rng(2).normal(0, 1, (2, 9))
    side = [{"de": row} for row in block]
    same = paired_difference(side, side)
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_difference_is_the_mean_over_languages() -> None:
    interval = difference({"en": np.array([[100.0, 100, 0, 0]]), "de": np.array([[100.0, 0]])})
    assert interval.value == 50
    assert interval.low < 50 < interval.high


def test_the_interval_of_a_ratio_agrees_with_theory() -> None:
    generator = np.random.default_rng(3)
    sides = [generator.random(400) < share for share in (0.7, 0.6)]
    ours, theirs = (np.stack([side, np.ones(400)], axis=1) for side in sides)
    one = paired_difference([{"en": influence("ratio", ours)}], [{"en": influence("ratio", theirs)}])
    error = 100 * np.std(sides[0].astype(float) - sides[1], ddof=1) / 20
    assert one.error == pytest.approx(error)


def test_pairing_uses_the_same_examples() -> None:
    ours, shifted = np.array([100.0, 0.0] * 50), np.array([0.0, 100.0] * 50)
    assert paired_difference([{"en": ours}], [{"en": ours}]).high == 0
    assert paired_difference([{"en": ours}], [{"en": shifted}]).high > 10


def test_one_row_or_one_language_divide_by_nothing() -> None:
    """Sizes at which degrees of freedom would be 0."""
    for blocks in ({"de": np.ones((3, 1))}, {"de": np.arange(6.0).reshape(3, 2), "fr": np.ones((3, 1))}):
        for sample in (False, True):
            interval = difference(blocks, sample=sample)
            assert math.isfinite(interval.low)
            assert interval.low <= interval.value <= interval.high


def test_one_seed_of_languages_as_a_sample_has_their_variance() -> None:
    blocks = {str(code): np.full((1, 20), float(code)) for code in range(4)}
    interval = difference(blocks, sample=True)
    assert interval.error == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 2)
    assert interval.df == pytest.approx(3)


def test_a_family_is_what_is_tested() -> None:
    several = difference({"de": np.random.default_rng(0).normal(3, 1, (3, 50))})
    weak = difference({"de": np.random.default_rng(1).normal(0.3, 1, (3, 50))})
    alone = difference({"de": np.random.default_rng(0).normal(3, 1, (1, 50))})
    same = difference({"de": np.zeros((3, 50))})
    family = corrected({"several": several, "weak": weak, "alone": alone, "same": same})
    assert family["several"].family == family["weak"].family == 2
    assert family["several"].holm == pytest.approx(2 * several.p)
    assert family["alone"].holm is family["same"].holm is None
    assert not family["alone"].is_claimed


def test_the_other_way_round() -> None:
    block = np.random.default_rng(0).normal(3, 1, (3, 50))
    turned = difference({"de": -block})
    assert difference({"de": block}).negated().json() == pytest.approx(turned.json())


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.mark.parametrize(("df", "error"), [(2, 0.23), (4, 0.5), (300, 1.0)])
def test_the_detectable_difference_is_found_in_80_of_100(df: float, error: float) -> None:
    shift = detectable(error, df) / error
    critical = reference.t.ppf(0.975, df)
    assert reference.nct.sf(critical, df, shift) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("seed_sd", [0.0, 1.0, 1.6])
@pytest.mark.parametrize("shared", [True, False])
def test_nominal_95_is_about_95(seeds: int, seed_sd: float, shared: bool) -> None:
    """500 simulated comparisons of five languages; the paired bootstrap over items held 65 % at three seeds, sd 1."""
    generator = np.random.default_rng(11)
    n, runs, hits = 60, 500, 0
    ids: dict[str, list[Hashable]] | None = {str(code): list(range(n)) for code in range(5)} if shared else None
    for _ in range(runs):
        of_seed = generator.normal(0, seed_sd, (seeds, 1))
        of_item = generator.normal(0, 4, (1, n)) if shared else 0.0
        blocks = {str(code): of_seed + of_item + generator.normal(0, 4, (seeds, n)) for code in range(5)}
        interval = difference(blocks, ids)
        hits += interval.low <= 0 <= interval.high
    assert 0.93 - 0.02 <= hits / runs <= 0.97 + 0.025  # two standard errors of 500 runs beside the bounds


def test_languages_as_a_sample_widen_the_interval() -> None:
    generator = np.random.default_rng(5)
    blocks = {str(code): generator.normal(0, 3) + generator.normal(0, 1, (5, 80)) for code in range(6)}
    assert difference(blocks, sample=True).error > 2 * difference(blocks).error


def test_languages_as_a_sample_never_narrow_the_interval() -> None:
    """Languages that agree by chance bring degrees of freedom, and would hide how much seeds vary."""
    generator = np.random.default_rng(9)
    for _ in range(50):
        of_seed = generator.normal(0, 3, (3, 1))
        blocks = {str(code): of_seed + generator.normal(0, 1, (3, 40)) for code in range(6)}
        assert difference(blocks, sample=True).low <= difference(blocks).low


def test_items_never_narrow_the_interval_of_the_seeds() -> None:
    """If three seeds agree by chance, items bring many degrees of freedom, and would hide that seeds are few."""
    generator = np.random.default_rng(4)
    for _ in range(60):
        block = generator.normal(0, 0.5, (3, 1)) + generator.normal(0, 4, (1, 60)) + generator.normal(0, 2, (3, 60))
        interval, means = difference({"de": block}), block.mean(axis=1)
        low, high = reference.t.interval(0.95, 2, means.mean(), means.std(ddof=1) / math.sqrt(3))
        assert interval.low <= low + 1e-9
        assert interval.high >= high - 1e-9
        assert (interval.p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_degrees_of_freedom_are_never_below_those_of_a_part() -> None:
    """Where seeds and items only add noise, what is subtracted brings the formula below the two of three seeds."""
    generator = np.random.default_rng(0)
    bounded = 0
    for _ in range(300):
        rows = generator.normal(0, 50, (3, 40))
        found = paired_difference([{"de": of_seed} for of_seed in rows], [{"de": 0 * of_seed} for of_seed in rows])
        assert found.df >= 2
        assert math.isfinite(found.detectable)
        variance, parts = found.error**2, _parts_of(rows)
        formula = variance**2 / sum(part**2 / df for part, df in parts)
        bounded += variance > 1.000001 * parts[0][0] and formula < 2
    assert bounded > 20, "cases in which the bound acts"


def _parts_of(rows: Array) -> list[tuple[float, int]]:
    """Return the parts of the variance of the mean of (seeds, items), with their degrees of freedom."""
    seeds, items = rows.shape
    of_seed, of_item = rows.mean(axis=1), rows.mean(axis=0)
    rest = rows - of_seed[:, None] - of_item + rows.mean()
    freedom = (seeds - 1) * (items - 1)
    return [
        (of_seed.var(ddof=1) / seeds, seeds - 1),
        (of_item.var(ddof=1) / items, items - 1),
        ((rest**2).sum() / freedom / (seeds * items), freedom),
    ]
