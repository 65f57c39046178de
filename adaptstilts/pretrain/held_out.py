"""Evaluate a pretrained model on held-out sentences: the layer at which translations are nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adaptstilts.models.means import masked_mean
from adaptstilts.pretrain.batches import padded
from adaptstilts.pretrain.encoded import TokenizedCorpus
from adaptstilts.pretrain.vocabulary import BEGIN, END, PAD
from adaptstilts.search import neighbours
from adaptstilts.search.products import normalize

BATCH = 64  # sentences


def layer_accuracy(
    model: Any, corpus: TokenizedCorpus, codes: list[str], max_length: int, device: torch.device
) -> dict[str, list[float]]:
    """Return the share of English sentences whose nearest neighbour is their translation.

    Args:
        model: a masked language model in evaluation mode.
        corpus: held-out groups; the first sentence of a group is English.
        codes: languages in the order of their numbers in the corpus, English first.
        max_length: tokens of a sentence, special ones included.
        device: device of the model.

    Returns:
        language -> share for every hidden state, the embeddings first; languages without sentences are left out.
    """
    accuracy: dict[str, list[float]] = {}
    for number, code in enumerate(codes[1:], 1):
        translations = [int(sentence) for sentence in corpus.of_language(number)]
        if not translations:
            continue
        english = [int(corpus.bounds[corpus.group[sentence]]) for sentence in translations]
        rows = [[BEGIN, *corpus.ids(s)[: max_length - 2], END] for s in english + translations]
        layers = _all_layers(model, rows, device)
        accuracy[code] = [_share_of_translations(layer) for layer in layers]
    return accuracy


def _share_of_translations(vectors: NDArray[np.float32]) -> float:
    """Return how often row i of the first half has row i of the second half as its nearest neighbour."""
    first, second = np.split(vectors, 2)
    nearest = neighbours(normalize(first), normalize(second), 1)[0][:, 0]
    return float(np.mean(nearest == np.arange(len(first))))


def _all_layers(model: Any, rows: list[list[int]], device: torch.device) -> list[NDArray[np.float32]]:
    """Return the (sentences, hidden) mean vectors of every hidden state, the embeddings first."""
    batches = []
    for start in range(0, len(rows), BATCH):
        ids = padded(rows[start : start + BATCH])
        mask = (ids != PAD).long().to(device)
        with torch.inference_mode():
            states = model.base_model(input_ids=ids.to(device), attention_mask=mask, output_hidden_states=True)
            means = [masked_mean(layer, mask) for layer in states.hidden_states]
            batches.append(torch.stack(means).cpu())
    return list(torch.cat(batches, dim=1).numpy())
