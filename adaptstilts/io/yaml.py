"""A strict reader for small YAML files: no surprises in scalars, no duplicate keys, no aliases, no tags.

PyYAML's own resolver reads ``no`` as False, ``1e-4`` as a string, ``12:30:45`` as 45045, keeps the last of two equal
keys and expands aliases without limit; none of that is wanted in a file that describes an experiment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from adaptstilts.errors import ConfigError

Path = tuple[str | int, ...]
MAX_BYTES = 100_000
MAX_DEPTH = 32

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9_]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9_]*))([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Document:
    """Parsed YAML: plain ``data`` and the 1-based line of every key path."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """The line of a path, or of its nearest parent that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar: null, true/false, a decimal number, else the text itself."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) > 100:
        return text
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def parse(text: str, name: str) -> Document:
    """Read one YAML document.

    Args:
        text: the document.
        name: what error messages call it (a file name).

    Raises:
        ConfigError: a syntax error, an alias, a tag, a duplicate key, or a document too large or too deep.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes; a study file is small")
    try:
        _refuse_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    lines: dict[Path, int] = {}
    return Document(None if node is None else _build(node, (), lines, name), lines)


def _refuse_events(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{name}:{event.start_mark.line + 1}" if event.start_mark else name
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{where}: anchors and aliases are not accepted; write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise ConfigError(f"{where}: the tag {tag} is not accepted; only plain values are")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH} levels")


def _build(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        text = _text(node, name)
        return scalar(text) if node.style is None else text
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, i), lines, name) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)  # noqa: S101
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where = f"{name}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{where}: a key must be a plain word")
        key = _text(key_node, name)
        if key in data:
            raise ConfigError(f"{where}: the key {key!r} is given twice (first on line {lines[(*path, key)]})")
        lines[(*path, key)] = key_node.start_mark.line + 1
        data[key] = _build(value_node, (*path, key), lines, name)
    return data


def _text(node: yaml.ScalarNode, name: str) -> str:
    """The text of a scalar; JSON escapes characters beyond the basic plane as two halves, which are joined here."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: half of a character: {node.value!r}") from None
