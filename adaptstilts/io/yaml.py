"""A strict reader for small YAML files: no surprising scalars, no duplicate keys, no aliases, no tags.

PyYAML itself reads ``no`` as False, ``1e-4`` as a string and ``12:30:45`` as 45045, keeps the last of two equal keys
and expands aliases without limit. A file that describes an experiment must not depend on any of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from adaptstilts.errors import ConfigError

KeyPath = tuple[str | int, ...]  # keys and positions from the top of a document
MAX_BYTES = 100_000
MAX_DEPTH = 32

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9_]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9_]*))([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class YamlDocument:
    """A parsed document.

    Attributes:
        data: plain values.
        lines: the line of every key path, counted from 1.
    """

    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a path, or of its nearest parent that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def scalar(text: str) -> Any:
    """Return the value of an unquoted scalar: null, true, false, a decimal number, or else the text itself."""
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


def parse(text: str, name: str) -> YamlDocument:
    """Parse one YAML document.

    Args:
        text: the document.
        name: what error messages call it, such as a file name.

    Raises:
        ConfigError: a syntax error, an alias, a tag, a duplicate key, or a document too large or too deep.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes; expected a small file")
    try:
        _check_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    lines: dict[KeyPath, int] = {}
    data = None if node is None else _build(node, (), lines, name)
    return YamlDocument(data, lines)


def _check_events(text: str, name: str) -> None:
    """Raise if a document has anchors, aliases or tags, or is nested too deep."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{name}:{event.start_mark.line + 1}" if event.start_mark else name
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{where}: anchors and aliases are not supported; write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise ConfigError(f"{where}: the tag {tag} is not supported; use a plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH} levels")


def _build(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str) -> Any:
    """Return the plain value of a node.

    Args:
        node: the node.
        path: where it is in the document.
        lines: the lines of key paths, to which this adds.
        name: name of the document.
    """
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        text = _text(node, name)
        return scalar(text) if node.style is None else text
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, i), lines, name) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)  # noqa: S101
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{line}: a key must be a plain word")
        key = _text(key_node, name)
        if key in data:
            raise ConfigError(f"{name}:{line}: the key {key!r} occurs twice (first on line {lines[*path, key]})")
        lines[*path, key] = line
        data[key] = _build(value_node, (*path, key), lines, name)
    return data


def _text(node: yaml.ScalarNode, name: str) -> str:
    """Return the text of a scalar, joining surrogate pairs (JSON escapes characters beyond the basic plane so)."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: half of a surrogate pair: {node.value!r}") from None
