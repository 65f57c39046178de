"""ModernBERT (Warner et al. 2024, arXiv 2412.13663), also multilingual (mmBERT): rotary positions, gated feed-forward.

Every layer normalises what it reads, and the last hidden state is normalised once more. Query, key and value are one
projection, and a layer in three attends to all tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from adaptstilts.methods.host import ModuleNames, module_at
from adaptstilts.models.architectures.base import Architecture, TextFormat
from adaptstilts.models.architectures.bert import TEXT_FORMAT
from adaptstilts.models.architectures.fields import (
    ACTIVATIONS,
    ConfigField,
    flag,
    is_number,
    one_of,
    probability,
    small_number,
    token_id,
)

if TYPE_CHECKING:
    from torch import nn

_HEAD = "of a head that is not part of the encoder"
_SPEED = "how it is computed, not what"


def _positive(usual: float) -> ConfigField:
    return ConfigField.of(usual, lambda value: is_number(value) and value > 0, "a number above 0")


def _sizes(hidden: int, layers: int, heads: int, intermediate: int, vocabulary: int) -> dict[str, int]:
    """Return the sizes of a published model, which has 8192 positions.

    Args:
        hidden: hidden size.
        layers: number of layers.
        heads: of the attention.
        intermediate: width of the feed-forward block behind its gate.
        vocabulary: number of pieces.
    """
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": intermediate}
    return {**shape, "vocabulary": vocabulary, "positions": 8192}


class ModernBert(Architecture):
    """ModernBERT base and large, and mmBERT."""

    name = "modernbert"
    model_class = "ModernBertModel"
    masked_model_class = "ModernBertForMaskedLM"
    load_options: ClassVar[Mapping[str, Any]] = {"attn_implementation": "sdpa"}
    names = ModuleNames(
        layers="layers",
        inputs=("embeddings",),
        linear={"attention_output": "attn.Wo", "output": "mlp.Wo"},
        prefix="model",
        final="final_norm",
        biases=False,
        adapters=frozenset({"bottleneck"}),
        interface={
            "adapter_methods": ["bottleneck"],
            "model_embeddings": "embeddings",
            "model_layers": "layers",
            "layer_self_attn": "attn",
            "layer_cross_attn": None,
            "attn_qkv_proj": "Wqkv",
            "attn_o_proj": "Wo",
            "layer_intermediate_proj": "mlp.Wi",
            "layer_output_proj": "mlp.Wo",
        },
    )
    text_format = replace(TEXT_FORMAT, token_types=False, spaced_words=True)
    other_formats: ClassVar[tuple[TextFormat, ...]] = (  # of mmBERT
        TextFormat(
            begin="<bos>",
            end="<eos>",
            between=("<eos>",),
            pad="<pad>",
            unknown="<unk>",
            mask="<mask>",
            spaced_words=True,
        ),
    )
    embeddings: ClassVar[Mapping[str, str]] = {"vocab_size": "tok_embeddings.weight"}
    settings: ClassVar[Mapping[str, ConfigField]] = {
        "hidden_activation": one_of("gelu", ACTIVATIONS),
        "norm_eps": small_number(1e-5, absent=1e-5),
        "norm_bias": flag(False),
        "attention_bias": flag(False),
        "mlp_bias": flag(False),
        "attention_dropout": probability(0.0),
        "embedding_dropout": probability(0.0),
        "mlp_dropout": probability(0.0),
        "global_rope_theta": _positive(160_000.0),
        "local_rope_theta": _positive(10_000.0),
        "global_attn_every_n_layers": token_id(3),
        "local_attention": token_id(128),
        "pad_token_id": token_id(50_283),
    }
    ignored: ClassVar[Mapping[str, str]] = {
        **Architecture.ignored,
        **dict.fromkeys(
            (
                "decoder_bias", "classifier_pooling", "classifier_dropout", "classifier_bias", "classifier_activation",
                "sparse_prediction", "sparse_pred_ignore_index", "repad_logits_with_grad", "initializer_cutoff_factor",
            ),
            _HEAD,
        ),
        **dict.fromkeys(("deterministic_flash_attn", "reference_compile"), _SPEED),
    }  # fmt: skip
    dropout = "mlp_dropout"
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "answerdotai/ModernBERT-base": _sizes(768, 22, 12, 1152, vocabulary=50_368),
        "answerdotai/ModernBERT-large": _sizes(1024, 28, 16, 2624, vocabulary=50_368),
        "jhu-clsp/mmBERT-small": _sizes(384, 22, 6, 1152, vocabulary=256_000),
        "jhu-clsp/mmBERT-base": _sizes(768, 22, 12, 1152, vocabulary=256_000),
    }

    def library_fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a config that the library gets; nothing is compiled."""
        return {**super().library_fields(config), "reference_compile": False}

    def is_unused(self, key: str) -> bool:
        """Return whether a tensor is of the language-model head."""
        return super().is_unused(key) or key.startswith(("head.", "decoder."))

    def parameters(self, shape: Mapping[str, int]) -> int:
        """Return the number of parameters without biases: embeddings, layers with a gate, and all normalisations."""
        hidden, inner, layers = shape["hidden"], shape["intermediate"], shape["layers"]
        layer = 4 * hidden * hidden + 3 * hidden * inner
        norms = 2 * layers - 1 + 2  # the first layer does not normalise what it reads
        return shape["vocabulary"] * hidden + layers * layer + norms * hidden

    def tap(self, model: Any, layer: int) -> tuple[nn.Module, bool]:
        """Return the module at which a hidden state can be read, see the base class."""
        if layer == 0:
            return module_at(model, "embeddings"), True
        return super().tap(model, layer)


ARCHITECTURE = ModernBert()
