"""Adapters go to the plain libraries and come back with the same outputs."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adaptstilts.errors import ArtifactError
from adaptstilts.methods import Method
from adaptstilts.methods.base import NAME_IN_KEYS
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models.architectures.xlm_roberta import ARCHITECTURE
from adaptstilts.models.encoder import Encoder

IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()

BOTTLENECKS = [
    Bottleneck(reduction=4),
    Bottleneck(reduction=4, placement="double"),
    Bottleneck(reduction=8, leave_out=(0, 2)),
    Bottleneck(reduction=4, placement="parallel", leave_out=(1,)),
]
COMPACTERS = [Compacter(reduction=4), Compacter(reduction=8, placement="double", leave_out=(3,))]
LORAS = [
    Lora(rank=2),
    Lora(rank=4, alpha=3, targets=("key", "value")),
    Lora(rank=2, leave_out=(0, 1)),
    Lora(rank=3, rank_stabilized=True, targets=("query", "output")),
    Lora(rank=2, dora=True, targets=("value", "attention_output", "intermediate", "output")),
]
SCALES = [Ia3(), Ia3(leave_out=(1,))]


def plain(folder: Path) -> nn.Module:
    """Load the encoder with plain transformers."""
    from transformers import XLMRobertaModel

    return XLMRobertaModel.from_pretrained(str(folder), add_pooling_layer=False).eval()


def run(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).last_hidden_state[MASK.bool()]


def ours(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


def perturb(parameters: dict[str, nn.Parameter]) -> None:
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in parameters.values():
            value.copy_(0.2 * torch.randn(value.shape, generator=noise))


def trained(tiny: Path, method: Method, folder: Path) -> Tensor:
    """Save a perturbed adapter from here; returns the outputs with it."""
    encoder = Encoder(tiny, method.backend, name="someone/tiny")
    encoder.add("mine", method, 1)
    perturb(encoder.delta("mine"))
    encoder.compose(["mine"])
    encoder.save("mine", folder)
    return ours(encoder)


@pytest.mark.parametrize("method", [*BOTTLENECKS, *COMPACTERS, Prefix(length=3, inner=4)], ids=lambda m: m.label)
def test_ours_in_plain_adapters(tiny: Path, tmp_path: Path, method: Method) -> None:
    import adapters

    expected = trained(tiny, method, tmp_path)
    model = plain(tiny)
    adapters.init(model)
    assert not torch.equal(run(model), expected)
    info: dict = {}
    name = model.load_adapter(str(tmp_path), use_safetensors=True, loading_info=info)
    # a prefix has one more name for each layer; the library sets them all through the one that is there
    assert all(".prefix_tunings." in key for key in info["missing_keys"])
    model.set_active_adapters(name)
    assert name == NAME_IN_KEYS
    assert torch.equal(run(model), expected)


@pytest.mark.parametrize("method", [*LORAS, *SCALES], ids=lambda m: m.label)
def test_ours_in_plain_peft(tiny: Path, tmp_path: Path, method: Method) -> None:
    from peft import PeftModel

    expected = trained(tiny, method, tmp_path)
    model = plain(tiny)
    assert not torch.equal(run(model), expected)
    wrapped = PeftModel.from_pretrained(model, str(tmp_path)).eval()
    assert wrapped.peft_config["default"].base_model_name_or_path == "someone/tiny"
    assert torch.equal(run(wrapped), expected)


def test_our_stack_is_theirs(tiny: Path, tmp_path: Path) -> None:
    import adapters
    from adapters.composition import Stack

    method = BOTTLENECKS[0]
    encoder = Encoder(tiny, "adapters")
    for name in "ab":
        encoder.add(name, method, name)
    perturb({f"{name}{key}": value for name in "ab" for key, value in encoder.delta(name).items()})
    encoder.compose(["a", "b"])
    model = plain(tiny)
    adapters.init(model)
    for name in "ab":
        encoder.save(name, tmp_path / name)
        model.load_adapter(str(tmp_path / name), load_as=name, use_safetensors=True)
    model.set_active_adapters(Stack("a", "b"))
    assert torch.equal(run(model), ours(encoder))


def theirs(kind: str, tiny: Path, method: Bottleneck | Compacter, folder: Path) -> Tensor:
    """Save a perturbed adapter with the adapters library alone; returns the encoder's outputs with it."""
    import adapters

    config = {
        ("bottleneck", "seq"): adapters.SeqBnConfig,
        ("bottleneck", "double"): adapters.DoubleSeqBnConfig,
        ("bottleneck", "parallel"): adapters.ParBnConfig,
        ("compacter", "seq"): adapters.CompacterPlusPlusConfig,
        ("compacter", "double"): adapters.CompacterConfig,
    }[method.kind, method.placement]
    settings = config(reduction_factor=method.reduction, leave_out=list(method.leave_out))
    if kind == "bare":
        model = plain(tiny)
        adapters.init(model)
    else:
        model = adapters.XLMRobertaAdapterModel.from_pretrained(str(tiny)).eval()
        model.add_classification_head("theirs", num_labels=3)
    model.add_adapter("theirs", config=settings)
    own = (".adapters.theirs.", "shared_parameters.theirs.")
    perturb({key: value for key, value in model.named_parameters() if any(mark in key for mark in own)})
    model.set_active_adapters("theirs")
    model.save_adapter(str(folder), "theirs", with_head=kind == "with head", use_safetensors=True)
    return run(model if kind == "bare" else model.roberta)


