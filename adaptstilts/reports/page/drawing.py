"""Draw figures: as SVG inside a page, where colours follow its theme, and as files for papers.

The same figure gives the same bytes: ids come from a fixed salt, and no date or program is written.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ResourceError
from adaptstilts.io.files import disk_faults, temporary_beside
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.page.palette import STYLE
from adaptstilts.reports.page.svg import for_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FORMATS = ("pdf", "png", "svg")
_NEEDED = ("matplotlib", "jinja2")
_PAPER = {"svg": "none", "pdf": "white", "png": "white"}
_NOTHING_WRITTEN: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def require_libraries() -> None:
    """Check that what reports are written with is installed.

    Raises:
        ResourceError: it is not.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(f"{' and '.join(missing)}: not installed; install the extra report: adaptstilts[report]")


def svg(figure: Figure) -> str:
    """Return a figure as an ``svg`` element for a page."""
    return for_page(_drawn(figure, "svg").decode(), f"fig-{figure.name}")


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
    with style(figure.name):
        drawing: Drawing = figure.chart.plot()
        metadata, paper = _NOTHING_WRITTEN[form], _PAPER[form]
        drawing.savefig(content, format=form, dpi=200, metadata=metadata, facecolor=paper)
    return content.getvalue()


@contextmanager
def style(salt: str) -> Iterator[None]:
    """Draw in our style, whatever the user's settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | {"svg.fonttype": "none", "svg.hashsalt": salt, "pdf.fonttype": 42})
        yield
