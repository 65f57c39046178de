"""BERT (Devlin et al. 2019, arXiv 1810.04805), also multilingual BERT: word pieces, and two types of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adaptstilts.methods.host import ModuleNames
from adaptstilts.models.architectures.base import Architecture, LanguageModelLayout, TextFormat

LINEAR: Mapping[str, str] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
PEFT: Mapping[str, str] = {"query": "query", "key": "key", "value": "value"}
INTERFACE: Mapping[str, Any] = {  # for the adapters library, where it does not know an architecture of these modules
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
}
TEXT_FORMAT = TextFormat(
    begin="[CLS]", end="[SEP]", between=("[SEP]",), pad="[PAD]", unknown="[UNK]", mask="[MASK]", token_types=True
)
SENTENCEPIECE_FORMAT = TextFormat(
    begin="<s>", end="</s>", between=("</s>", "</s>"), pad="<pad>", unknown="<unk>", mask="<mask>"
)


def bert_sizes(hidden: int, layers: int, heads: int, vocabulary: int) -> dict[str, int]:
    """Return the sizes of a published model; a feed-forward block is four times as wide, and there are 512 positions.

    Args:
        hidden: hidden size.
        layers: number of layers.
        heads: of the attention.
        vocabulary: number of word pieces.
    """
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": 4 * hidden}
    return {**shape, "vocabulary": vocabulary, "positions": 512}


class Bert(Architecture):
    """BERT base and large, multilingual BERT, and encoders of the same form."""

    name = "bert"
    model_class = "BertModel"
    masked_model_class = "BertForMaskedLM"
    names = ModuleNames(
        layers="encoder.layer",
        inputs=("embeddings",),
        attention="attention",
        linear=LINEAR,
        peft=PEFT,
        prefix="bert",
        adapters=frozenset({"bottleneck", "invertible", "compacter", "prefix"}),
    )
    text_format = TEXT_FORMAT
    other_formats: ClassVar[tuple[TextFormat, ...]] = (SENTENCEPIECE_FORMAT,)  # of multilingual E5 small and MiniLM
    language_model: ClassVar[LanguageModelLayout] = LanguageModelLayout(
        module="cls",
        prefix="cls.",
        keys={
            "dense.weight": "predictions.transform.dense.weight",
            "dense.bias": "predictions.transform.dense.bias",
            "layer_norm.weight": "predictions.transform.LayerNorm.weight",
            "layer_norm.bias": "predictions.transform.LayerNorm.bias",
            "bias": "predictions.bias",
        },
        tied=frozenset({"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}),
        epsilon="layer_norm_eps",
    )
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "google-bert/bert-base-multilingual-cased": bert_sizes(768, 12, 12, vocabulary=119_547),
        "google-bert/bert-base-multilingual-uncased": bert_sizes(768, 12, 12, vocabulary=105_879),
        "google-bert/bert-base-cased": bert_sizes(768, 12, 12, vocabulary=28_996),
        "google-bert/bert-base-uncased": bert_sizes(768, 12, 12, vocabulary=30_522),
        "google-bert/bert-large-cased": bert_sizes(1024, 24, 16, vocabulary=28_996),
        "google-bert/bert-large-uncased": bert_sizes(1024, 24, 16, vocabulary=30_522),
        "intfloat/multilingual-e5-small": bert_sizes(384, 12, 12, vocabulary=250_037),
        "microsoft/Multilingual-MiniLM-L12-H384": bert_sizes(384, 12, 12, vocabulary=250_037),
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": bert_sizes(384, 12, 12, vocabulary=250_037),
        "sentence-transformers/LaBSE": bert_sizes(768, 12, 12, vocabulary=501_153),
    }


ARCHITECTURE = Bert()
