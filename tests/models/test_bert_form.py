"""One encoder in the forms of XLM-R and BERT, as multilingual E5 small and MiniLM are: the same numbers everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.bert_form import write_bert_form

from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer

FIRST, SECOND = "the cat sees a red bird", "a dog runs"


@pytest.fixture(scope="module")
def bert(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert_form(tiny, tmp_path_factory.mktemp("forms") / "bert")


def test_states_are_equal_also_those_of_pairs(tiny: Path, bert: Path) -> None:
    states = []
    for folder in (tiny, bert):
        tokenizer, encoder = Tokenizer(folder), Encoder(folder)
        a, b = tokenizer.ids([FIRST, SECOND])
        sequences = [tokenizer.pair(a, b, 64), tokenizer.single(a, 64)]
        features = [Feature.of(i, [sequence], None) for i, sequence in enumerate(sequences)]
        batch = collate(features, tokenizer.pad, torch.device("cpu"))
        assert batch.types is None, "a tokenizer of XLM-R knows no types of tokens, whatever the encoder knows"
        with torch.no_grad():
            states.append(encoder.states(batch.ids, batch.mask, types=batch.types)[batch.mask.bool()])
    assert torch.allclose(*states, atol=1e-5), "but for rounding"
    assert locate(str(bert)).max_tokens == locate(str(tiny)).max_tokens == 128
