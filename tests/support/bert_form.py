"""An XLM-R encoder written in BERT's form: other names, other places of positions, and the same function of a text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_UNUSED = 2  # XLM-R counts positions from the number after that of its padding token, which is 1
_POSITIONS, _TYPES = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"


def write_bert_form(source: Path, folder: Path, moved: bool = True) -> Path:
    """Write an encoder of type ``xlm-roberta`` as one of type ``bert``, with the same tokenizer and two token types.

    BERT adds the first row of token types to every token of a text.

    Args:
        source: folder with an XLM-R encoder without a language-model head.
        folder: a new folder.
        moved: draw that row at random, and take it out of the positions; hidden states are then equal but for
            rounding. Otherwise the row is that of XLM-R's only type, and they are equal to the bit.
    """
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "xlm-roberta", config["model_type"]
    changes = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "max_position_embeddings": config["max_position_embeddings"] - _UNUSED,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    tensors = {key.removeprefix("roberta."): value.float() for key, value in load_file(_weights(source)).items()}
    types = 0.02 * torch.randn(2, config["hidden_size"], generator=torch.Generator().manual_seed(0))
    positions, only = tensors[_POSITIONS][_UNUSED:], tensors[_TYPES][0]
    if moved:
        positions = positions + only - types[0]
    else:
        types[0] = only
    tensors.update({_POSITIONS: positions.contiguous(), _TYPES: types})
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**config, **changes, "torch_dtype": "float32"}), encoding="utf-8")
    save_file(tensors, _weights(folder), metadata={"format": "pt"})
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    return folder


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"