@pytest.mark.parametrize("kind", ["bare", "head model", "with head"])
@pytest.mark.parametrize("method", BOTTLENECKS, ids=lambda m: m.label)
def test_theirs_from_adapters(tiny: Path, tmp_path: Path, method: Bottleneck, kind: str) -> None:
    from safetensors import safe_open

    expected = theirs(kind, tiny, method, tmp_path)
    with safe_open(tmp_path / "adapter.safetensors", "pt") as file:
        assert all(key.startswith("roberta.") for key in file.keys()) == (kind != "bare")  # noqa: SIM118
    encoder = Encoder(tiny, "adapters")
    found = Bottleneck.read_config(tmp_path, encoder.depth, ARCHITECTURE.names)
    assert found == method
    encoder.load("x", found, tmp_path)
    encoder.compose(["x"])
    assert torch.equal(ours(encoder), expected)


@pytest.mark.parametrize("method", COMPACTERS, ids=lambda m: m.label)
def test_compacters_from_adapters(tiny: Path, tmp_path: Path, method: Compacter) -> None:
    """Those of a model with a head; of a bare encoder the library writes a compacter without its shared matrices."""
    expected = theirs("head model", tiny, method, tmp_path / "whole")
    encoder = Encoder(tiny, "adapters")
    assert Compacter.read_config(tmp_path / "whole", encoder.depth, ARCHITECTURE.names) == method
    encoder.load("x", method, tmp_path / "whole")
    encoder.compose(["x"])
    assert torch.equal(ours(encoder), expected)
    theirs("bare", tiny, method, tmp_path / "part")
    with pytest.raises(ArtifactError, match=r"shared_parameters\.adapter\.phm_rule \(missing\)"):
        encoder.load("y", method, tmp_path / "part")


@pytest.mark.parametrize("config", ["ParBnConfig", "SeqBnConfig", "CompacterConfig", "LoRAConfig", "IA3Config"])
def test_other_adapters_are_refused(tiny: Path, tmp_path: Path, config: str) -> None:
    import adapters

    model = plain(tiny)
    adapters.init(model)
    settings = {
        "SeqBnConfig": {"scaling": 2.0},
        "ParBnConfig": {"scaling": 2.0},
        "CompacterConfig": {"reduction_factor": 4},
    }
    model.add_adapter("theirs", config=getattr(adapters, config)(**settings.get(config, {})))
    model.save_adapter(str(tmp_path), "theirs", use_safetensors=True)
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        Bottleneck.read_config(tmp_path, 4, ARCHITECTURE.names)


