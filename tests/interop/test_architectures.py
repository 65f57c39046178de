"""Adapters of BERT and DeBERTa come from the plain libraries, and go back, with the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.foreign_adapters import perturb
from support.tiny_encoders import make_tiny_encoder
from torch import Tensor

from adaptstilts.interop import adapters as exchange
from adaptstilts.interop import export
from adaptstilts.models.locate import locate
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.workspace import Workspace

IDS = torch.tensor([[2, 10, 11, 12, 13, 3], [2, 20, 21, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {  # of the adapters library
    "seq": ("SeqBnConfig", {"reduction_factor": 4, "leave_out": [1]}),
    "invertible": ("DoubleSeqBnInvConfig", {"reduction_factor": 4}),
    "parallel": ("ParBnConfig", {"reduction_factor": 4}),
}
TARGETS = {"bert": ["query", "value"], "deberta-v2": ["query_proj", "value_proj"]}


@pytest.fixture(scope="module", params=TARGETS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("plain") / request.param, request.param)


def plain(folder: Path) -> Any:
    from transformers import AutoModel

    options = {"add_pooling_layer": False} if folder.name == "bert" else {}
    return AutoModel.from_pretrained(folder, **options).eval()


def states(model: Any) -> Tensor:
    with torch.no_grad():
        output: Tensor = model(input_ids=IDS, attention_mask=MASK).last_hidden_state
    return output[MASK.bool()]


def through(folder: Path, theirs: Path, form: str, out: Path) -> Tensor:
    """Import an adapter, export it again, and return the states in between."""
    workspace, model = Workspace(out / "store"), locate(str(folder))
    entry = exchange.import_adapter(str(theirs), str(folder), workspace)
    encoder = AdapterPool(workspace.store, model, torch.device("cpu")).encoder(None, (entry.key,))
    export.write(entry, workspace.store, model, form, out / "ours")
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


@pytest.mark.parametrize("case", CONFIGS)
def test_adapters_library(folder: Path, tmp_path: Path, case: str) -> None:
    import adapters

    name, settings = CONFIGS[case]
    model = plain(folder)
    adapters.init(model)
    before = states(model)
    model.add_adapter("theirs", config=getattr(adapters, name)(**settings))
    perturb([value for key, value in model.named_parameters() if ".theirs." in key])
    model.set_active_adapters("theirs")
    expected = states(model.eval())
    assert (expected - before).abs().max() > 1e-3
    model.save_adapter(str(tmp_path / "theirs"), "theirs", with_head=False, use_safetensors=True)
    assert torch.allclose(through(folder, tmp_path / "theirs", "adapterhub", tmp_path), expected, atol=1e-5)
    other = plain(folder)
    adapters.init(other)
    other.set_active_adapters(other.load_adapter(str(tmp_path / "ours"), use_safetensors=True))
    assert torch.allclose(states(other.eval()), expected, atol=1e-5)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_peft(folder: Path, tmp_path: Path, dora: bool) -> None:
    import peft

    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=TARGETS[folder.name], use_dora=dora)
    model = peft.get_peft_model(plain(folder), config).eval()
    before = states(model)
    perturb([value for key, value in model.named_parameters() if "lora_" in key])
    expected = states(model)
    assert (expected - before).abs().max() > 1e-3
    model.save_pretrained(str(tmp_path / "theirs"))
    assert torch.allclose(through(folder, tmp_path / "theirs", "peft", tmp_path), expected, atol=1e-5)
    other = peft.PeftModel.from_pretrained(plain(folder), str(tmp_path / "ours")).eval()
    assert torch.allclose(states(other), expected, atol=1e-5)
