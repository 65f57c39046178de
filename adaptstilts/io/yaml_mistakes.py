"""Explain in plain words why text is not YAML, and where; PyYAML itself speaks of tokens, blocks and streams."""

from __future__ import annotations

import re

import yaml
from yaml.reader import ReaderError

_SPELLED = {"<stream end>": "the end", "<block end>": "the end of the part", "<block mapping start>": "a key"}
_EXPLANATIONS = (
    (
        "mapping values are not allowed",
        "a ': ' is not allowed here; quote a value that contains ': ', write a space after the ':' of every key, and"
        " indent the keys of a mapping alike",
    ),
    (r"expected ',' or '\]', but got (.+)", "the list that begins with [ on {start} is not closed before {0}"),
    (r"expected ',' or '}', but got (.+)", "the mapping that begins with {{ on {start} is not closed before {0}"),
    (r"found character '\\t'", "a tab where only spaces are allowed; write spaces"),
    ("found character (.+) that cannot start", "a value cannot start with {0}; put it in quotes"),
    ("found unexpected (end of stream|document separator)", "the quote that opens here is not closed"),
    (r"expected <block end>, but found '([]}])'", "'{0}' closes nothing"),
    ("expected <block end>, but found '([,:])'", "'{0}' is not allowed here; expected `key: value`"),
    ("expected <block end>", "this is not indented like its list or mapping, which begins on {start}"),
    ("could not find expected ':'", "expected `key: value`, found no ': ' after the key on {start}"),
    ("found another document", "a second document begins; keep one in the file, without ---"),
    ("expected '<document start>'", "text follows the end of a value; is a bracket or a quote closed too early?"),
    ("found unknown escape character '(.+)'", r"\{0} means nothing in double quotes; use single quotes"),
    ("escape sequence", "this escape means nothing in double quotes; use single quotes"),
    ("expected the node content, but found (.+)", "expected a value before {0}"),
    ("sequence entries are not allowed", "'- ' is not allowed here; begin a list on the line after its key"),
    ("mapping keys are not allowed", "'? ' is not allowed here; write `key: value`"),
    ("scanning an (anchor|alias)|(anchor|alias) ", "a value that starts with & or * must be in quotes"),
    (" tag", "a value that starts with ! must be in quotes"),
    ("directive|document", "a line that starts with % is not supported; leave it out"),
    ("block scalar", "text after | or > must begin on the next line"),
)


def position(error: yaml.YAMLError, text: str) -> tuple[int, int] | None:
    """Return the line and the column of a mistake, counted from 1; None if the parser does not say.

    Args:
        error: the error that the parser raised.
        text: the text that it read.
    """
    if isinstance(error, ReaderError):
        before = text[: error.position]
        return before.count("\n") + 1, len(before) - before.rfind("\n")
    mark = getattr(error, "problem_mark", None)
    if "quoted scalar" in _words(error) and "unexpected" in _words(error):
        mark = getattr(error, "context_mark", mark)  # where the quote opens, not the end of the file
    return None if mark is None else (mark.line + 1, mark.column + 1)


def explain(error: yaml.YAMLError) -> str:
    """Explain in one line what is wrong and what to do."""
    if isinstance(error, ReaderError):
        return "an invisible character that is not allowed; remove it"
    mark = getattr(error, "context_mark", None)
    start = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "a line above"
    for pattern, explanation in _EXPLANATIONS:
        if match := re.search(pattern, _words(error)):
            groups = [_SPELLED.get(group.strip("'"), group) for group in match.groups() if group]
            return explanation.format(*groups, start=start)
    return "this cannot be read; check the indentation, quotes and brackets around it"


def _words(error: yaml.YAMLError) -> str:
    """Return the parser's own words: what it read, and what it found there."""
    return f"{getattr(error, 'context', None)}: {getattr(error, 'problem', None)}"
