"""What training rows lose is said when a phase begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from adaptstilts.data.examples import Examples
from adaptstilts.models.batching import Features
from adaptstilts.phases.streams import BatchStream


def stream(truncated: int, counts: dict[str, int]) -> Any:
    rows: list[Any] = [{}] * 1000
    made = BatchStream.__new__(BatchStream)
    made.name, made.settings = "squad", SimpleNamespace(max_length=64)  # type: ignore[assignment]
    made.examples, made.features = Examples(rows, list(range(1000)), 1000), Features([], truncated, counts)
    return made


def test_hardly_any_loss_is_not_mentioned() -> None:
    assert stream(10, {}).losses() == ""


def test_losses_are_counted() -> None:
    expected = "of 1,000 training rows of squad, cut to 64 tokens: 11; answer moved: 3"
    assert stream(11, {"answer moved": 3}).losses() == expected
