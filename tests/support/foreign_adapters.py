"""Adapters as the plain libraries write them, with weights that are not the ones an adapter starts with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

IDS = torch.tensor([[0, 10, 11, 12, 13, 2], [0, 20, 21, 2, 1, 1]])
MASK = (IDS != 1).long()
MARKS = (
    ".adapters.theirs.",
    "adapters.theirs.",
    "prefix_tunings.theirs.",
    "shared_parameters.theirs.",
    "loras.theirs.",
)


@dataclass(frozen=True)
class Case:
    """One kind of adapter: the library's config, and the method of ours that it is.

    Attributes:
        name: of the case.
        library: ``adapters`` or ``peft``.
        config: class of the library's config.
        settings: of the config.
        method: what a study file says for it.
        head: whether the library writes it from a model with a head.
        files: the forms of weight files that the library writes.
    """

    name: str
    library: str
    config: str
    settings: dict[str, Any]
    method: dict[str, Any]
    head: bool = False
    files: tuple[str, ...] = ("safetensors", "pickle")
    stackable: bool = field(default=True)


CASES = [
    Case("seq", "adapters", "SeqBnConfig", {"reduction_factor": 4}, {"kind": "bottleneck", "reduction": 4}),
    Case(
        "seq head",
        "adapters",
        "SeqBnConfig",
        {"reduction_factor": 8, "leave_out": [1], "dropout": 0.1},
        {"kind": "bottleneck", "reduction": 8, "leave_out": [1]},
        head=True,
    ),
    Case(
        "double",
        "adapters",
        "DoubleSeqBnConfig",
        {"reduction_factor": 4},
        {"kind": "bottleneck", "placement": "double", "reduction": 4},
    ),
    Case(
        "parallel",
        "adapters",
        "ParBnConfig",
        {"reduction_factor": 4},
        {"kind": "bottleneck", "placement": "parallel", "reduction": 4},
        stackable=False,
    ),
    Case(
        "invertible",
        "adapters",
        "SeqBnInvConfig",
        {"reduction_factor": 4},
        {"kind": "bottleneck", "reduction": 4, "invertible": True},
    ),
    Case(
        "compacter",
        "adapters",
        "CompacterPlusPlusConfig",
        {"reduction_factor": 4},
        {"kind": "compacter", "reduction": 4},
        head=True,
    ),
    Case(
        "prefix",
        "adapters",
        "PrefixTuningConfig",
        {"prefix_length": 3, "bottleneck_size": 4},
        {"kind": "prefix", "length": 3, "inner": 4},
        files=("pickle",),  # of a prefix the library cannot write safetensors
    ),
    Case(
        "lora of adapters",
        "adapters",
        "LoRAConfig",
        {"r": 4, "alpha": 6, "intermediate_lora": True, "output_lora": True},
        {"kind": "lora", "rank": 4, "alpha": 6, "targets": ["query", "value", "intermediate", "output"]},
    ),
    Case(
        "lora",
        "peft",
        "LoraConfig",
        {"r": 2, "lora_alpha": 3, "target_modules": ["query", "value"], "lora_dropout": 0.1},
        {"kind": "lora", "rank": 2, "alpha": 3},
    ),
    Case(
        "lora everywhere",
        "peft",
        "LoraConfig",
        {
            "r": 2,
            "target_modules": ["query", "key", "value", "dense"],
            "use_rslora": True,
            "layers_to_transform": [0, 2],
        },
        {
            "kind": "lora",
            "rank": 2,
            "alpha": 8,
            "rank_stabilized": True,
            "targets": ["query", "key", "value", "attention_output", "intermediate", "output"],
            "leave_out": [1, 3],
        },
    ),
    Case(
        "lora head",
        "peft",
        "LoraConfig",
        {"r": 2, "target_modules": ["query", "value"], "task_type": "SEQ_CLS"},
        {"kind": "lora", "rank": 2, "alpha": 8},
        head=True,
    ),
    Case(
        "dora",
        "peft",
        "LoraConfig",
        {"r": 2, "target_modules": ["query", "value"], "use_dora": True},
        {"kind": "lora", "rank": 2, "alpha": 8, "dora": True},
        stackable=False,
    ),
    Case(
        "ia3",
        "peft",
        "IA3Config",
        {
            "target_modules": ["key", "value", *(f"layer.{i}.output.dense" for i in range(4))],
            "feedforward_modules": [f"layer.{i}.output.dense" for i in range(4)],
        },
        {"kind": "ia3"},
    ),
]


def states(model: nn.Module) -> Tensor:
    """Last hidden states of the tokens."""
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).last_hidden_state[MASK.bool()]


def plain(folder: Path) -> nn.Module:
    """Load the encoder with plain transformers."""
    from transformers import XLMRobertaModel

    return XLMRobertaModel.from_pretrained(str(folder), add_pooling_layer=False).eval()


def perturb(values: Iterable[nn.Parameter], seed: int = 5) -> None:
    """Give parameters other values, because fresh ones often change nothing."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in values:
            value.copy_(0.2 * torch.randn(value.shape, generator=noise))


