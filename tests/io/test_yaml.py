"""The strict YAML reader: scalars mean what they look like, and nothing in a file can surprise or harm."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1e-4", 1e-4),
        ("2E3", 2000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1_000", 1000),
        ("007", "007"),
        ("0x10", "0x10"),
        ("0o7", "0o7"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'no'", "no"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = yaml.parse(f"a: {text}", "f").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_a_number_of_thousands_of_digits_is_no_crash() -> None:
    found = yaml.parse("a: " + "9" * 5000, "f").data["a"]
    assert found == "9" * 5000


def test_keys_are_text_and_have_lines() -> None:
    document = yaml.parse("no: 1\n1: 2\nb:\n  - x\n  - c: 3\n", "f")
    assert document.data == {"no": 1, "1": 2, "b": ["x", {"c": 3}]}
    assert document.line(("no",)) == 1
    assert document.line(("b", 1, "c")) == 5
    assert document.line(("b", 1, "absent", "deeper")) == 5


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_document_is_nothing(text: str) -> None:
    assert yaml.parse(text, "f").data is None


def test_a_list_at_top_level_is_read() -> None:
    assert yaml.parse("- 1\n- a\n", "f").data == [1, "a"]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "twice"),
        ("a:\n  b: 1\n  b: 2\n", 3, "twice"),
        ("{1: a, '1': b}", 1, "twice"),
        ("a: &x 1\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag"),
        ("a: !function f\n", 1, "tag"),
        ("a: !!str 1\n", 1, "tag"),
        ("a: !!binary aGk=\n", 1, "tag"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: [1\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("? [x]\n: 1\n", 1, "key"),
        ("? {x: 1}\n: 1\n", 1, "key"),
    ],
)
def test_refused_with_the_line(text: str, line: int, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        yaml.parse(text, "study.yaml")
    assert str(caught.value).startswith(f"study.yaml:{line}: ")


def test_a_duplicate_names_the_first_line_too() -> None:
    with pytest.raises(ConfigError, match=r"f:3: the key 'a' occurs twice \(first on line 1\)"):
        yaml.parse("a: 1\nb: 2\na: 3\n", "f")


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "[{a: "])
def test_depth_is_limited(piece: str) -> None:
    with pytest.raises(ConfigError, match="nested deeper"):
        yaml.parse(piece * 10_000, "f")


def test_depth_that_a_study_could_have_is_read() -> None:
    data = yaml.parse("[" * 20 + "1" + "]" * 20, "f").data
    for _ in range(20):
        data = data[0]
    assert data == 1


@pytest.mark.parametrize("text", ["a" * (yaml.MAX_BYTES + 1), "é" * (yaml.MAX_BYTES // 2 + 1), "a" * 50_000_000])
def test_a_large_file_is_refused_unread(text: str) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        yaml.parse(text, "f")


def test_the_largest_accepted_file_is_small() -> None:
    assert yaml.MAX_BYTES <= 100_000, "a megabyte of flow sequence takes PyYAML twenty seconds"


@pytest.mark.parametrize("text", ["a: \x01", "a: \x00", "a: \ud800"])
def test_characters_that_yaml_does_not_have(text: str) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        yaml.parse(text, "f")


def test_an_escaped_half_of_a_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="f:1"):
        yaml.parse('a: "\\ud800"', "f")


def test_merge_keys_do_not_merge() -> None:
    assert yaml.parse("<<: {a: 1}\nb: 2\n", "f").data == {"<<": {"a": 1}, "b": 2}


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.booleans())
def test_json_reads_as_itself(value: Any, ascii: bool) -> None:
    """JSON is YAML: what is written as JSON is read back, quoted text as text whatever it looks like."""
    text = json.dumps(value, indent=1, ensure_ascii=ascii).replace("\x7f", "\\u007f")
    assert yaml.parse(text, "f").data == value


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_as_themselves(value: float) -> None:
    found = yaml.parse(f"a: {value!r}", "f").data["a"]
    assert isinstance(found, float)
    assert math.copysign(1, found) == math.copysign(1, value)
    assert found == value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab01:-[]{}&*!'\"#,\n \t?|>%@`\x07é", max_size=40))
def test_any_text_gives_data_or_a_config_error(text: str) -> None:
    try:
        yaml.parse(text, "f")
    except ConfigError as error:
        assert str(error).startswith("f")  # noqa: PT017
