"""Settings that make no sense on the model at hand are refused when a study is planned, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.attaching import CASES
from support.inputs import STUDY

from adaptstilts import methods
from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method
from adaptstilts.methods.full import Full
from adaptstilts.methods.lora import Lora
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.workspace import Workspace

# Of the tiny encoder: hidden size 32, feed-forward 64, 4 layers, 130 positions.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "reduction": (
        {"kind": "bottleneck", "reduction": 1000},
        "method bottleneck reduction=1000: reduction 1000 is more than the model's hidden size; give at most 32",
    ),
    "reduction of a double one": (
        {"kind": "bottleneck", "reduction": 33, "placement": "double"},
        "reduction 33 is more than the model's hidden size; give at most 32",
    ),
    "compacter": (
        {"kind": "compacter"},
        "method compacter: hidden size 32 and bottleneck 1 must be multiples of 4; choose another reduction",
    ),
    "compacter of no unit": ({"kind": "compacter", "reduction": 64}, "hidden size 32 and bottleneck 0 must be"),
    "rank": (
        {"kind": "lora", "rank": 33},
        "method lora rank=33: rank 33 is more than the weights of the model have; give at most 32",
    ),
    "rank of the wide layers": ({"kind": "lora", "rank": 64, "targets": ["intermediate"]}, "give at most 32"),
    "prefix": (
        {"kind": "prefix", "length": 131},
        "method prefix length=131: length 131 is more than the 130 positions of the model; give fewer",
    ),
    "frozen layers": (
        {"kind": "full", "freeze_layers": 4, "freeze_embeddings": True},
        "freeze_layers 4 leaves no layer to train; the model has 4, give fewer",
    ),
    "more frozen layers than there are": ({"kind": "full", "freeze_layers": 9}, "the model has 4, give fewer"),
    "ia3": ({"kind": "ia3", "leave_out": [4]}, "the model has no layer 4, its 4 layers are counted from 0"),
    "bitfit": ({"kind": "bitfit", "leave_out": [0, 1, 2, 3]}, "leaves out every layer of the model"),
    "layernorm": ({"kind": "layernorm", "leave_out": [1, 12]}, "the model has no layer 12"),
    "prefix without layers": ({"kind": "prefix", "leave_out": [-1]}, "the model has no layer -1"),
}
ACCEPTED: dict[str, dict[str, Any]] = {
    "one unit": {"kind": "bottleneck", "reduction": 32},
    "a compacter of four units": {"kind": "compacter", "reduction": 8},
    "full rank": {"kind": "lora", "rank": 32, "targets": ["query", "output"]},
    "a prefix as long as the longest text": {"kind": "prefix", "length": 130},
    "a wide network of a prefix": {"kind": "prefix", "inner": 512},
    "one trained layer": {"kind": "full", "freeze_layers": 3},
}


@pytest.fixture
def make(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Expands a study of one target, with some keys changed."""

    def expanded(**changed: Any) -> Plan:
        small = {"model": str(tiny), "intermediates": ["none"], "targets": ["udpos"], "swap": "off"}
        study = config.parse(json.dumps({**STUDY, **small, **changed}))
        return expand(study, Workspace(tmp_path / "store", data_root))

    return expanded


@pytest.mark.parametrize("case", REFUSED)
def test_a_size_that_makes_no_sense_is_refused(make: Callable[..., Plan], case: str) -> None:
    method, message = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        make(methods=["full", method])
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_size_at_the_limit_is_accepted(make: Callable[..., Plan], case: str) -> None:
    assert make(methods=[ACCEPTED[case]]).phases


@pytest.mark.parametrize("method", [*CASES.values(), Full(), *(cls() for cls in methods.known().values())], ids=str)
def test_no_method_is_refused_on_a_base_model(method: Method) -> None:
    shape = {"hidden": 768, "intermediate": 3072, "layers": 12, "positions": 514}
    assert method.why_not_on(shape) is None


def test_the_method_under_a_head_is_looked_at(make: Callable[..., Plan]) -> None:
    probe = {"kind": "head", "over": {"kind": "lora", "rank": 99}}
    with pytest.raises(ConfigError, match="method lora rank=99: rank 99 is more than"):
        make(intermediates=["mnli"], methods=[probe])


def test_language_adapters_are_looked_at(make: Callable[..., Plan]) -> None:
    text = {"en": [{"repo": "local/lines", "config": "en"}]}
    languages = {"text": text, "method": {"reduction": 512, "invertible": True}}
    task_adapter = {"kind": "bottleneck", "reduction": 4, "language_adapters": True}
    with pytest.raises(ConfigError, match="reduction 512 is more than the model's hidden size"):
        make(methods=[task_adapter], language_adapters=languages)


def test_a_sum_of_too_large_a_rank_is_refused() -> None:
    assert Lora.merged_method([Lora(rank=512), Lora(rank=512)]).identity()["rank"] == 1024
    with pytest.raises(ConfigError, match="1025 is more than 1024; give smaller ranks or merge fewer adapters"):
        Lora.merged_method([Lora(rank=512), Lora(rank=513)])
