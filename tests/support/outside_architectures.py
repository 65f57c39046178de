"""An architecture from outside the package, ERNIE, and a tiny encoder of it."""

from __future__ import annotations

from pathlib import Path

import torch

from adaptstilts.methods.host import ModuleNames
from adaptstilts.models.architectures import Architecture, LanguageModelLayout, TextFormat
from support.tiny_encoders import write_word_pieces


class Ernie(Architecture):
    """ERNIE: BERT's form, and unknown to the adapters library."""

    name = "ernie"
    model_class = "ErnieModel"
    masked_model_class = "ErnieForMaskedLM"
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        attention="attention",
        linear={
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "attention_output": "attention.output.dense",
            "intermediate": "intermediate.dense",
            "output": "output.dense",
        },
        prefix="ernie",
        adapters=frozenset({"bottleneck"}),
        interface={
            "adapter_methods": ["bottleneck"],
            "model_embeddings": "embeddings",
            "model_layers": "encoder.layer",
            "layer_self_attn": "attention",
            "layer_cross_attn": None,
            "attn_k_proj": "self.key",
            "attn_q_proj": "self.query",
            "attn_v_proj": "self.value",
            "attn_o_proj": "output.dense",
            "layer_intermediate_proj": "intermediate.dense",
            "layer_output_proj": "output.dense",
        },
    )
    text_format = TextFormat(
        begin="[CLS]", end="[SEP]", between=("[SEP]",), pad="[PAD]", unknown="[UNK]", mask="[MASK]", token_types=True
    )
    load_options = {"add_pooling_layer": False, "attn_implementation": "eager"}
    language_model = LanguageModelLayout(
        module="cls",
        prefix="cls.predictions.",
        keys={
            "dense.weight": "transform.dense.weight",
            "dense.bias": "transform.dense.bias",
            "layer_norm.weight": "transform.LayerNorm.weight",
            "layer_norm.bias": "transform.LayerNorm.bias",
            "bias": "bias",
        },
        tied=frozenset({"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}),
        epsilon="layer_norm_eps",
    )


ERNIE = Ernie()


def make_outside_encoder(folder: Path) -> Path:
    """Write a tiny encoder of it, with its language-model head and a word-piece tokenizer."""
    import transformers

    folder.mkdir(parents=True)
    size = write_word_pieces(folder)
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.ErnieConfig(**sizes, vocab_size=size, max_position_embeddings=64, type_vocab_size=2)
    model = transformers.ErnieForMaskedLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
            elif name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, safe_serialization=True)
    return folder
