"""Draw the picture of the README from the quickstart's results, as SVG.

adaptstilts run configs/quickstart.yaml seeds=[1,2,3]
adaptstilts results configs/quickstart.yaml seeds=[1,2,3] --out benchmarks/results/quickstart.json
python benchmarks/picture.py
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
TASKS = {
    "sample_choice": "multiple choice",
    "sample_tagging": "tagging",
    "sample_nli": "inference",
    "sample_retrieval": "retrieval",
    "sample_mining": "mining",
}
METHODS = {"full": "full fine-tuning", "bottleneck reduction=1": "bottleneck adapter"}
INTERMEDIATES = {
    "none": ("#555555", "none"),
    "sample_nli": ("#0072b2", "inference"),
    "sample_tagging": ("#d55e00", "tagging"),
}
WIDTH, LEFT, RIGHT, TOP, ROW, GAP = 780, 280, 40, 74, 24, 14
LOW, HIGH = 10.0, 60.0


def place(score: float) -> float:
    """Return where a score lies on the horizontal axis, in pixels."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (score - LOW) / (HIGH - LOW)


def mark(score: float, y: float, intermediate: str) -> str:
    """Return the mark of one score: a circle, a square or a triangle, so that it does not rest on colour alone."""
    colour, name = INTERMEDIATES[intermediate]
    x = place(score)
    title = f"<title>{escape(name)}: {score:.1f}</title>"
    if intermediate == "none":
        return f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{colour}">{title}</circle>'
    if intermediate == "sample_nli":
        return f'<rect x="{x - 5.5:.1f}" y="{y - 5.5}" width="11" height="11" fill="{colour}">{title}</rect>'
    points = f"{x:.1f},{y - 7} {x + 7:.1f},{y + 6} {x - 7:.1f},{y + 6}"
    return f'<polygon points="{points}" fill="{colour}">{title}</polygon>'


def text(x: float, y: float, content: str, anchor: str = "start", colour: str = "#222222") -> str:
    """Return a line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(content)}</text>'


def draw(records: list[dict[str, Any]]) -> str:
    """Return the picture: one row per target and method, one mark per intermediate task."""
    scores = {
        (record["task"], record["method"], record["trained_on"]): record["others"]
        for record in records
        if record["trained_on"] == record["over"]
    }
    bottom = TOP + len(TASKS) * (len(METHODS) * ROW + GAP) - GAP
    parts = _axis(bottom)
    y = TOP
    for task, label in TASKS.items():
        parts.append(text(14, y + ROW / 2 + 4, label))
        for method, method_label in METHODS.items():
            parts.append(text(LEFT - 14, y + 4, method_label, "end", "#555555"))
            parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#dddddd"/>')
            parts += [mark(scores[task, method, name], y, name) for name in INTERMEDIATES]
            y += ROW
        y += GAP
    legend = LEFT
    parts.append(text(14, 28, "intermediate task before the target", "start", "#222222"))
    for name, (_, label) in INTERMEDIATES.items():
        x = legend + 10
        parts.append(_moved(name, x))
        parts.append(text(x + 14, 28, label))
        legend += 60 + 9 * len(label)
    height = bottom + 54
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="14" role="img">'
        "<title>Zero-shot scores of the quickstart outside English, by target, method and intermediate task</title>"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _axis(bottom: float) -> list[str]:
    """Return the grid and the labels of the horizontal axis."""
    parts = []
    for tick in range(int(LOW), int(HIGH) + 1, 10):
        x = f"{place(tick):.1f}"
        parts.append(f'<line x1="{x}" y1="{TOP - 16}" x2="{x}" y2="{bottom}" stroke="#eeeeee"/>')
        parts.append(text(place(tick), bottom + 18, str(tick), "middle", "#555555"))
    parts.append(text(place((LOW + HIGH) / 2), bottom + 38, "mean score outside English", "middle", "#555555"))
    return parts


def _moved(name: str, x: float) -> str:
    """Return the mark of an intermediate task in the legend."""
    return f'<g transform="translate({x - place(LOW):.1f} 0)">{mark(LOW, 23, name)}</g>'


def main() -> None:
    """Read the results and write the picture."""
    report = json.loads((RESULTS / "quickstart.json").read_text(encoding="utf-8"))
    (RESULTS / "quickstart.svg").write_text(draw(report["records"]), encoding="utf-8")


if __name__ == "__main__":
    main()
