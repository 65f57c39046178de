"""The encoder: what it loads, what it refuses, truncation, and saving a trunk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.inputs import make_encoder
from torch import Tensor

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import check_same, locate
from adaptstilts.models.seeds import generator, seeded

IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()


def states(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return encoder.states(IDS, MASK)


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_equals_plain_transformers(tiny: Path) -> None:
    from transformers import XLMRobertaModel

    plain = XLMRobertaModel.from_pretrained(str(tiny), add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = plain(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert torch.equal(states(Encoder(tiny)), expected)


def test_language_model_checkpoint_gives_its_encoder(shared: Path) -> None:
    from transformers import XLMRobertaForMaskedLM

    folder = shared / "models" / "mini"
    plain = XLMRobertaForMaskedLM.from_pretrained(str(folder)).eval()
    with torch.no_grad():
        expected = plain.roberta(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert torch.equal(states(Encoder(folder)), expected)


def test_padding_does_not_change_a_sequence(tiny: Path) -> None:
    encoder = Encoder(tiny)
    with torch.no_grad():
        alone = encoder.states(IDS[1:, :4], MASK[1:, :4])
    assert torch.allclose(states(encoder)[1, :4], alone[0], atol=1e-5)


def test_nothing_trains_and_nothing_drops_out_at_first(tiny: Path) -> None:
    encoder = Encoder(tiny)
    assert encoder.parameters() == {}
    assert torch.equal(states(encoder), states(encoder))
    assert (encoder.depth, encoder.hidden, encoder.dropout) == (4, 32, 0.1)


@pytest.mark.parametrize("layers", range(5))
@pytest.mark.parametrize("method", [None, Bottleneck(reduction=4), Lora(rank=2)], ids=["bare", "bottleneck", "lora"])
def test_truncated_equals_the_hidden_state_to_the_bit(tiny: Path, layers: int, method: Bottleneck | Lora) -> None:
    encoder = Encoder(tiny, method.backend if method else "plain")
    if method:
        encoder.add("a", method, 1)
        with torch.no_grad():
            for value in encoder.delta("a").values():
                value.add_(0.1)
        encoder.compose(["a"])
    with torch.no_grad():
        whole = encoder.trunk(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    with encoder.truncated(layers):
        assert torch.equal(states(encoder), whole[layers])
    assert encoder.depth == 4
    assert torch.equal(states(encoder), whole[4])


def test_truncation_ends_with_an_error_too(tiny: Path) -> None:
    encoder = Encoder(tiny)
    with pytest.raises(ZeroDivisionError), encoder.truncated(1):
        _ = 1 / 0
    assert encoder.depth == 4


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


KEY = "encoder.layer.1.output.dense.weight"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop(KEY),
        lambda t: t.update({"encoder.layer.9.output.dense.weight": torch.zeros(3)}),
        lambda t: t.update({KEY: torch.zeros(5, 5)}),
        lambda t: t[KEY].view(-1)[3:4].fill_(float("nan")),
        lambda t: t[KEY].view(-1)[3:4].fill_(float("inf")),
    ],
    ids=["missing", "unexpected", "shape", "nan", "inf"],
)
def test_wrong_weights_are_refused(copied: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    change_weights(copied, change)
    with pytest.raises(ArtifactError, match=str(copied)):
        Encoder(copied)


def test_pooler_and_language_model_head_are_left_aside(copied: Path, tiny: Path) -> None:
    extra = {"pooler.dense.weight": torch.zeros(32, 32), "lm_head.bias": torch.zeros(7)}
    change_weights(copied, lambda t: t.update(extra))
    assert torch.equal(states(Encoder(copied)), states(Encoder(tiny)))


@pytest.mark.parametrize("damage", ["truncated", "pickle", "empty", "absent"])
def test_damaged_weights_are_refused(copied: Path, damage: str) -> None:
    path = copied / "model.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "pickle":
        torch.save({"a": torch.zeros(2)}, path)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        torch.save(load_file(path), copied / "pytorch_model.bin")
        path.unlink()
    with pytest.raises(ArtifactError, match=str(copied)):
        Encoder(copied)


@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"_attn_implementation_internal": "someone/kernel"},
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation": "flash_attention_2"},
        {"quantization_config": {"quant_method": "x"}},
        {"model_type": "gpt2"},
        {"hidden_size": "32"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_config_that_asks_for_code_is_refused(copied: Path, change: dict) -> None:
    path = copied / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        Encoder(copied)


def test_saved_trunk_comes_back_to_the_bit(tiny: Path, tmp_path: Path) -> None:
    first = Encoder(tiny, name="/home/someone/tiny")
    with torch.no_grad():
        for value in first.trunk.parameters():
            value.mul_(1.01)
    first.save_trunk(tmp_path / "saved")
    second = Encoder(tmp_path / "saved")
    assert torch.equal(states(second), states(first))
    assert not torch.equal(states(second), states(Encoder(tiny)))
    assert "someone" not in (tmp_path / "saved" / "config.json").read_text(encoding="utf-8")
    second.save_trunk(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


def test_trunk_with_adapters_is_not_saved(tiny: Path, tmp_path: Path) -> None:
    encoder = Encoder(tiny, "adapters")
    encoder.add("a", Bottleneck(reduction=4), 1)
    with pytest.raises(ConfigError, match="adapters on it"):
        encoder.save_trunk(tmp_path)


def test_fingerprint_tells_models_apart(tiny: Path, tmp_path: Path) -> None:
    same = locate(str(shutil.copytree(tiny, tmp_path / "same"))).fingerprint
    here = locate(str(tiny)).fingerprint
    assert same == here
    for name, changed, other in (
        ("seed", "weights", make_encoder(tmp_path / "a", seed=2)),
        ("width", "shape", make_encoder(tmp_path / "b", seed=1, hidden=16)),
        ("depth", "shape", make_encoder(tmp_path / "c", seed=1, layers=3)),
    ):
        with pytest.raises(ArtifactError, match=changed):
            check_same(here.identity(), locate(str(other)).fingerprint.identity(), name)


def test_adapter_of_a_smaller_or_shallower_encoder_is_refused(tiny: Path, tmp_path: Path) -> None:
    for name, other in (
        ("narrow", make_encoder(tmp_path / "narrow", seed=1, hidden=16)),
        ("shallow", make_encoder(tmp_path / "shallow", seed=1, layers=3)),
    ):
        for method in (Bottleneck(reduction=4), Lora(rank=2)):
            source = Encoder(other, method.backend)
            source.add("a", method, 1)
            source.save("a", tmp_path / f"{name}-{method.kind}")
            with pytest.raises(ArtifactError):
                Encoder(tiny, method.backend).load("a", method, tmp_path / f"{name}-{method.kind}")


def test_generator_depends_on_its_parts_and_puts_the_global_one_back() -> None:
    def draw(*parts: object) -> float:
        with generator(*parts):
            return float(torch.rand(()))

    torch.manual_seed(3)
    expected = float(torch.rand(()))
    torch.manual_seed(3)
    values = [draw("a", 1), draw("a", 2), draw("b", 1), draw("a1"), draw("a", "1", "")]
    assert len(set(values)) == 5
    assert draw("a", 1) == values[0]
    assert float(torch.rand(())) == expected
    assert 0 <= seeded("x") < 2**63
