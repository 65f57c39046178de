"""Sentences to vectors: the encoder cut off at the layer that is pooled, every distinct sentence once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from adaptstilts.data.batches import sorted_runs
from adaptstilts.kinds.base import Features, collate
from adaptstilts.models.encoder import Encoder, masked_mean
from adaptstilts.phases.runtime import Runtime
from adaptstilts.retrieval.search import Vectors

TOKENS = 1024


def mean_pooled(encoder: Encoder, features: Features, layer: int, runtime: Runtime, bf16: bool, title: str) -> Vectors:
    """Mean over the tokens of each sentence (special tokens included, as in XTREME) of one hidden state.

    Args:
        encoder: with the adapters that are to act.
        features: one sequence each.
        layer: 0 the embeddings, n the output of layer n; no layer above it is computed.
        runtime: says how to report.
        bf16: autocast.
        title: what progress lines say.

    Returns:
        (sentences, hidden) float32.
    """
    vectors = np.empty((len(features.items), encoder.hidden), np.float32)
    encoder.trunk.eval()
    done = 0
    with encoder.truncated(layer):
        for run in sorted_runs(features.sizes, features.lengths, TOKENS):
            batch = collate([features.items[i] for i in run], runtime.tokenizer.pad, encoder.device)
            with torch.inference_mode(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
                states = encoder.states(batch.ids, batch.mask)
            vectors[run] = masked_mean(states, batch.mask).cpu().numpy()
            done += len(run)
            runtime.report(title, done, len(features.items))
    return vectors


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct texts in order of appearance, and for every text its number among them."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), places
