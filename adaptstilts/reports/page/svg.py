"""Turn a drawing of matplotlib into an ``svg`` element for a page: themed, small, with ids that are unique in the page.

Only tags are rewritten; labels, which may be any text, stay as matplotlib escaped them.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import unquote

from adaptstilts.reports.page.charts.base import TIP
from adaptstilts.reports.page.palette import VARIABLES

_TAG = re.compile(r"<[^>]*>")
_BOX = re.compile(r'viewBox="([^"]*)"')
_HEAD = re.compile(r"<style.*?</style>|<defs>\s*</defs>", re.DOTALL)
_COLOURED = re.compile(r'(style|fill|stroke)="([^"]*)"')
_COLOUR = re.compile("|".join(VARIABLES))
_STYLE = re.compile(r'style="([^"]*)"')
_FONT = re.compile(r" ?font-family: [^;\"]*;")  # the page has one
_NUMBERS = re.compile(r' (?:d|x|y|width|height|points|transform)="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_TIP = re.compile(rf'<g id="{TIP}([^"]*)">')
_REFERENCE = re.compile(r'(?:url\(#|xlink:href="#)([^)"]+)')
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*"')
_ID = re.compile(r' id="([^"]*)"')
_PLACE_OF_TIP = '<g class="tip">'


def for_page(text: str, name: str) -> str:
    """Return the ``svg`` element of a figure.

    Args:
        text: the SVG file that matplotlib wrote.
        name: name of the figure; ids begin with it, and elements of the page whose ids are ``<name>-title`` and
            ``<name>-text`` describe it.
    """
    text = text[text.index("<svg") :]
    opening, _, body = text.partition(">")
    box = _BOX.search(opening)
    assert box is not None  # noqa: S101
    body = _HEAD.sub("", body, count=1)
    tips = [unquote(tip) for tip in _TIP.findall(body)]
    body = _with_unique_ids(body, name)
    body = _in_tags(body, _themed)
    body = _with_classes(body, name)
    body = _in_tags(body, _rounded)
    body = re.sub(r"\s*\n\s*", "\n", body)
    for tip in tips:
        body = body.replace(_PLACE_OF_TIP, f"<g><title>{html.escape(tip)}</title>", 1)
    label = f'aria-labelledby="{name}-title" aria-describedby="{name}-text"'
    return f'<svg class="plot" role="img" {label} viewBox="{box[1]}">{body}'.strip()


def _in_tags(body: str, rewrite: Callable[[str], str]) -> str:
    """Return a body whose tags are rewritten, and nothing else."""
    return _TAG.sub(lambda tag: rewrite(tag[0]), body)


def _with_unique_ids(body: str, name: str) -> str:
    """Drop ids that nothing refers to, make the others unique in the page, and mark the places of tips."""
    used: set[str] = set()
    for tag in _TAG.findall(body):
        used.update(_REFERENCE.findall(tag))

    def rewrite(tag: str) -> str:
        if _TIP.fullmatch(tag):
            return _PLACE_OF_TIP
        tag = _ID.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", tag)
        return tag.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')

    return _in_tags(body, rewrite)


def _themed(tag: str) -> str:
    """Return a tag whose colours are variables, and which has no font and no turn of zero degrees."""
    return _COLOURED.sub(_with_variables, _FONT.sub("", _UNTURNED.sub("", tag)))


def _with_variables(attribute: re.Match[str]) -> str:
    name, value = attribute[1], attribute[2]
    coloured = _COLOUR.sub(lambda colour: f"var(--{VARIABLES[colour[0]]})", value)
    if name != "style" and coloured != value:  # an attribute cannot have a variable, a style can
        return f'style="{name}: {coloured}"'
    return f'{name}="{coloured}"'


def _with_classes(body: str, name: str) -> str:
    """Return a body whose repeated styles are classes of the figure of this name."""
    counts: Counter[str] = Counter()
    for tag in _TAG.findall(body):
        counts.update(_STYLE.findall(tag))
    repeated = [style for style, count in counts.items() if count > 2]
    classes = {style: f"c{number}" for number, style in enumerate(repeated)}
    rules = [f"#{name} .{label}{{{style}}}" for style, label in classes.items()]

    def rewrite(tag: str) -> str:
        return _STYLE.sub(lambda style: f'class="{classes[style[1]]}"' if style[1] in classes else style[0], tag)

    return f"<style>{''.join(rules)}</style>{_in_tags(body, rewrite)}"


def _rounded(tag: str) -> str:
    """Return a tag whose places have at most two decimals."""
    return _NUMBERS.sub(lambda numbers: _LONG.sub(_short, numbers[0]), tag)


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
