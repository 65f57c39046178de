"""RoBERTa (Liu et al. 2019, arXiv 1907.11692): the layers of XLM-R over byte-level pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from adaptstilts.models.architectures.xlm_roberta import XlmRoberta

_SIZES = {"vocabulary": 50_265, "positions": 514}


class Roberta(XlmRoberta):
    """RoBERTa base and large, and encoders of the same form."""

    name = "roberta"
    model_class = "RobertaModel"
    masked_model_class = "RobertaForMaskedLM"
    text_format = replace(XlmRoberta.text_format, spaced_words=True)
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "FacebookAI/roberta-base": {"hidden": 768, "layers": 12, "heads": 12, "intermediate": 3072, **_SIZES},
        "FacebookAI/roberta-large": {"hidden": 1024, "layers": 24, "heads": 16, "intermediate": 4096, **_SIZES},
    }


ARCHITECTURE = Roberta()
