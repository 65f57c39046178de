"""The losses of pretraining: masked tokens, and sentences that find their translations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from adaptstilts.models.means import masked_mean
from adaptstilts.models.partial import truncated
from adaptstilts.pretrain.batches import MaskedBatch
from adaptstilts.pretrain.model import ARCHITECTURE, language_model_head


def masked_loss(model: Any, batch: MaskedBatch) -> Tensor:
    """Return the mean cross entropy of the masked tokens; the language-model head computes only those.

    Args:
        model: a masked language model.
        batch: its tensors are moved to the model's device.
    """
    device = next(model.parameters()).device
    states = model.base_model(input_ids=batch.ids.to(device), attention_mask=batch.mask.to(device)).last_hidden_state
    masked = states.reshape(-1, states.shape[-1])[batch.places.to(device)]
    return functional.cross_entropy(language_model_head(model)(masked).float(), batch.targets.to(device))


def pooled(model: Any, ids: Tensor, mask: Tensor, layer: int) -> Tensor:
    """Return the mean over the tokens, special ones included, of one hidden state; higher layers are not computed.

    Args:
        model: a masked language model.
        ids: (sequences, tokens).
        mask: (sequences, tokens), 1 for tokens and 0 for padding.
        layer: number of the hidden state, 0 being the embeddings.

    Returns:
        (sequences, hidden)
    """
    with truncated(ARCHITECTURE.host(model.base_model), layer):
        return masked_mean(model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state, mask)


def ranking_loss(vectors: Tensor, group: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of picking the translation among a batch's, in both directions, by cosine.

    InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748), as InfoXLM uses it across languages
    (Chi et al. 2021, arXiv 2007.07834).

    Args:
        vectors: (2 x pairs, hidden), sentences first, then their translations.
        group: (pairs,) other pairs of the same group do not count as negatives.
        temperature: divides the cosines before the softmax.
    """
    with torch.autocast(vectors.device.type, enabled=False):  # half precision would blur logits of this size
        a, b = functional.normalize(vectors.float(), dim=1).chunk(2)
        scores = a @ b.T / temperature
    same = (group[:, None] == group[None, :]).to(scores.device)
    diagonal = torch.eye(len(group), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(same & ~diagonal, -1e4)
    gold = torch.arange(len(group), device=scores.device)
    return (functional.cross_entropy(scores, gold) + functional.cross_entropy(scores.T, gold)) / 2
