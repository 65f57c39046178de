"""The built-in encoders: small, documented, and the same here and in plain transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import SHIPPED, builtin_names, locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.plan.expand import expand
from adaptstilts.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
NAMES = builtin_names()
TEXTS = ["The cat sleeps on the sofa.", "Die Katze schläft auf dem Sofa.", "猫在沙发上睡觉。"]


def test_the_family() -> None:
    assert {"builtin:nano", "builtin:micro", "builtin:mini", "builtin:mini-mlm", "builtin:small"} <= set(NAMES)
    sizes = [locate(name).shape["parameters"] for name in NAMES]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 5 * sizes[0]


def test_they_fit_the_package() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 60_000_000
    assert {path.suffix for path in files} == {".safetensors", ".json", ".md"}


def test_they_share_one_tokenizer() -> None:
    assert len({(locate(name).folder / "tokenizer.json").read_bytes() for name in NAMES}) == 1
    assert len({locate(name).fingerprint.tokenizer for name in NAMES}) == 1
    assert len({locate(name).fingerprint.weights for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_loads_here_and_in_transformers(name: str) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    model = locate(name)
    assert model.name == name
    assert {value.dtype for value in load_file(str(model.folder / "model.safetensors")).values()} == {torch.float16}
    theirs = AutoTokenizer.from_pretrained(str(model.folder))
    batch = theirs(TEXTS, return_tensors="pt", padding=True)
    ours = Tokenizer(model.folder)
    for row, ids in zip(batch["input_ids"].tolist(), ours.ids(TEXTS), strict=True):
        assert [token for token in row if token != ours.pad] == ours.single(ids, 256).ids
    with torch.inference_mode():
        states = AutoModel.from_pretrained(str(model.folder), dtype=torch.float32).eval()(**batch).last_hidden_state
        torch.testing.assert_close(Encoder(model.folder).states(batch["input_ids"], batch["attention_mask"]), states)
        whole, info = AutoModelForMaskedLM.from_pretrained(
            str(model.folder), dtype=torch.float32, output_loading_info=True
        )
        logits = whole.eval()(**batch).logits
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    loss = torch.nn.functional.cross_entropy(
        logits[batch["attention_mask"] == 1], batch["input_ids"][batch["attention_mask"] == 1]
    )
    assert loss < 6  # unmasked tokens; chance is 9.7


@pytest.mark.parametrize("name", NAMES)
def test_card_and_record(name: str) -> None:
    folder = locate(name).folder
    card = (folder / "README.md").read_text(encoding="utf-8")
    record = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    for words in (
        "licence",
        "CC BY",
        "removed because",
        "## Recipe",
        "seconds",
        "## Held-out",
        "## Measured",
        "## Limits",
    ):
        assert words in card, words
    assert record["name"] == folder.name
    assert record["seconds"] > 0
    assert record["removed"]["total"] > 0
    assert ("ranking" in record["tokens"]) == (folder.name != "mini-mlm")


def test_unknown_name_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no built-in encoder 'builtin:maxi'; there are builtin:nano, "):
        locate("builtin:maxi")


def test_quickstart_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    study = config.load(ROOT / "configs" / "quickstart.yaml")
    plan = expand(study, Workspace(tmp_path / "store", offline=True))
    assert {cell.method for cell in plan.cells} == {"full", "bottleneck reduction=1"}
    assert any(cell.swapped for cell in plan.cells)
    tasks = {cell.task for cell in plan.cells}
    assert all(task.startswith("sample_") for task in tasks)
    assert {"sample_retrieval", "sample_mining"} < tasks
    assert not any(cell.missing for cell in plan.cells)
