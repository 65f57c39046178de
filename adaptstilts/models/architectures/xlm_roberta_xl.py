"""XLM-R XL and XXL (Goyal et al. 2021, arXiv 2105.00572): layers that normalise what they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from adaptstilts.models.architectures.bert import INTERFACE
from adaptstilts.models.architectures.xlm_roberta import XlmRoberta


def _sizes(hidden: int, layers: int) -> dict[str, int]:
    """Return the sizes of a published model."""
    shape = {"hidden": hidden, "layers": layers, "heads": 32, "intermediate": 4 * hidden}
    return {**shape, "vocabulary": 250_880, "positions": 514}


class XlmRobertaXl(XlmRoberta):
    """XLM-R XL (3.5 billion parameters) and XXL (10.7 billion)."""

    name = "xlm-roberta-xl"
    model_class = "XLMRobertaXLModel"
    masked_model_class = "XLMRobertaXLForMaskedLM"
    load_options: ClassVar[Mapping[str, Any]] = {"add_pooling_layer": False, "attn_implementation": "eager"}
    names = replace(
        XlmRoberta.names,
        final="encoder.LayerNorm",
        adapters=frozenset({"bottleneck"}),
        interface=INTERFACE,
    )
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "facebook/xlm-roberta-xl": _sizes(hidden=2560, layers=36),
        "facebook/xlm-roberta-xxl": _sizes(hidden=4096, layers=48),
    }


ARCHITECTURE = XlmRobertaXl()
