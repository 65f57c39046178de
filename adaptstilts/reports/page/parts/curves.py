"""Learning curves of the training phases, from the logs in their entries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from adaptstilts import tasks
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.reports.page.charts.curves import Curve, Curves
from adaptstilts.reports.page.model import Figure, Section
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.store.entries import LOG, Entry

POINTS = 40  # of a curve; more steps are averaged
MOST = 24  # curves of a panel
AS_INTERMEDIATE = "as intermediate"

Line = dict[str, Any]


def section(results: Results) -> Section:
    """Return the training loss and the dev scores of the phases that are done, as means over seeds."""
    losses: list[Curve] = []
    scores: list[Curve] = []
    for phase, entry in _trained(results):
        lines = _read(entry)
        look = (phase.task, _trained_on(results, phase), phase.method.label, phase.title)
        losses += _loss(look, lines)
        scores += _dev(look, lines, phase.task)
    losses, scores = _few(_over_seeds(losses)), _few(_over_seeds(scores))
    series = [*results.intermediates, AS_INTERMEDIATE]
    styles = list(dict.fromkeys(curve.style for curve in losses + scores))
    figures = []
    if losses:
        text = f"Loss of about {POINTS} equal parts of every training phase, mean over seeds; one panel for each task."
        figures.append(Figure("loss", "Training loss", text, Curves(losses, "loss", series, styles)))
    if scores:
        text = "Score on the English dev rows, mean over seeds. Every phase keeps the weights with its best score."
        figures.append(Figure("dev", "English dev score", text, Curves(scores, "points", series, styles)))
    return Section(title="Learning curves", figures=figures) if figures else Section()


def _over_seeds(curves: Sequence[Curve]) -> list[Curve]:
    """Return the mean of curves that look the same and have the same steps."""
    groups: dict[tuple[object, ...], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.panel, curve.series, curve.style, *curve.steps), []).append(curve)
    return [_mean(group) for group in groups.values()]


def _mean(curves: Sequence[Curve]) -> Curve:
    first = curves[0]
    if len(curves) == 1:
        return first
    values = np.mean([curve.values for curve in curves], axis=0).round(4)
    name = f"{first.panel}, {first.style}, {first.series}: mean of {len(curves)}"
    return replace(first, name=name, values=[float(value) for value in values])


def _few(curves: Sequence[Curve]) -> list[Curve]:
    """Return the first curves of every panel."""
    counts: Counter[str] = Counter()
    chosen = []
    for curve in curves:
        counts[curve.panel] += 1
        if counts[curve.panel] <= MOST:
            chosen.append(curve)
    return chosen


def _trained(results: Results) -> Iterator[tuple[TrainPhase, Entry]]:
    """Yield the training phases that left a log, but not those on a few rows of a test language."""
    for phase in results.plan.order():
        if isinstance(phase, TrainPhase) and phase.shots is None and results.store.has(phase.key):
            entry = results.store.peek(phase.key)
            if LOG in entry.manifest["files"]:
                yield phase, entry


def _trained_on(results: Results, phase: TrainPhase) -> str:
    """Return what the target that a phase trains was trained on before."""
    for cell in results.plan.cells:
        if phase.key in cell.training and cell.trained_on in results.intermediates:
            return cell.trained_on
    return AS_INTERMEDIATE


def _read(entry: Entry) -> list[Line]:
    """Return the lines of the log of an entry; a line that is not JSON is not read."""
    lines = []
    for text in (entry.folder / LOG).read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def _loss(look: tuple[str, str, str, str], lines: Sequence[Line]) -> list[Curve]:
    points = [(line["step"], line["loss"]) for line in lines if _is_number(line.get("loss"))]
    if not points:
        return []
    parts = np.array_split(np.array(points, float), min(POINTS, len(points)))
    steps = [round(float(part[:, 0].mean()), 1) for part in parts]
    values = [round(float(part[:, 1].mean()), 4) for part in parts]
    return [Curve(*look, steps, values)]


def _dev(look: tuple[str, str, str, str], lines: Sequence[Line], task: str) -> list[Curve]:
    try:
        names = tasks.get(task).headline
    except AdaptstiltsError:  # masked text is no task
        return []
    points = {}
    for line in lines:
        values = [line["dev"].get(name) for name in names] if "dev" in line else []
        if values and all(map(_is_number, values)):
            points[line["step"]] = round(float(np.mean(values)), 2)
    return [Curve(*look, list(points), list(points.values()))] if points else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
