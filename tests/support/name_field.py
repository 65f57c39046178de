"""Names of intermediates that look like parts of tensor keys or of the libraries, and an adapter's whole way for one.

``python -m support.name_field [METHOD ...]`` from the folder ``tests`` takes all names with some methods, or with all.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adaptstilts import run, study
from adaptstilts.interop import adapters
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model, locate
from adaptstilts.plan.expand import expand
from adaptstilts.plan.phases import Phase, TrainPhase
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.workspace import Workspace
from support.foreign_adapters import IDS, MASK, load_plain, states

CLOSE = 1e-6
NUMBERS = "0 1 2 3 7 10 007 1.5 0.1 1e5 0x10 2024".split()
PARTS = """
encoder layer attention self query key value output dense intermediate LayerNorm embeddings weight bias roberta bert
pooler classifier model base_model base_layer lora_A lora_B lora_magnitude_vector ia3_l default adapters adapter
adapter_down invertible_adapters shared_parameters prefix_tunings prefix_tuning prefix_gates pool loras refts
adapter_fusion_layer layer_text_task_adapters invertible_lang_adapters head trunk
""".split()
ATTRIBUTES = """
train training eval type keys values items pop clear update forward half to apply parameters modules state_dict copy get
add_module get_parameter
""".split()
DOTTED = "a.b encoder.layer layer.1 self.query query.lora_A a.weight x. x..y v1.0 attention.self.value".split()
OTHERS = ["a-b", "x--", "a_", "Z", "none-", "null", "true", "nan", "x", "theirs", "merged", "part0", "trained"]
LONG = ["n" * 96, "layer_" * 16]
NAMES = (*NUMBERS, *PARTS, *ATTRIBUTES, *DOTTED, *OTHERS, *LONG)
REFUSED = ("", "名前", "naïve", "a b", "a/b", "../x", "-x", ".x", "_x", "a\nb", "a,b", "a'b", "a|b", "$HOME", "n" * 97)
METHODS: dict[str, dict[str, Any]] = {
    "bottleneck": {"kind": "bottleneck", "reduction": 8},
    "lora": {"kind": "lora", "rank": 2},
    "ia3": {"kind": "ia3"},
    "prefix": {"kind": "prefix", "length": 2, "inner": 4},
    "double": {"kind": "bottleneck", "reduction": 8, "placement": "double", "invertible": True},
    "compacter": {"kind": "compacter", "reduction": 8},
    "dora": {"kind": "lora", "rank": 2, "dora": True},
    "bitfit": {"kind": "bitfit"},
    "layernorm": {"kind": "layernorm"},
}
FORMATS = {
    "lora": ("peft", "adapterhub"),
    "dora": ("peft",),
    "ia3": ("peft",),
    "bitfit": ("own",),
    "layernorm": ("own",),
}


@dataclass(frozen=True)
class OnePhase:
    """A plan of one phase."""

    model: Model
    phase: Phase

    def order(self) -> list[Phase]:
        return [self.phase]


def study_of(name: str, method: str, model: Path) -> study.Study:
    """A study whose one intermediate has the name."""
    text = {
        "name": "names",
        "model": str(model),
        "intermediates": [{"task": name, "mixture": {"tasks": ["sample_nli", "sample_choice"]}}],
        "targets": ["sample_nli"],
        "methods": [METHODS[method]],
        "languages": ["en", "de"],
        "train": {
            "max_steps": 2,
            "eval_every": 2,
            "warmup": 0.0,
            "batch_size": 4,
            "dev_examples": 4,
            "lr": 0.01,
            "max_length": 32,
        },
        "swap": "off",
    }
    return study.parse(json.dumps(text))


def ours(workspace: Workspace, model: Model, key: str) -> Tensor:
    """States of an entry's adapter, read from the store."""
    encoder = AdapterPool(workspace.store, model, torch.device("cpu")).encoder(None, (key,))
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def whole_way(name: str, method: str, model_folder: Path, folder: Path) -> dict[str, float]:
    """Train, store, read, export, load plainly and import again; return how far each is from what was read."""
    workspace = Workspace(folder / "store")
    plan = expand(study_of(name, method, model_folder), workspace)
    (phase,) = [phase for phase in plan.phases.values() if isinstance(phase, TrainPhase) and phase.task == name]
    run.run_plan(OnePhase(plan.model, phase), workspace)
    model = locate(str(model_folder))
    read = ours(workspace, model, phase.key)
    with torch.no_grad():
        bare = Encoder(model_folder).states(IDS, MASK)[MASK.bool()]
    steps = {"effect": apart(read, bare)}
    for form in FORMATS.get(method, ("adapterhub",)):
        out = folder / form
        adapters.export_adapter(plan, workspace, adapters.AdapterFilter(intermediate=name), form, out)
        if form != "own":
            library = "peft" if form == "peft" else "adapters"
            steps[f"{form} in the library"] = apart(states(load_plain(model_folder, library, [out])), read)
        other = Workspace(folder / f"again-{form}")
        entry = adapters.import_adapter(str(out), str(model_folder), other)
        steps[f"{form} again"] = apart(ours(other, model, entry.key), read)
    return steps


def main(chosen: Sequence[str]) -> None:
    """Take all names the whole way with some methods, and print what fails and how far apart the steps are."""
    from support.inputs import make_encoder

    failures, worst = 0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        model = make_encoder(Path(scratch) / "tiny", seed=1)
        for method in chosen:
            effects = []
            for number, name in enumerate(NAMES):
                try:
                    steps = whole_way(name, method, model, Path(scratch) / f"{method}{number}")
                except Exception as error:
                    failures += 1
                    print(f"{method:12} {name[:40]:40} {type(error).__name__}: {str(error)[-150:]}")
                    continue
                effects.append(steps.pop("effect"))
                worst = max(worst, *steps.values())
                if max(steps.values()) > CLOSE:
                    failures += 1
                    print(f"{method:12} {name[:40]:40} {steps}")
            print(f"{method}: {len(effects)} of {len(NAMES)}, effects {min(effects)!r} to {max(effects)!r}", flush=True)
    print(f"{failures} failures of {len(chosen) * len(NAMES)}; largest difference {worst:.3g}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(METHODS))