def write(case: Case, tiny: Path, folder: Path, form: str = "safetensors", seed: int = 5) -> Tensor:
    """Write an adapter with the plain library alone; returns the encoder's states with it."""
    return {"adapters": _adapters, "peft": _peft}[case.library](case, tiny, folder, form, seed)


def _adapters(case: Case, tiny: Path, folder: Path, form: str, seed: int) -> Tensor:
    import adapters

    if case.head:
        model = adapters.XLMRobertaAdapterModel.from_pretrained(str(tiny)).eval()
        model.add_classification_head("theirs", num_labels=3)
    else:
        model = plain(tiny)
        adapters.init(model)
    model.add_adapter("theirs", config=getattr(adapters, case.config)(**case.settings))
    added = {id(p): p for key, p in model.named_parameters() if any(mark in key for mark in MARKS)}
    perturb(added.values(), seed)
    model.set_active_adapters("theirs")
    model.save_adapter(str(folder), "theirs", with_head=case.head, use_safetensors=form == "safetensors")
    return states(model.roberta if case.head else model)


def _peft(case: Case, tiny: Path, folder: Path, form: str, seed: int) -> Tensor:
    import peft
    from transformers import XLMRobertaForSequenceClassification

    base = XLMRobertaForSequenceClassification.from_pretrained(str(tiny), num_labels=3) if case.head else plain(tiny)
    model = peft.get_peft_model(base, getattr(peft, case.config)(**case.settings))
    perturb([p for key, p in model.named_parameters() if "lora_" in key or "ia3_l" in key], seed)
    model.eval()
    model.save_pretrained(str(folder), safe_serialization=form == "safetensors")
    return states(base.roberta if case.head else model)


def load_plain(tiny: Path, library: str, folders: list[Path]) -> nn.Module:
    """Load a plain encoder with adapters of the plain library acting one over the other, the lowest first."""
    model = plain(tiny)
    if library == "peft":
        from peft import PeftModel

        wrapped = PeftModel.from_pretrained(model, str(folders[0]), adapter_name="a0").eval()
        for i, folder in enumerate(folders[1:], 1):
            wrapped.load_adapter(str(folder), f"a{i}")
        wrapped.base_model.set_adapter([f"a{i}" for i in range(len(folders))])
        return wrapped.eval()
    import adapters

    adapters.init(model)
    safe: Callable[[Path], bool] = lambda folder: (folder / "adapter.safetensors").is_file()  # noqa: E731
    # under their own names: under another one the library loses the shared matrices of a compacter
    names = [model.load_adapter(str(folder), use_safetensors=safe(folder)) for folder in folders]
    assert len(set(names)) == len(names)
    model.set_active_adapters(adapters.composition.Stack(*names))
    return model.eval()
