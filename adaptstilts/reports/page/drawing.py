"""Draw figures: as SVG inside a page, where colours follow its theme, and as files for papers.

The same figure gives the same bytes: ids come from a fixed salt, and no date or program is written.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ResourceError
from adaptstilts.io.files import disk_faults, temporary_beside
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.page.palette import STYLE, VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FORMATS = ("pdf", "png", "svg")
TIP = "tip "  # begins the id of a mark that shows the rest of it when the pointer is over it
_NEEDED = ("matplotlib", "jinja2")
_NOTHING_WRITTEN: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_STYLE = re.compile(r'(style|fill|stroke)="([^"]*)"')
_INLINE = re.compile(r'style="([^"]*)"')
_FAMILY = re.compile(r" ?font-family: [^;\"]*;")
_COLOUR = re.compile("|".join(VARIABLES))
_PLACES = re.compile(r' (?:d|x|y|width|height|points|transform)="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_TIP = re.compile(rf'<g id="{TIP}([^"]*)">')
_REFERENCE = re.compile(r'(?:url\(#|xlink:href="#)([^)"]+)')
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*"')
_ID = re.compile(r' id="([^"]*)"')


def require_libraries() -> None:
    """Check that what reports are written with is installed.

    Raises:
        ResourceError: it is not.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(f"{' and '.join(missing)}: not installed; install the extra report: adaptstilts[report]")


def svg(figure: Figure) -> str:
    """Return a figure as an ``svg`` element for a page; ids begin with the name of the figure."""
    text = _drawn(figure, "svg").decode()
    text = text[text.index("<svg") :]
    body = text[text.index(">") + 1 :]
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None  # noqa: S101
    body = re.sub(r"<style.*?</style>|<defs>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = _TIP.sub(r"<g><title>\1</title>", body)
    body = _own_ids(_UNTURNED.sub("", body), figure.name)
    body = _STYLE.sub(_with_variables, _FAMILY.sub("", body))
    body = _with_classes(body, figure.name)
    body = _PLACES.sub(_rounded, body)
    body = re.sub(r"\s*\n\s*", "\n", body.replace("<g>\n</g>", ""))
    label = f'aria-labelledby="{figure.name}-title" aria-describedby="{figure.name}-text"'
    return f'<svg class="plot" role="img" {label} viewBox="{box[1]}">{body}'.strip()


def save_all(figures: Sequence[Figure], folder: Path, formats: Sequence[str]) -> None:
    """Write every figure to files in its light colours; those that are there are replaced.

    Args:
        figures: what to draw.
        folder: where the files go, named after the figures; it is created if needed.
        formats: some of :data:`FORMATS`.

    Raises:
        ResourceError: a file cannot be written.
    """
    with disk_faults(folder):
        folder.mkdir(exist_ok=True)
    for figure in figures:
        for form in formats:
            path = folder / f"{figure.name}.{form}"
            content = _drawn(figure, form)
            with temporary_beside(path) as temporary, disk_faults(path):
                temporary.write_bytes(content)
                temporary.replace(path)


def _drawn(figure: Figure, form: str) -> bytes:
    content = io.BytesIO()
    with _style(figure.name):
        drawing: Drawing = figure.chart.plot()
        paper = {} if form == "svg" else {"facecolor": "white"}
        drawing.savefig(content, format=form, dpi=200, metadata=_NOTHING_WRITTEN[form], **paper)
    return content.getvalue()


@contextmanager
def _style(salt: str) -> Iterator[None]:
    """Draw in our style, whatever the user's settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | {"svg.fonttype": "none", "svg.hashsalt": salt, "pdf.fonttype": 42})
        yield


def _own_ids(body: str, name: str) -> str:
    """Drop ids that nothing refers to, and make the others unique in the page."""
    used = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    return re.sub(r'xlink:href="#', f'href="#{name}-', body)


def _with_variables(style: re.Match[str]) -> str:
    coloured = _COLOUR.sub(lambda match: f"var(--{VARIABLES[match[0]]})", style[2])
    if style[1] != "style" and coloured != style[2]:  # an attribute cannot have a variable, a style can
        return f'style="{style[1]}: {coloured}"'
    return f'{style[1]}="{coloured}"'


def _with_classes(body: str, name: str) -> str:
    """Return a body whose repeated styles are classes of the figure of this name."""
    counts = Counter(_INLINE.findall(body))
    repeated = [style for style, count in counts.items() if count > 2]
    classes = {style: f"c{number}" for number, style in enumerate(repeated)}
    rules = [f"#{name} .{label}{{{html.unescape(style)}}}" for style, label in classes.items()]
    body = _INLINE.sub(lambda match: f'class="{classes[match[1]]}"' if match[1] in classes else match[0], body)
    return f"<style>{''.join(rules)}</style>{body}"


def _rounded(attribute: re.Match[str]) -> str:
    return _LONG.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), attribute[0])
