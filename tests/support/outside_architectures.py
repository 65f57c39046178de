"""Two architectures from outside the package, and tiny encoders of them: BERT, and RemBERT through plug-in adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from adaptstilts.methods.host import ModuleNames, module_at
from adaptstilts.models.architectures import Architecture, LanguageModelLayout, TextFormat
from support.inputs import WORDS

_LINEAR = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
_FORMAT = TextFormat(
    begin="[CLS]", end="[SEP]", between=("[SEP]",), pad="[PAD]", unknown="[UNK]", mask="[MASK]", token_types=True
)


class Bert(Architecture):
    """BERT: two token types, one separator, every position embedding used, another name of the head."""

    name = "bert"
    model_class = "BertModel"
    masked_model_class = "BertForMaskedLM"
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        attention="attention",
        linear=_LINEAR,
        prefix="bert",
        adapters=frozenset({"bottleneck", "invertible", "compacter", "prefix"}),
    )
    text_format = _FORMAT
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
        epsilon=1e-12,
    )


class RemBert(Architecture):
    """RemBERT: embeddings of another width, a projection inside the encoder, and unknown to the adapters library."""

    name = "rembert"
    model_class = "RemBertModel"
    load_options: ClassVar[dict[str, Any]] = {"add_pooling_layer": False, "attn_implementation": "eager"}
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings", "encoder.embedding_hidden_mapping_in"),
        linear=_LINEAR,
        prefix="rembert",
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
    text_format = _FORMAT

    def tap(self, model: Any, layer: int) -> tuple[nn.Module, bool]:
        if layer == 0:
            return module_at(model, self.names.inputs[-1]), True
        return super().tap(model, layer)


BERT, REMBERT = Bert(), RemBert()


def make_outside_encoder(folder: Path, architecture: Architecture) -> Path:
    """Write a tiny encoder of one of them, with its language-model head if it has one, and a word-piece tokenizer."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted(set("".join(WORDS)))
    pieces = [*special, *WORDS, *letters, *(f"##{letter}" for letter in letters), *"?.,!"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens(special)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    sizes |= {"vocab_size": len(vocabulary), "max_position_embeddings": 64}
    if architecture is BERT:
        model = transformers.BertForMaskedLM(transformers.BertConfig(**sizes))
    else:
        config = transformers.RemBertConfig(**sizes, input_embedding_size=16, output_embedding_size=16, pad_token_id=0)
        model = transformers.RemBertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
            elif name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, safe_serialization=True)
    return folder
