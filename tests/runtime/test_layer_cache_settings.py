"""The setting that keeps hidden states: what it changes in a plan, and where it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.layer_caching import Bench

from adaptstilts.errors import ConfigError
from adaptstilts.study import Train


@pytest.fixture
def bench(tiny: Path, data_root: Path, tmp_path: Path) -> Bench:
    """A store of its own."""
    return Bench(tiny, data_root, tmp_path / "store")


def test_the_default_leaves_keys_as_they_were(bench: Bench) -> None:
    plain, off, on = (bench.phases({"cache": value})[0] for value in (False, False, True))
    assert "cache" not in Train().identity()
    assert plain.key == off.key != on.key
    assert "cache" not in plain.spec["train"]
    assert on.spec["train"]["cache"] is True


@pytest.mark.parametrize(
    "changed",
    [
        {"methods": [{"kind": "bottleneck"}]},
        {"methods": [{"kind": "lora", "leave_out": [1, 2]}]},
        {"methods": ["full"]},
        {"methods": [{"kind": "full", "freeze_layers": 2}]},
        {"methods": [{"kind": "full", "freeze_embeddings": True}]},
        {"methods": [{"kind": "head", "over": {"kind": "bottleneck"}}], "intermediates": ["social_i_qa"]},
    ],
    ids=str,
)
def test_nothing_to_keep_is_refused_before_anything_is_spent(bench: Bench, changed: Any) -> None:
    with pytest.raises(ConfigError, match=r"train\.cache stores the output of the layers below the lowest adapter"):
        bench.plan(**changed)
