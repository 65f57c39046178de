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
    ("text", "where", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "the key 'a' occurs twice (first on line 1); keep one"),
        ("a:\n  b: 1\n  b: 2\n", "3:3", "the key 'b' occurs twice (first on line 2)"),
        ("{1: a, '1': b}", "1:8", "the key '1' occurs twice"),
        ("a: &x 1\n", "1:4", "anchors and aliases are not supported"),
        ("a: 1\nb: *x\n", "2:4", "anchors and aliases are not supported"),
        ("a: 1\nb: !!python/object:os.system x\n", "2:4", "the tag tag:yaml.org,2002:python/object:os.system"),
        ("a: !function f\n", "1:4", "the tag !function is not supported"),
        ("a: !!str 1\n", "1:4", "the tag"),
        ("a: !!binary aGk=\n", "1:4", "the tag"),
        ("? [x]\n: 1\n", "1:3", "a key must be a plain word"),
        ("? {x: 1}\n: 1\n", "1:3", "a key must be a plain word"),
        ("a: 1\n~: 2\n", "2:1", "a key is missing before ':'"),
        ("a: 1\nnull: 2\n", "2:1", "a key is missing before ':'"),
        ("a: {kind:lora, rank: 3}\n", "1:5", "no space after the ':' in 'kind:lora'; write `kind: lora`"),
        ('a: "\\ud800"', "1:4", "half of a surrogate pair"),
    ],
)
def test_refused_with_the_place(text: str, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        yaml.parse(text, "study.yaml")
    assert str(caught.value).startswith(f"study.yaml:{where}: {words}")


def test_everything_that_is_not_supported_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        yaml.parse("a: &x 1\nb: !t 2\nc: *x\n", "f")
    assert [line[:6] for line in str(caught.value).splitlines()] == ["f:1:4:", "f:2:4:", "f:3:4:"]
    with pytest.raises(ConfigError) as caught:
        yaml.parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f")
    assert [line[:6] for line in str(caught.value).splitlines()] == ["f:2:1:", "f:3:11"]


def test_text_without_lines_has_none_in_messages() -> None:
    with pytest.raises(ConfigError, match=r"^override 'a=\[1': not valid YAML: the list that begins"):
        yaml.parse("[1", "override 'a=[1'", has_lines=False)


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
