"""The manual as short Markdown files, printed by ``adaptstilts guide``."""

from __future__ import annotations

from pathlib import Path

from adaptstilts.errors import ConfigError
from adaptstilts.registry import nearest

FOLDER = Path(__file__).parent
ORDER = """
first-study study-file tasks models methods retrieval adapters reports questions python
extending protocol store errors changelog
""".split()


def topics() -> dict[str, str]:
    """Return the topics in reading order, each with the title of its chapter."""
    files = {path.stem: path for path in FOLDER.glob("*.md")}
    ordered = [name for name in ORDER if name in files] + sorted(files.keys() - set(ORDER))
    return {name: _title(files[name]) for name in ordered}


def chapter(topic: str) -> str:
    """Return the Markdown of a topic.

    Raises:
        ConfigError: there is no such topic; the message suggests the nearest ones.
    """
    known = topics()
    if topic not in known:
        near = nearest(topic, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(known)}"
        raise ConfigError(f"unknown topic {topic!r}; {hint}")
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")
