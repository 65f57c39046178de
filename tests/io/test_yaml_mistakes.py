"""Text that is not YAML: where the mistake is, and what to do, without the parser's own words."""

from __future__ import annotations

import pytest
import yaml as library
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.io.yaml_mistakes import explain, position


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\n\tb: 2\n", "2:1", "a tab where only spaces are allowed; write spaces"),
        ("a:\n\tb: 2\n", "2:1", "a tab where only spaces are allowed; write spaces"),
        ("model: model: x\n", "1:13", "a ': ' is not allowed here; quote a value that contains ': '"),
        ("a:\n  - b\n   - c: 1\n", "3:7", "a ': ' is not allowed here"),
        ("b:\n  - [1\nc: 2\n", "3:2", "the list that begins with [ on line 2, column 5 is not closed before ':'"),
        ("a: [1\n", "2:1", "the list that begins with [ on line 1, column 4 is not closed before the end"),
        ("a: {b: 1\n", "2:1", "the mapping that begins with { on line 1, column 4 is not closed before the end"),
        ("a: 'b\nc: 1\n", "1:4", "the quote that opens here is not closed"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document begins; keep one in the file, without ---"),
        ("a: @b\n", "1:4", "a value cannot start with '@'; put it in quotes"),
        ("a: %b\n", "1:4", "a value cannot start with '%'; put it in quotes"),
        ("a: 1\n}\n", "2:1", "'}' closes nothing"),
        ("a: 1\n: 2\n", "2:1", "':' is not allowed here; expected `key: value`"),
        ("a:\n    b: 1\n  c: 1\n", "3:3", "this is not indented like its list or mapping, which begins on"),
        ("a: 1\nb\nc: 2\n", "3:1", "expected `key: value`, found no ': ' after the key on line 2, column 1"),
        ('a: "\\q"\n', "1:6", "\\q means nothing in double quotes; use single quotes"),
        ('a: "\\xzz"\n', "1:7", "this escape means nothing in double quotes"),
        ("a: [1,, 2]\n", "1:7", "expected a value before ','"),
        ("a: - b\n", "1:4", "'- ' is not allowed here; begin a list on the line after its key"),
        ("a: ? b\n", "1:4", "'? ' is not allowed here; write `key: value`"),
        ("a: & b\n", "1:5", "a value that starts with & or * must be in quotes"),
        ("a: !<b c\n", "1:7", "a value that starts with ! must be in quotes"),
        ("%YAML x\n", "1:7", "a line that starts with % is not supported"),
        ("a: |x\n b\n", "1:5", "text after | or > must begin on the next line"),
        ("a: \x07\n", "1:4", "an invisible character that is not allowed; remove it"),
        ("a: 1\nbc: \x00\n", "2:5", "an invisible character that is not allowed; remove it"),
    ],
)
def test_the_mistake_in_plain_words(text: str, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        yaml.parse(text, "f")
    assert str(caught.value).startswith(f"f:{where}: not valid YAML: {words}")


def parser_error(text: str) -> library.YAMLError | None:
    """What the parser raises; None for text that is YAML."""
    try:
        library.compose(text, Loader=library.SafeLoader)
    except library.YAMLError as error:
        return error
    return None


@given(st.text("ab:-[]{}'\"&*!|>%@`?,# \n\t\\", max_size=24))
@settings(max_examples=300, deadline=None)
def test_one_line_of_our_own_words_for_any_text(text: str) -> None:
    error = parser_error(text)
    assume(error is not None)
    assert error is not None
    message = explain(error)
    assert "\n" not in message
    assert not [word for word in ("<block", "<stream", "token", "scalar", "node") if word in message]
    assert position(error, text) is not None
