"""Tiny encoders of every architecture for the conformance matrix: random weights, and a tokenizer of whole words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from adaptstilts.models import architectures

WORDS = 40
LAYERS = 4
_SIZES = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": 64}
_BERT = {**_SIZES, "max_position_embeddings": 64}
_XLMR = {**_SIZES, "max_position_embeddings": 66, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
    "type_vocab_size": 0,
}
_DISTILBERT = {"dim": 32, "n_layers": LAYERS, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64}
SETTINGS: Mapping[str, tuple[str, dict[str, Any]]] = {  # model type -> class of the config, its settings
    "xlm-roberta": ("XLMRobertaConfig", _XLMR),
    "xlm-roberta-xl": ("XLMRobertaXLConfig", _XLMR),
    "roberta": ("RobertaConfig", _XLMR),
    "bert": ("BertConfig", _BERT),
    "distilbert": ("DistilBertConfig", _DISTILBERT),
    "electra": ("ElectraConfig", {**_BERT, "embedding_size": 16}),
    "rembert": ("RemBertConfig", {**_BERT, "input_embedding_size": 16, "output_embedding_size": 24}),
    "deberta-v2": ("DebertaV2Config", {**_BERT, **_DEBERTA}),
    "modernbert": ("ModernBertConfig", {**_BERT, "local_attention": 8, "reference_compile": False}),
}


@dataclass(frozen=True)
class Inputs:
    """A pair of texts, and a single one with padding.

    Attributes:
        ids: (sequences, tokens).
        mask: 1 for tokens, 0 for padding.
        types: 1 from the second text on.
    """

    ids: Tensor
    mask: Tensor
    types: Tensor

    def ours(self) -> dict[str, Tensor]:
        """Return the arguments of the package's encoder."""
        return {"ids": self.ids, "mask": self.mask, "types": self.types}

    def plain(self, name: str) -> dict[str, Tensor]:
        """Return the arguments of the model of ``transformers`` of an architecture."""
        inputs = {"input_ids": self.ids, "attention_mask": self.mask}
        if architectures.get(name).text_format.token_types:
            inputs["token_type_ids"] = self.types
        return inputs


def make_inputs(name: str) -> Inputs:
    """Return token ids with the special tokens of an architecture, whose numbers are 0 (begin), 1 (pad) and 2 (end)."""
    between = [2] * len(architectures.get(name).text_format.between)
    first = [0, 10, 11, 12, 13, *between]
    pair = [*first, 20, 21, 22, 2]
    single = [0, 30, 31, 32, 2]
    ids = torch.tensor([pair, single + [1] * (len(pair) - len(single))])
    types = torch.zeros_like(ids)
    types[0, len(first) :] = 1
    return Inputs(ids, (ids != 1).long(), types)


def make_encoder(folder: Path, name: str) -> Path:
    """Write an encoder, with the head for masked tokens of ``transformers`` if the package reads one.

    Args:
        folder: a new folder.
        name: model type.
    """
    folder.mkdir(parents=True)
    form = architectures.get(name).text_format
    words = [form.begin, form.pad, form.end, form.unknown, form.mask, *(f"w{i}" for i in range(WORDS))]
    words = [*dict.fromkeys(words)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=form.unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    config_class, settings = SETTINGS[name]
    tokens = {"vocab_size": len(words), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    if name == "modernbert":
        tokens = {**tokens, "cls_token_id": 0, "sep_token_id": 2}
    config = getattr(transformers, config_class)(**settings, **tokens, attn_implementation="eager")
    torch.manual_seed(3)
    model = plain_class(name, masked=True)(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
            elif key.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def plain_class(name: str, masked: bool = False) -> Any:
    """Return the class of ``transformers`` of an architecture.

    Args:
        name: model type.
        masked: that with a head for masked tokens, if the package supports one.
    """
    architecture = architectures.get(name)
    with_head = architecture.masked_model_class if masked else None
    return getattr(transformers, with_head or architecture.model_class)


def plain_model(folder: Path, name: str, masked: bool = False) -> Any:
    """Load a model with ``transformers`` alone; arguments as of :func:`plain_class`, and the folder."""
    return plain_class(name, masked).from_pretrained(folder, attn_implementation="eager").eval()
