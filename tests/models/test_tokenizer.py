"""The tokenizer gives what transformers gives, and pairs are cut as promised."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.errors import ArtifactError
from adaptstilts.models.tokenizer import Tokenizer

TEXTS = [
    "The cat, sat on the mat.",
    "",
    "   leading and  double   blanks ",
    "Größe Ärger naïve café",
    "猫は座っていました。",
    "นี่คือประโยคภาษาไทย",
    "هذه جملة باللغة العربية",
    "ﬁne ＡＢＣ １２３ ①",
    "emoji 🎉 and \u200d joiner",
    "tab\tand\nnewline",
    "<s> not a special token </s>",
]


@pytest.fixture(scope="module")
def mini(shared: Path) -> Path:
    """The real small encoder."""
    return shared / "models" / "mini"


@cache
def theirs(folder: Path):
    from transformers import XLMRobertaTokenizerFast

    return XLMRobertaTokenizerFast.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_single_text_equals_transformers(mini: Path, text: str) -> None:
    ours = Tokenizer(mini)
    made = ours.single(ours.ids([text])[0], 512)
    ids, cut = made.ids, made.cut
    assert ids == theirs(mini)(text)["input_ids"]
    assert not cut


@pytest.mark.parametrize("a", TEXTS[:6])
@pytest.mark.parametrize("b", TEXTS[5:9])
def test_pair_equals_transformers(mini: Path, a: str, b: str) -> None:
    ours = Tokenizer(mini)
    first, second = ours.ids([a, b])
    made = ours.pair(first, second, 512)
    ids, cut = made.ids, made.cut
    assert ids == theirs(mini)(a, b)["input_ids"]
    assert not cut


@pytest.mark.parametrize("max_length", [8, 9, 16, 17])
def test_truncated_single_equals_transformers(mini: Path, max_length: int) -> None:
    ours = Tokenizer(mini)
    text = " ".join(TEXTS[:6])
    made = ours.single(ours.ids([text])[0], max_length)
    ids, cut = made.ids, made.cut
    assert ids == theirs(mini)(text, truncation=True, max_length=max_length)["input_ids"]
    assert cut


def test_special_tokens_equal_transformers(mini: Path) -> None:
    ours, other = Tokenizer(mini), theirs(mini)
    found = (ours.begin, ours.end, ours.pad, ours.unknown)
    assert found == (other.bos_token_id, other.eos_token_id, other.pad_token_id, other.unk_token_id)


def test_batch_equals_one_by_one(mini: Path) -> None:
    ours = Tokenizer(mini)
    assert ours.ids(TEXTS) == [ours.ids([text])[0] for text in TEXTS]


@pytest.mark.parametrize("text", TEXTS)
def test_spans_stay_inside_and_in_order(mini: Path, text: str) -> None:
    ids, spans = Tokenizer(mini).spans([text])[0]
    assert len(ids) == len(spans)
    assert all(0 <= begin <= end <= len(text) for begin, end in spans)
    assert all(not text[begin].isspace() for begin, end in spans if begin < end)
    assert [begin for begin, _ in spans] == sorted(begin for begin, _ in spans)


def test_spans_cover_the_words_and_no_blanks(tiny: Path) -> None:
    text = "the cat  runs"
    _, spans = Tokenizer(tiny).spans([text])[0]
    covered = {at for begin, end in spans for at in range(begin, end)}
    assert covered == {at for at, char in enumerate(text) if not char.isspace()}


def test_word_without_pieces_is_unknown(mini: Path) -> None:
    ours = Tokenizer(mini)
    for word in ("", " ", "\u200b", "\u00ad"):
        assert ours.words([word])[0], repr(word)
    assert ours.words([""]) == [[ours.unknown]]
    assert ours.words(["cat", "cat"])[0] == ours.ids(["cat"])[0]


IDS = st.lists(st.integers(10, 99), max_size=60)


@settings(max_examples=300, deadline=None)
@given(a=IDS, b=IDS, max_length=st.integers(8, 70), front=st.booleans())
def test_pair_is_bounded_and_cuts_the_longer_side(
    tiny_tokenizer: Tokenizer, a: list[int], b: list[int], max_length: int, front: bool
) -> None:
    t = tiny_tokenizer
    made = t.pair(a, b, max_length, front)
    ids, cut = made.ids, made.cut
    assert len(ids) == min(max_length, len(a) + len(b) + 4)
    assert cut == (len(a) + len(b) + 4 > max_length)
    middle = ids.index(t.end)
    kept_a, kept_b = ids[1:middle], ids[middle + 2 : -1]
    assert ids == [t.begin, *kept_a, t.end, t.end, *kept_b, t.end]
    for kept, whole in ((kept_a, a), (kept_b, b)):
        assert kept == (whole[len(whole) - len(kept) :] if front else whole[: len(kept)])
    if cut:
        lost_a, lost_b = len(a) - len(kept_a), len(b) - len(kept_b)
        if lost_a:
            assert len(kept_a) >= len(kept_b) - 1
        if lost_b:
            assert len(kept_b) >= len(kept_a) - 1


@settings(max_examples=100, deadline=None)
@given(a=IDS, max_length=st.integers(8, 70))
def test_single_is_bounded(tiny_tokenizer: Tokenizer, a: list[int], max_length: int) -> None:
    made = tiny_tokenizer.single(a, max_length)
    ids, cut = made.ids, made.cut
    assert ids == [tiny_tokenizer.begin, *a[: max_length - 2], tiny_tokenizer.end]
    assert cut == (len(a) > max_length - 2)


@pytest.fixture(scope="module")
def tiny_tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


def test_not_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        Tokenizer(tmp_path)


def test_tokenizer_of_another_family_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Inner
    from tokenizers import models

    Inner(models.WordLevel({"[CLS]": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ArtifactError, match="<s>"):
        Tokenizer(tmp_path)
