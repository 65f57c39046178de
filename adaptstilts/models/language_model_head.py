"""The head that predicts masked tokens, as pretrained encoders have it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


class LanguageModelHead(nn.Module):
    """A dense layer, GELU, LayerNorm, and the encoder's word embeddings as output weights.

    The word embeddings stay the encoder's: they are neither trained nor saved with the head.

    Args:
        words: (vocabulary, width) word embeddings.
        hidden: size of the hidden states; the dense layer maps them to the width of the embeddings.
        epsilon: epsilon of the normalisation.

    Attributes:
        pretrained: whether the weights are those of the base model's own head.
    """

    def __init__(self, words: nn.Parameter, hidden: int, epsilon: float) -> None:
        super().__init__()
        vocabulary, width = words.shape
        self.dense = nn.Linear(hidden, width)
        self.layer_norm = nn.LayerNorm(width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.pretrained = False
        self._words = (words,)  # in a tuple, so that it is not registered, trained or saved a second time

    def start(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a pretrained head if every one is there and fits."""
        state = self.state_dict()
        if set(state) <= set(weights) and all(state[key].shape == weights[key].shape for key in state):
            self.load_state_dict({key: weights[key] for key in state})
            self.pretrained = True

    def forward(self, states: Tensor) -> Tensor:
        """Map (tokens, hidden) to (tokens, vocabulary)."""
        hidden = self.layer_norm(functional.gelu(self.dense(states)))
        logits: Tensor = functional.linear(hidden, self._words[0], self.bias)
        return logits
