"""Which weights of a training phase are kept: those with the best dev scores, or the last ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Selection:
    """The evaluation whose weights are kept so far, and the weights at that moment.

    Attributes:
        step: number of steps before it.
        scores: every metric; empty before the first evaluation.
        waited: number of evaluations since then.
        weights: a copy of the trained parameters.
    """

    def __init__(self) -> None:
        self.step, self.waited = 0, 0
        self.scores: dict[str, float] = {}
        self.weights: dict[str, Tensor] = {}

    def keep(self, scores: dict[str, float], step: int, parameters: Mapping[str, nn.Parameter]) -> None:
        """Note an evaluation whose weights are kept so far, and copy the weights.

        Args:
            scores: every metric.
            step: number of steps that were taken before it.
            parameters: the current weights.
        """
        self.scores, self.step, self.waited = scores, step, 0
        self.weights = {key: value.detach().clone() for key, value in parameters.items()}

    def put_back(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Set the parameters to the kept weights; to be called without gradients."""
        for key, value in parameters.items():
            value.copy_(self.weights[key])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and values that a checkpoint needs."""
        tensors = {f"best/{key}": value for key, value in self.weights.items()}
        return tensors, {"best_step": self.step, "best": self.scores, "waited": self.waited}

    def restore(
        self, tensors: Mapping[str, Tensor], state: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]
    ) -> None:
        """Take back what :meth:`state` returned.

        Args:
            tensors: tensors of the checkpoint.
            state: state of the checkpoint.
            parameters: the trained parameters; the best weights move to their devices.
        """
        self.step, self.scores, self.waited = state["best_step"], state["best"], state["waited"]
        for key, value in parameters.items():
            if f"best/{key}" in tensors:
                self.weights[key] = tensors[f"best/{key}"].to(value.device)
