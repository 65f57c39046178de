"""What counts as unknown to a tokenizer: tokens, and sentences of which no word is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builtin import BUILTIN

from adaptstilts.kinds.sentence_search import sentence_features
from adaptstilts.models import architectures
from adaptstilts.models.architectures import PRETRAINED
from adaptstilts.models.batching import Feature
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.models.unknown_tokens import KnownWords, TokenCount, count


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(BUILTIN / "nano", PRETRAINED)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("The cat runs.", True),
        ("한국어 cat", True),
        ("42", True),
        ("?!", True),
        ("한국어", False),
        ("ภาษาไทย", False),
        ("한국어 문장.", False),
        ("2020년 10월!", False),
        ("\U0001f600", False),
        ("<unk>", False),
        ("<s> </s>", False),
        ("\u200b", False),
        ("", False),
    ],
)
def test_a_sentence_is_known_by_its_words(tokenizer: Tokenizer, text: str, known: bool) -> None:
    ids = tokenizer.ids([text])
    words = KnownWords(tokenizer)
    assert words.is_known(ids[0]) is known
    assert words.are_known([*ids, tokenizer.ids(["The cat"])[0]]).tolist() == [known, True]


def test_letters_of_word_pieces_count_and_their_signs_do_not(tmp_path: Path) -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "##s": 5, "cat": 6, "##!": 7, "!": 8}
    special = [{"id": number, "content": token} for token, number in vocabulary.items() if token.startswith("[")]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    content = {
        "version": "1.0",
        "added_tokens": [{**token, **flags} for token in special],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = Tokenizer(tmp_path, architectures.get("bert"))
    words = KnownWords(tokenizer)
    texts = ["cats 한국어", "한국어 !", "!", "한국어"]
    assert words.are_known(tokenizer.ids(texts)).tolist() == [True, False, True, False]


def test_special_tokens_of_sequences_are_not_counted(tokenizer: Tokenizer) -> None:
    features = sentence_features(["한국어", "The cat"], tokenizer, 16).items
    assert count(features, tokenizer) == TokenCount(tokens=2 + len(tokenizer.ids(["The cat"])[0]), unknown=1)
    pair = tokenizer.joined([tokenizer.unknown], [tokenizer.unknown, 9])
    assert count([Feature.of(0, [pair], None)], tokenizer) == TokenCount(tokens=3, unknown=2)
    assert TokenCount(2, 1) + TokenCount(3, 0) == TokenCount(5, 1)


def test_more_than_one_in_a_hundred_is_warned_of() -> None:
    assert TokenCount(0, 0).warning("mine.txt") == ""
    assert TokenCount(1000, 10).warning("mine.txt") == ""
    warning = TokenCount(1000, 11).warning("mine.txt")
    assert warning.startswith("warning: mine.txt: 1.1 % of its 1,000 tokens are unknown to the model")
