"""A strict reader for small YAML files: no surprising scalars, no duplicate keys, no aliases, no tags.

PyYAML alone reads ``no`` as False, ``1e-4`` as a string and ``12:30:45`` as 45045, keeps the last of two equal keys
and expands aliases without limit. A file that describes an experiment must not depend on any of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from adaptstilts.errors import ConfigError
from adaptstilts.io.yaml_mistakes import explain, position

KeyPath = tuple[str | int, ...]  # keys and positions from the top of a document
Position = tuple[int, int]  # line and column, from 1
Mistake = tuple[Position | None, str]
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


def parse(text: str, name: str, has_lines: bool = True) -> YamlDocument:
    """Parse one YAML document.

    Args:
        text: the document.
        name: what error messages call it, such as a file name.
        has_lines: give the line and the column of a mistake, as for a file.

    Raises:
        ConfigError: a syntax error, a document too large or too deep, or one line for every anchor, alias, tag and
            duplicate key.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes; expected a small file")
    try:
        mistakes = _unsupported(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader) if not mistakes else None
    except yaml.YAMLError as error:
        mistakes, node = [(position(error, text), f"not valid YAML: {explain(error)}")], None
    document = YamlDocument(None)
    if node is not None:
        document = YamlDocument(_build(node, (), document.lines, mistakes), document.lines)
    if mistakes:
        lines = (f"{_where(name, place if has_lines else None)}: {message}" for place, message in mistakes)
        raise ConfigError("\n".join(lines))
    return document


def _where(name: str, place: Position | None) -> str:
    return f"{name}:{place[0]}:{place[1]}" if place else name


def _start(part: yaml.Event | yaml.Node) -> Position:
    """Return the line and column at which a part of a document begins."""
    mark = part.start_mark
    assert mark is not None  # noqa: S101
    return mark.line + 1, mark.column + 1


def _unsupported(text: str) -> list[Mistake]:
    """Return mistakes about anchors, aliases and tags in a document; of what is nested too deep, only the first."""
    mistakes: list[Mistake] = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            message = "anchors and aliases are not supported; write the value out, or quote what starts with & or *"
            mistakes.append((_start(event), message))
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            message = f"the tag {tag} is not supported; use a plain value, or quote what starts with !"
            mistakes.append((_start(event), message))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            return [*mistakes, (_start(event), f"nested deeper than {MAX_DEPTH} levels")]
    return mistakes


def _build(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], mistakes: list[Mistake]) -> Any:
    """Return the plain value of a node.

    Args:
        node: the node.
        path: where it is in the document.
        lines: the lines of key paths are added here.
        mistakes: wrong keys are added here.
    """
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        text = _text(node, mistakes)
        return scalar(text) if node.style is None else text
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, i), lines, mistakes) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)  # noqa: S101
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node, mistakes)
        if key is None:
            continue
        if key in data:
            message = f"the key {key!r} occurs twice (first on line {lines[*path, key]}); keep one"
            mistakes.append((_start(key_node), message))
            continue
        if ":" in key and key_node.style is None and value_node.start_mark.index == value_node.end_mark.index:
            word, _, rest = key.partition(":")
            mistakes.append((_start(key_node), f"no space after the ':' in {key!r}; write `{word}: {rest}`"))
        lines[*path, key] = key_node.start_mark.line + 1
        data[key] = _build(value_node, (*path, key), lines, mistakes)
    return data


def _key(node: yaml.Node, mistakes: list[Mistake]) -> str | None:
    """Return the text of a key; None, and a mistake, if it is empty or a list or mapping."""
    if not isinstance(node, yaml.ScalarNode):
        mistakes.append((_start(node), "a key must be a plain word"))
        return None
    key = _text(node, mistakes)
    if node.style is None and scalar(key) is None:
        mistakes.append((_start(node), "a key is missing before ':'; expected `key: value`"))
        return None
    return key


def _text(node: yaml.ScalarNode, mistakes: list[Mistake]) -> str:
    """Return the text of a scalar, joining surrogate pairs (JSON escapes characters beyond the basic plane so)."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        mistakes.append((_start(node), f"half of a surrogate pair: {node.value!r}"))
        return ""
