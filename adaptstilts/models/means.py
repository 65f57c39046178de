"""Means of hidden states over the tokens of a sequence."""

from __future__ import annotations

from torch import Tensor


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens of each sequence, in float32.

    Args:
        states: (sequences, tokens, hidden).
        mask: (sequences, tokens), 1 for tokens and 0 for padding.

    Returns:
        (sequences, hidden)
    """
    weight = mask[:, :, None].float()
    mean: Tensor = (states.float() * weight).sum(1) / weight.sum(1)
    return mean
