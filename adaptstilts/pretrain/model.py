"""The model that is pretrained, with its language-model head: starting weights and files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.errors import ArtifactError
from adaptstilts.methods.host import module_at
from adaptstilts.models.architectures import PRETRAINED
from adaptstilts.models.seeds import generator
from adaptstilts.models.weight_files import WEIGHTS
from adaptstilts.models.weights import read_tensors
from adaptstilts.pretrain.encoded import TokenizedCorpus
from adaptstilts.pretrain.recipe import Shape
from adaptstilts.pretrain.vocabulary import BEGIN, END, PAD, SPECIAL

DROPOUT = 0.1  # of the written config; pretraining itself has none
ARCHITECTURE = PRETRAINED
TIED = ARCHITECTURE.language_model.tied  # keys of the model whose weights have other names in its file


def new_model(shape: Shape, vocabulary: int, positions: int) -> Any:
    """Return a masked language model of ``transformers`` with random weights that depend on the shape's seed alone.

    Args:
        shape: hidden size, layers, heads, seed.
        vocabulary: number of tokens.
        positions: longest input in tokens.
    """
    sizes = {"hidden": shape.hidden, "layers": shape.layers, "heads": shape.heads, "intermediate": 4 * shape.hidden}
    sizes |= {"vocabulary": vocabulary, "positions": positions}
    with generator("weights", shape.seed):
        return ARCHITECTURE.new_masked_model(sizes, {"begin": BEGIN, "end": END, "pad": PAD})


def language_model_head(model: Any) -> Any:
    """Return the module of a masked language model that maps hidden states to logits."""
    return module_at(model, ARCHITECTURE.language_model.module)


def start_embeddings(model: Any, vectors: Tensor) -> None:
    """Replace the random token embeddings by vectors; special tokens, and tokens without a vector, keep theirs.

    The vectors are centred and scaled to one length, three times that of random rows: as output weights they then
    start with even logits.

    Args:
        model: as :func:`new_model` returns it.
        vectors: (vocabulary, hidden), zero for tokens that have none.
    """
    weight = model.get_input_embeddings().weight
    known = vectors.norm(dim=1) > 0
    known[: len(SPECIAL)] = False
    length = 3 * model.config.initializer_range * math.sqrt(vectors.shape[1])
    with torch.no_grad():
        centred = vectors[known] - vectors[known].mean(dim=0)
        weight[known] = (functional.normalize(centred, dim=1) * length).to(weight)


def start_bias(model: Any, corpus: TokenizedCorpus) -> None:
    """Set the bias of the language-model head to the log frequencies of the tokens in the text."""
    bias = language_model_head(model).bias
    counts = np.bincount(corpus.tokens, minlength=len(bias)) + 1.0
    with torch.no_grad():
        bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def load_weights(model: Any, path: Path) -> None:
    """Fill a model with the weights that :func:`save` wrote.

    Args:
        model: as :func:`new_model` returns it.
        path: path of the weights.

    Raises:
        ArtifactError: they are those of another shape.
    """
    missing, unexpected = model.load_state_dict(read_tensors(path), strict=False)
    if set(missing) != TIED or unexpected:
        wrong = sorted(set(missing) ^ TIED) or unexpected
        raise ArtifactError(f"{path}: the weights do not fit this shape: {', '.join(wrong[:3])}")


def save(model: Any, folder: Path) -> None:
    """Write config and weights, language-model head included, such that this package and transformers load them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(model.config.to_json_string())
    config |= {"architectures": [ARCHITECTURE.masked_model_class], "_name_or_path": ""}
    config |= {"hidden_dropout_prob": DROPOUT, "attention_probs_dropout_prob": DROPOUT}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tensors = {}
    for key, value in model.state_dict().items():
        if key not in TIED:
            tensors[key] = value.detach().cpu().contiguous()
    save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})


def make_optimizer(parameters: dict[str, nn.Parameter], shape: Shape) -> torch.optim.Optimizer:
    """Return a fused AdamW: the word embeddings have a rate of their own, one-dimensional weights no decay.

    Args:
        parameters: parameters of the model, by name.
        shape: learning rates and weight decay.
    """
    words, matrices, vectors = [], [], []
    for key, value in parameters.items():
        if "word_embeddings" in key:
            words.append(value)
        elif value.ndim > 1:
            matrices.append(value)
        else:
            vectors.append(value)
    groups = [
        {"params": words, "weight_decay": 0.0, "share": shape.embedding_lr},
        {"params": matrices, "weight_decay": shape.weight_decay, "share": 1.0},
        {"params": vectors, "weight_decay": 0.0, "share": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=shape.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
