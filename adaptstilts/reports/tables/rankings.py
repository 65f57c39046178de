"""The table of predictors that rank the intermediates for a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain

from adaptstilts.reports.choose import Ranking
from adaptstilts.reports.formats import Document, Table
from adaptstilts.reports.tables.cells import NOTHING

SHOWN_REGRETS = (1, 2, 3)
PREDICTORS = "probe: dev score of a head on few rows; logme: evidence of those rows; embedding: similarity of texts"
REGRET = "regret@k: what trying only the first k would lose of the best score; correlation: Spearman's"
COLUMNS = ("method", "predictor", "intermediate", "value", "score", "model")


def document(rankings: Sequence[Ranking], target: str) -> Document:
    """Return what a format renders of the rankings for a target."""
    return Document(
        tables=tables(rankings, target),
        summary="",
        columns=COLUMNS,
        rows=[*chain.from_iterable(map(_flat, rankings))],
        data=[asdict(ranking) for ranking in rankings],
    )


def tables(rankings: Sequence[Ranking], target: str) -> list[Table]:
    """Return the predictors' rankings of the intermediates for a target, one table per method and base model."""
    groups: dict[tuple[str, str], list[Ranking]] = {}
    for ranking in rankings:
        groups.setdefault((ranking.model, ranking.method), []).append(ranking)
    has_several = len({model for model, _ in groups}) > 1
    shown = []
    for (model, method), group in groups.items():
        name = f"{method}, {model}" if has_several else method
        shown.append(_table(group, target, name))
    return shown


def _table(rankings: Sequence[Ranking], target: str, method: str) -> Table:
    most = max((len(ranking.regret) for ranking in rankings), default=0)
    tried = [k for k in SHOWN_REGRETS if k <= most]
    header = ["predictor", "most promising first", *(f"regret@{k}" for k in tried)]
    if tried:
        header.append("correlation")
    rows = tuple(_row(ranking, tried) for ranking in rankings)
    return Table(f"intermediates for {target} ({method})", tuple(header), rows, _notes(rankings))


def _row(ranking: Ranking, tried: Sequence[int]) -> tuple[str, ...]:
    order = ", ".join(f"{name} {value:.4g}" for name, value in ranking.values.items())
    row = [ranking.predictor, order]
    row += [f"{ranking.regret[k]:.1f} %" if k in ranking.regret else NOTHING for k in tried]
    if tried:
        row.append(NOTHING if ranking.correlation is None else f"{ranking.correlation:+.2f}")
    return tuple(row)


def _notes(rankings: Sequence[Ranking]) -> tuple[str, ...]:
    truth: Mapping[str, float] = next((ranking.truth for ranking in rankings if ranking.truth), {})
    if not truth:
        return (PREDICTORS,)
    best_first = sorted(truth, key=lambda name: -truth[name])
    scores = ", ".join(f"{name} {truth[name]:.1f}" for name in best_first)
    return (PREDICTORS, f"the study's scores, all languages: {scores}", REGRET)


def _flat(ranking: Ranking) -> list[tuple[str | float | None, ...]]:
    return [
        (ranking.method, ranking.predictor, name, value, ranking.truth.get(name), ranking.model)
        for name, value in ranking.values.items()
    ]
