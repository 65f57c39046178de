"""Batches: functions of the step alone, of the right tokens, and translations beside each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptstilts.errors import DataError
from adaptstilts.pretrain.batches import Drawer
from adaptstilts.pretrain.encoded import TokenizedCorpus
from adaptstilts.pretrain.recipe import Objectives, Shape
from adaptstilts.pretrain.vocabulary import BEGIN, END, PAD, SPECIAL

VOCABULARY = 500
SHAPE = Shape(hidden=8, layers=1, heads=1, steps=10, tokens=600, max_length=16)


@pytest.fixture(scope="module")
def corpus() -> TokenizedCorpus:
    """200 groups of two or three sentences; a token says its group: id = 4 + group."""
    random = np.random.default_rng(0)
    tokens, starts, group, language = [], [0], [], []
    for g in range(200):
        for code in range(2 + g % 2):
            tokens += [4 + g] * int(random.integers(3, 12))
            starts.append(len(tokens))
            group.append(g)
            language.append(code)
    return TokenizedCorpus(*(np.array(x, np.int32) for x in (tokens, starts, group, language)))


@pytest.fixture
def drawer(corpus: TokenizedCorpus) -> Drawer:
    return Drawer(corpus, SHAPE, VOCABULARY, 64)


@pytest.mark.parametrize("name", ["mlm", "tlm", "ranking"])
def test_same_step_same_batch_in_any_order(corpus: TokenizedCorpus, drawer: Drawer, name: str) -> None:
    straight = [getattr(drawer, name)(step) for step in range(40)]
    late = Drawer(corpus, SHAPE, VOCABULARY, 64)
    for step in (37, 3):
        again = getattr(late, name)(step)
        assert all(torch.equal(a, b) for a, b in zip(vars(again).values(), vars(straight[step]).values(), strict=True))
    assert not torch.equal(straight[0].ids, straight[20].ids)


def test_masks(drawer: Drawer) -> None:
    shares = []
    for batch in [drawer.mlm(step) for step in range(20)] + [drawer.tlm(step) for step in range(20)]:
        seen = batch.ids.flatten()[batch.places]
        assert (batch.targets >= len(SPECIAL)).all()
        assert (batch.mask.flatten()[batch.places] == 1).all()
        assert ((batch.ids == PAD) == (batch.mask == 0)).all()
        assert (batch.ids[:, 0] == BEGIN).all()
        shares.append([float((seen == VOCABULARY - 1).float().mean()), float((seen == batch.targets).float().mean())])
        real = int(batch.mask.sum() - (batch.ids < len(SPECIAL)).logical_and(batch.mask == 1).sum())
        assert len(batch.places) == pytest.approx(0.15 * real, abs=1)
    hidden, kept = np.mean(shares, axis=0)
    assert hidden == pytest.approx(0.8, abs=0.05)
    assert kept == pytest.approx(0.1, abs=0.05)


def test_budget_and_lengths(drawer: Drawer) -> None:
    for step in range(20):
        for batch in (drawer.mlm(step), drawer.tlm(step), drawer.ranking(step)):
            assert batch.ids.numel() <= 1.4 * SHAPE.tokens
            assert batch.ids.shape[1] <= 64


def test_pairs_are_translations(drawer: Drawer) -> None:
    for step in range(20):
        pairs = drawer.ranking(step)
        first, second = pairs.ids.chunk(2)
        assert torch.equal(first[:, 1], second[:, 1])
        assert torch.equal(first[:, 1] - 4, pairs.group)


def test_tlm_holds_both_sides(corpus: TokenizedCorpus) -> None:
    few = Drawer(corpus, replace_shape(mask=0.01), VOCABULARY, 64)
    for row in few.tlm(3).ids:
        own = row[row != PAD].tolist()
        middle = own.index(END)
        assert own[middle : middle + 2] == [END, END]
        sides = {token for token in own if len(SPECIAL) <= token < VOCABULARY - 1}
        assert len(sides) <= 3  # one group, and now and then a token put in its place


def test_objectives_have_their_shares(corpus: TokenizedCorpus) -> None:
    drawer = Drawer(corpus, replace_shape(objectives=Objectives(mlm=0.0, tlm=1.0, ranking=3.0)), VOCABULARY, 64)
    drawn = [drawer.objective(step) for step in range(2000)]
    assert drawn.count("mlm") == 0
    assert drawn.count("ranking") / 2000 == pytest.approx(0.75, abs=0.03)


def test_text_without_translations_is_refused() -> None:
    alone = TokenizedCorpus(*(np.array(x, np.int32) for x in ([5, 6, 7, 8], [0, 2, 4], [0, 1], [0, 1])))
    with pytest.raises(DataError, match="no sentence of the text has a translation"):
        Drawer(alone, SHAPE, VOCABULARY, 64)
    only = replace_shape(objectives=Objectives(mlm=1.0, tlm=0.0, ranking=0.0))
    assert Drawer(alone, only, VOCABULARY, 64).mlm(0).targets.numel() > 0


def test_both_sides_fit_short_positions(corpus: TokenizedCorpus) -> None:
    for row in Drawer(corpus, SHAPE, VOCABULARY, 16).tlm(0).ids:
        assert row[row != PAD].tolist().count(END) == 3
        assert len(row) <= 16


def test_short_text_still_gives_a_batch() -> None:
    tiny = TokenizedCorpus(*(np.array(x, np.int32) for x in ([5, 6, 7, 8, 9, 5], [0, 3, 6], [0, 0], [0, 1])))
    drawer = Drawer(tiny, SHAPE, VOCABULARY, 64)
    assert drawer.mlm(0).ids.shape[1] == 4
    assert drawer.ranking(0).group.tolist() == [0] * len(drawer.ranking(0).group)


def replace_shape(**changed: object) -> Shape:
    return SHAPE.model_copy(update=changed)


def test_shapes_are_immutable() -> None:
    with pytest.raises(Exception, match="frozen"):
        SHAPE.steps = 3  # type: ignore[misc]
