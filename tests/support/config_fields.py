"""Every field of a model's ``config.json`` changed one at a time, and what becomes of the model's identity.

``python -m support.config_fields FOLDER`` prints the table for the encoder in a folder.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptstilts.errors import ArtifactError
from adaptstilts.models import architectures
from adaptstilts.models.locate import locate

# A value for fields whose usual one cannot simply be counted up.
CHANGED: dict[str, Any] = {
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.5,
    "attention_probs_dropout_prob": 0.5,
    "layer_norm_eps": 0.5,
    "position_embedding_type": "relative_key",
    "is_decoder": True,
    "add_cross_attention": True,
    "pruned_heads": {"0": [1]},
    "num_attention_heads": 2,
    "attn_implementation": "eager",
    "_attn_implementation": "eager",
    "model_type": "no-such-type",
    "dtype": "float16",
    "torch_dtype": "float16",
    "id2label": {"0": "a"},
    "label2id": {"a": 0},
    "num_labels": 1_000_000_000,
    "adapters": {"adapters": {"a": "b"}, "config_map": {}},
    "adapter_fusion_models": [["a", "b"]],
    "a_new_field": 1,
}


@dataclass(frozen=True)
class Outcome:
    """What a changed field does: ``key`` (another identity), ``refused`` or ``ignored``, and why."""

    field: str
    value: Any
    result: str
    why: str


def fields(folder: Path) -> list[str]:
    """Return the names of all known fields (by the toolkit or the library), those in the file, and an unknown one."""
    import transformers

    config = json.loads((folder / "config.json").read_text())
    architecture = architectures.get(config["model_type"])
    library = vars(getattr(transformers, architecture.model_class).config_class())
    library_names = (name.removeprefix("_output").replace("_attentions", "output_attentions") for name in library)
    known = [*architecture.sizes.values(), *architecture.embeddings, *architecture.settings, *architecture.ignored]
    names = ["model_type", *known, *config, *library_names, "a_new_field"]
    return [name for name in dict.fromkeys(names) if name != "_attn_implementation_internal"]


def change(folder: Path, name: str, value: Any) -> None:
    """Set one field of the config in a folder."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Change every field in a copy of the folder, one at a time."""
    before = locate(str(folder)).fingerprint
    config = json.loads((folder / "config.json").read_text())
    architecture = architectures.get(config["model_type"])
    with tempfile.TemporaryDirectory() as scratch:
        copied = shutil.copytree(folder, Path(scratch) / "copy")
        for name in fields(folder):
            value = CHANGED.get(name, _other(config.get(name)))
            change(copied, name, value)
            try:
                after = locate(str(copied)).fingerprint
            except ArtifactError as error:
                yield Outcome(name, value, "refused", str(error).partition("config.json: ")[2] or str(error))
            else:
                if after != before:
                    yield Outcome(name, value, "key", after.settings or after.shape)
                else:
                    yield Outcome(name, value, "ignored", architecture.ignored.get(name, "NO REASON"))
            shutil.copy(folder / "config.json", copied / "config.json")


def _other(value: Any) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    return "other"


if __name__ == "__main__":
    for outcome in outcomes(Path(sys.argv[1])):
        print(f"| `{outcome.field}` | `{json.dumps(outcome.value)}` | {outcome.result} | {outcome.why[:110]} |")