THEIRS = {
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


@pytest.mark.parametrize("method", LORAS, ids=lambda m: m.label)
def test_theirs_from_peft(tiny: Path, tmp_path: Path, method: Lora) -> None:
    from peft import LoraConfig, get_peft_model

    layers = list(method.layers(4)) if method.leave_out else None
    alone = "output" in method.targets and "attention_output" not in method.targets
    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        target_modules=[THEIRS.get(name, name) for name in reversed(method.targets)],
        exclude_modules=["attention.output.dense"] if alone else None,
        use_rslora=method.rank_stabilized,
        use_dora=method.dora,
        layers_to_transform=layers,
        layers_pattern="layer" if layers else None,
    )
    model = get_peft_model(plain(tiny), config)
    perturb({key: value for key, value in model.named_parameters() if "lora_" in key})
    model.eval()
    model.save_pretrained(str(tmp_path))
    encoder = Encoder(tiny, "peft")
    found = Lora.read_config(tmp_path, encoder.depth, ARCHITECTURE.names)
    assert found == method
    encoder.load("x", found, tmp_path)
    encoder.compose(["x"])
    assert torch.equal(ours(encoder), run(model))


@pytest.mark.parametrize("change", [{"init_lora_weights": "pissa"}, {"lora_bias": True}, {"bias": "all"}])
def test_other_loras_are_refused(tiny: Path, tmp_path: Path, change: dict) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(plain(tiny), LoraConfig(r=2, target_modules=["query", "value"], **change))
    model.save_pretrained(str(tmp_path))
    with pytest.raises(ArtifactError, match=next(iter(change))):
        Lora.read_config(tmp_path, 4, ARCHITECTURE.names)


def test_scales_from_peft(tiny: Path, tmp_path: Path) -> None:
    from peft import IA3Config, get_peft_model

    inner = [f"layer.{i}.output.dense" for i in range(4)]
    attention = [f"layer.{i}.attention.self.{part}" for i in range(4) for part in ("key", "value")]
    for name, targets in (("own", [*attention, *inner]), ("all", ["key", "value", "output.dense"])):
        forward = [module for module in targets if module.endswith("output.dense")]
        model = get_peft_model(plain(tiny), IA3Config(target_modules=targets, feedforward_modules=forward))
        perturb({key: value for key, value in model.named_parameters() if "ia3_l" in key})
        model.eval()
        model.save_pretrained(str(tmp_path / name))
        if name == "own":
            expected = run(model)
    encoder = Encoder(tiny, "peft")
    encoder.load("x", Ia3.read_config(tmp_path / "own", 4, ARCHITECTURE.names), tmp_path / "own")
    encoder.compose(["x"])
    assert torch.equal(ours(encoder), expected)
    with pytest.raises(ArtifactError, match="target_modules"):
        Ia3.read_config(tmp_path / "all", 4, ARCHITECTURE.names)


def test_lora_with_a_head_is_refused(tiny: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import XLMRobertaForSequenceClassification

    model = XLMRobertaForSequenceClassification.from_pretrained(str(tiny))
    config = LoraConfig(r=2, target_modules=["query", "value"], task_type=TaskType.SEQ_CLS)
    get_peft_model(model, config).save_pretrained(str(tmp_path))
    with pytest.raises(ArtifactError, match="modules_to_save"):
        Lora.read_config(tmp_path, 4, ARCHITECTURE.names)


def test_lora_of_a_model_with_a_head_loads(tiny: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import XLMRobertaForSequenceClassification

    model = XLMRobertaForSequenceClassification.from_pretrained(str(tiny)).eval()
    wrapped = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]))
    perturb({key: value for key, value in wrapped.named_parameters() if "lora_" in key})
    wrapped.save_pretrained(str(tmp_path))
    encoder = Encoder(tiny, "peft")
    encoder.load("x", Lora.read_config(tmp_path, encoder.depth, ARCHITECTURE.names), tmp_path)
    encoder.compose(["x"])
    assert torch.equal(ours(encoder), run(model.roberta.eval()))


def test_saved_trunk_in_plain_transformers(tiny: Path, tmp_path: Path) -> None:
    encoder = Encoder(tiny)
    perturb({"last": encoder.trunk.encoder.layer[3].output.dense.weight})
    encoder.save_trunk(tmp_path / "encoder")
    assert torch.equal(run(plain(tmp_path / "encoder")), ours(encoder))
    assert not torch.equal(run(plain(tiny)), ours(encoder))
    assert copy.deepcopy(encoder.trunk.config).architectures == plain(tiny).config.architectures
