"""The table of languages."""

from __future__ import annotations

import pytest

from adaptstilts.errors import ConfigError
from adaptstilts.languages import _ALIASES, LANGUAGES, resolve


def test_every_code_iso3_and_name_is_its_own() -> None:
    for attribute in ("code", "iso3", "name"):
        values = [getattr(language, attribute) for language in LANGUAGES.values()]
        assert len(values) == len(set(values))
    assert all(code == language.code for code, language in LANGUAGES.items())
    assert all(2 <= len(row.code) <= 3 == len(row.iso3) and row.name.istitle() for row in LANGUAGES.values())
    assert set(_ALIASES.values()) <= set(LANGUAGES)
    assert not set(_ALIASES) & {value for row in LANGUAGES.values() for value in (row.code, row.iso3)}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("de", "de"),
        ("DE", "de"),
        (" de ", "de"),
        ("deu", "de"),
        ("German", "de"),
        ("german", "de"),
        ("zho", "zh"),
        ("cmn", "zh"),
        ("zh-CN", "zh"),
        ("iw", "he"),
        ("in", "id"),
        ("swa", "sw"),
        ("swh", "sw"),
        ("fil", "tl"),
        ("nb", "nb"),
        ("nno", "nn"),
        ("pes", "fa"),
        ("fas", "fa"),
    ],
)
def test_resolve(given: str, code: str) -> None:
    assert resolve(given).code == code


@pytest.mark.parametrize("code", ["no", "NO", "nor"])
def test_norwegian_is_ambiguous(code: str) -> None:
    with pytest.raises(ConfigError, match=r"ambiguous: use nb .* or nn"):
        resolve(code)


def test_a_typo_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"did you mean .*German"):
        resolve("Germn")


@pytest.mark.parametrize("code", ["", "xx-unknown", "sr-Latn", "../de", "q"])
def test_unknown(code: str) -> None:
    with pytest.raises(ConfigError, match="unknown language"):
        resolve(code)


def test_every_tatoeba_and_udpos_name_is_the_one_the_data_uses() -> None:
    """The individual-language codes of Tatoeba, not the macrolanguage ones."""
    expected = {"fa": "pes", "zh": "cmn", "sw": "swh", "ar": "ara", "et": "est", "he": "heb"}
    assert {code: LANGUAGES[code].iso3 for code in expected} == expected
    names = {"zh": "Chinese", "el": "Greek", "wo": "Wolof", "yo": "Yoruba"}
    assert {code: LANGUAGES[code].name for code in names} == names
