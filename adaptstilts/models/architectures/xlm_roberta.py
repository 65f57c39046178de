"""XLM-RoBERTa (Conneau et al. 2020, arXiv 1911.02116): RoBERTa's layers over a sentencepiece vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adaptstilts.methods.host import ModuleNames
from adaptstilts.models.architectures.base import Architecture, LanguageModelLayout
from adaptstilts.models.architectures.bert import LINEAR, PEFT, SENTENCEPIECE_FORMAT
from adaptstilts.models.architectures.fields import SETTINGS, ConfigField, small_number

_PADDING = 1  # position ids begin after that of the padding token, so two position embeddings are never used

# Padding is the token after whose number the positions begin, so a larger one would leave too few of them.
_PADDING_TOKEN = ConfigField.of(_PADDING, lambda value: type(value) is int and value in (0, _PADDING), "0 or 1")


def _sizes(hidden: int, layers: int, heads: int) -> dict[str, int]:
    """Return the sizes of a published model; vocabulary and positions are those of all."""
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": 4 * hidden}
    return {**shape, "vocabulary": 250_002, "positions": 514}


class XlmRoberta(Architecture):
    """XLM-R base and large, and encoders of the same form."""

    name = "xlm-roberta"
    model_class = "XLMRobertaModel"
    masked_model_class = "XLMRobertaForMaskedLM"
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        attention="attention",
        linear=LINEAR,
        peft=PEFT,
        prefix="roberta",
        adapters=frozenset({"bottleneck", "invertible", "compacter", "prefix"}),
    )
    text_format = SENTENCEPIECE_FORMAT
    language_model: ClassVar[LanguageModelLayout] = LanguageModelLayout(
        module="lm_head",
        prefix="lm_head.",
        keys={
            "dense.weight": "dense.weight",
            "dense.bias": "dense.bias",
            "layer_norm.weight": "layer_norm.weight",
            "layer_norm.bias": "layer_norm.bias",
            "bias": "bias",
        },
        tied=frozenset({"lm_head.decoder.weight", "lm_head.decoder.bias"}),
        epsilon="layer_norm_eps",
    )
    settings: ClassVar[Mapping[str, ConfigField]] = {
        **SETTINGS,
        "layer_norm_eps": small_number(1e-5, absent=1e-12),
        "pad_token_id": _PADDING_TOKEN,
    }
    pads_positions = True
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "FacebookAI/xlm-roberta-base": _sizes(hidden=768, layers=12, heads=12),
        "FacebookAI/xlm-roberta-large": _sizes(hidden=1024, layers=24, heads=16),
        "intfloat/multilingual-e5-base": _sizes(hidden=768, layers=12, heads=12),
        "intfloat/multilingual-e5-large": _sizes(hidden=1024, layers=24, heads=16),
    }

    def max_tokens(self, positions: int) -> int:
        """Return the number of position embeddings that can be used."""
        return positions - _PADDING - 1

    def new_masked_model(self, shape: Mapping[str, int], special_ids: Mapping[str, int]) -> Any:
        """Return an ``XLMRobertaForMaskedLM`` with random weights and without dropout, see the base class."""
        from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

        config = XLMRobertaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["hidden"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            intermediate_size=shape["intermediate"],
            max_position_embeddings=shape["positions"] + special_ids["pad"] + 1,
            pad_token_id=special_ids["pad"],
            bos_token_id=special_ids["begin"],
            eos_token_id=special_ids["end"],
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",
        )
        return XLMRobertaForMaskedLM(config)


ARCHITECTURE = XlmRoberta()
