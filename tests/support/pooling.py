"""Sentence vectors by plain transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from adaptstilts.models.tokenizer import Tokenizer


def pooled(folder: Path, texts: list[str], layer: int) -> np.ndarray:
    """Compute mean-pooled hidden states of the whole model, one sentence at a time, with plain transformers."""
    from transformers import XLMRobertaModel

    model = XLMRobertaModel.from_pretrained(str(folder), add_pooling_layer=False).eval()
    tokenizer = Tokenizer(folder)
    rows = []
    for ids in tokenizer.ids(texts):
        with torch.no_grad():
            states = model(input_ids=torch.tensor([[0, *ids, 2]]), output_hidden_states=True).hidden_states
        rows.append(states[layer][0].mean(0).numpy())
    return np.stack(rows)
