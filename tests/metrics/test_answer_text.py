"""Normalisation of answers: by hand in seven languages, and against a slow reading of the published rules."""

from __future__ import annotations

import re
import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.errors import ConfigError
from adaptstilts.metrics.answer_text import SQUAD, Rules, rules

MLQA = ("ar", "de", "en", "es", "hi", "vi", "zh")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The «Cat», an 'owl'!", "cat owl"),
        ("en", "theatre", "theatre"),
        ("es", "¿El niño y las Unas?", "niño y"),
        ("es", "elefante", "elefante"),
        ("de", "Der „Hund“ des Nachbarn", "hund nachbarn"),
        ("de", "Derby", "derby"),
        ("vi", "Những cái nhà của tôi", "nhà tôi"),
        ("ar", "الكتاب", "كتاب"),
        ("ar", "في البيت، والمال", "في بيت و م"),
        ("ar", "٪؟", ""),
        ("hi", "यह एक घर है।", "यह एक घर है"),
        ("hi", "The cat", "the cat"),
        ("zh", "《红楼梦》,第3回", "红 楼 梦 第 3 回"),
        ("zh", "iPhone 手机abc def", "iphone 手 机 abc def"),
        ("zh", "㐀龦", "㐀龦"),
        ("en", "  ", ""),
        ("en", "$5 + 3%", "5 3"),
    ],
)
def test_mlqa_by_hand(language: str, text: str, expected: str) -> None:
    assert rules("mlqa", language).normalize(text) == expected
    assert rules("mlqa", language).tokens(text) == expected.split()


@pytest.mark.parametrize("language", ["en", "de", "th", "zh", "xx"])
def test_squad_has_one_set_of_rules(language: str) -> None:
    own = rules("squad", language)
    assert own.normalize("Der the «Hund».") == "der «hund»"
    assert own.normalize("什么。 a") == "什么。"
    assert own.tokens("ไทย แลนด์") == ["ไทย", "แลนด์"]
    assert own == Rules(own.articles)


def test_default_is_english() -> None:
    assert rules("mlqa") == rules("mlqa", "en")
    assert SQUAD.normalize("A «b» c.") == "«b» c" == rules("squad").normalize("A «b» c.")


def test_unknown_rules_are_told() -> None:
    with pytest.raises(ConfigError, match=r"^mlqa has no answer rules for 'th'; it has ar, de, en, es, hi, vi, zh$"):
        rules("mlqa", "th")
    with pytest.raises(ConfigError, match=r"^unknown answer rules 'f1'; expected squad or mlqa$"):
        rules("f1", "en")  # type: ignore[arg-type]


ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
    "de": "ein eine einen einem eines einer der die das den dem des",
}


def slow(text: str, language: str) -> str:
    """The rules of MLQA, character by character and word by word.

    An article goes where no letter, digit or underscore stands beside it.
    """
    kept = [c for c in text.lower() if c not in string.punctuation and unicodedata.category(c)[0] != "P"]
    bare = "".join(kept)
    if language == "ar":
        bare = " ".join(bare.split("ال"))
    articles = ARTICLES.get(language, "").split()
    bare = "".join(" " if piece in articles else piece for piece in re.split(r"(\w+)", bare))
    if language == "zh":
        bare = "".join(f" {c} " if 0x4E00 <= ord(c) <= 0x9FA5 else c for c in bare)
    return " ".join(bare.split())


WORDS = " ".join(
    ARTICLES.values()
).split() + "ال الكتاب 中国 ไทย घर cat Été x3 A.B «q» 3.5 _a_ 　 \n -the- él 、 ़".split(" ")
TEXT = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=7).map(" ".join)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(TEXT, st.sampled_from(MLQA))
def test_mlqa_is_the_slow_definition(text: str, language: str) -> None:
    own = rules("mlqa", language)
    assert own.normalize(text) == slow(text, language)
    assert " ".join(own.tokens(text)) == own.normalize(text)


@settings(max_examples=200, deadline=None)
@given(TEXT, st.sampled_from(MLQA))
def test_no_punctuation_is_left(text: str, language: str) -> None:
    for style in ("squad", "mlqa"):
        found = rules(style, language).normalize(text)  # type: ignore[arg-type]
        assert not set(found) & set(string.punctuation)
        assert found == found.strip()
        assert "  " not in found
