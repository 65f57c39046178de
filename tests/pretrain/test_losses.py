"""The losses of pretraining, against the whole model and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from adaptstilts.pretrain.batches import MaskedBatch
from adaptstilts.pretrain.losses import masked_loss, pooled, ranking_loss
from adaptstilts.pretrain.model import new_model
from adaptstilts.pretrain.recipe import Shape


def test_head_of_masked_places_equals_the_whole_one() -> None:
    model = new_model(Shape(hidden=16, layers=2, heads=2, steps=1), 50, 32).eval()
    ids = torch.randint(4, 49, (3, 7), generator=torch.Generator().manual_seed(0))
    places = torch.tensor([1, 5, 12])
    batch = MaskedBatch(ids, torch.ones_like(ids), places, torch.tensor([7, 8, 9]))
    with torch.inference_mode():
        whole = model(input_ids=ids, attention_mask=batch.mask).logits.reshape(-1, 50)
        expected = functional.cross_entropy(whole[places], batch.targets)
        torch.testing.assert_close(masked_loss(model, batch), expected)


def test_pooled_equals_the_hidden_state_of_the_whole_model() -> None:
    model = new_model(Shape(hidden=16, layers=3, heads=2, steps=1), 50, 32).eval()
    ids = torch.tensor([[0, 7, 8, 2], [0, 9, 2, 1]])
    mask = (ids != 1).long()
    with torch.inference_mode():
        states = model.roberta(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        for layer in range(4):
            expected = torch.stack([states[layer][0].mean(0), states[layer][1, :3].mean(0)])
            torch.testing.assert_close(pooled(model, ids, mask, layer), expected)
    assert len(model.roberta.encoder.layer) == 3


def test_ranking_loss_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    apart = ranking_loss(vectors, torch.tensor([0, 1]), 0.5)
    assert apart == pytest.approx(float(np.log(1 + np.exp(-2.0))))
    same = ranking_loss(vectors, torch.tensor([0, 0]), 0.5)
    assert same == pytest.approx(0.0, abs=1e-6)
