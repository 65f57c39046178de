"""Masked language modelling: no text is lost, what is asked for depends on the row alone, the head is tied."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.inputs import sentence

from adaptstilts import kinds
from adaptstilts.kinds import heads
from adaptstilts.kinds.masked_lm import ASKED
from adaptstilts.models.batching import IGNORE, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.language_model_head import LanguageModelHead
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.study import Masked, TextSource, masked_text

KIND = kinds.get("masked")
TASK = masked_text.of(Masked(text=(TextSource(repo="a/b"), TextSource(repo="c/d", format="text"))))


def rows(n: int) -> list[dict[str, str]]:
    import random

    generator = random.Random(1)
    return [{"text": " ".join(sentence(generator) for _ in range(i + 1))} for i in range(n)]


def test_the_task_reads_every_text() -> None:
    assert TASK.train is not None
    assert [str(place) for place in (TASK.train, *TASK.train.more)][1] == "c/d default train"
    assert TASK.train.more[0].format == "text"
    assert TASK.dev is None


def test_nothing_is_left_out_and_some_tokens_are_asked_for(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    texts = rows(12)
    features = KIND.features(texts, tokenizer, TASK, 16)
    for i, ids in enumerate(tokenizer.ids([row["text"] for row in texts])):
        held: list[int] = []
        for item in (item for item in features.items if item.example == i):
            (sequence,) = item.sequences
            assert len(sequence) == len(item.target) <= 16
            assert item.target[0] == item.target[-1] == IGNORE
            asked = [t for t in item.target if t != IGNORE]
            assert len(asked) == max(round((len(sequence) - 2) * ASKED), 1)
            held += [s if t == IGNORE else t for s, t in zip(sequence, item.target, strict=True)][1:-1]
        assert held == ids
    again = KIND.features(texts, tokenizer, TASK, 16)
    assert [item.sequences for item in again.items] == [item.sequences for item in features.items]
    shown = [s for item in features.items for s, t in zip(item.sequences[0], item.target, strict=True) if t != IGNORE]
    assert shown.count(tokenizer.mask) / len(shown) > 0.5


def test_a_text_without_tokens_gives_nothing(tiny: Path) -> None:
    assert KIND.features([{"text": ""}], Tokenizer(tiny), TASK, 16).items == []


def test_the_loss_is_that_of_the_definition(tiny: Path) -> None:
    encoder, tokenizer = Encoder(tiny), Tokenizer(tiny)
    features = KIND.features(rows(6), tokenizer, TASK, 32).items
    batch = collate(features, tokenizer.pad, torch.device("cpu"))
    head = heads.new(encoder, TASK, 1)
    with torch.no_grad():
        states = encoder.states(batch.ids, batch.mask)
        loss, terms = KIND.loss(head, states, batch)
    assert isinstance(head, LanguageModelHead)
    expected, count = 0.0, 0
    for i, item in enumerate(features):
        for j, target in enumerate(item.target):
            if target != IGNORE:
                hidden = head.layer_norm(torch.nn.functional.gelu(head.dense(states[i, j])))
                logits = encoder.words @ hidden + head.bias
                expected += float((torch.logsumexp(logits, 0) - logits[target]).detach())
                count += 1
    assert int(terms) == count
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_the_embeddings_are_not_the_heads_own(tiny: Path) -> None:
    encoder = Encoder(tiny)
    head = heads.new(encoder, TASK, 1)
    assert all(value is not encoder.words for value in head.parameters())
    assert set(head.state_dict()) == {"dense.weight", "dense.bias", "layer_norm.weight", "layer_norm.bias", "bias"}
    encoder.train_all()
    states = torch.ones(3, encoder.hidden)
    head(states).sum().backward()
    assert encoder.words.grad is not None, "full fine-tuning trains them through the head"


def test_the_pretrained_head_is_used_where_there_is_one() -> None:
    """The masked loss of a built-in encoder is far below that of a new head."""
    folder = locate("builtin:nano").folder
    encoder, tokenizer = Encoder(folder), Tokenizer(folder)
    texts = [{"text": "The weather is nice today and the children play in the garden."}] * 4
    batch = collate(KIND.features(texts, tokenizer, TASK, 32).items, tokenizer.pad, torch.device("cpu"))
    states = encoder.states(batch.ids, batch.mask)
    losses = []
    for weights in (encoder.language_model_weights(), {}):
        head = LanguageModelHead(encoder.words, encoder.hidden, 1e-5)
        head.start(weights)
        loss, terms = KIND.loss(head, states, batch)
        losses.append((loss / terms).item())
    assert losses[0] < losses[1] - 1
