"""The training settings of a study beside those of a recipe, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from adaptstilts.cli.columns import aligned
from adaptstilts.io.wording import counted
from adaptstilts.plan.recipes import Training, recipe_name, trainings
from adaptstilts.study import Study, Train

_Shown = Callable[[Train], str]


def _warmup(settings: Train) -> str:
    if settings.warmup_steps is not None:
        return f"{settings.warmup_steps} steps"
    return f"{settings.warmup * 100:g} %" if settings.warmup else "none"


def _or(word: str, value: int | None) -> str:
    return word if value is None else f"{value:,}"


def _most_steps(settings: Train) -> str:
    return f"{settings.steps:,}, exact" if settings.steps else _or("-", settings.max_steps)


COLUMNS: dict[str, tuple[str, _Shown]] = {
    "lr": ("lr", lambda settings: f"{settings.lr:g}"),
    "epochs": ("epochs", lambda settings: "-" if settings.steps else str(settings.epochs)),
    "batch_size": ("batch", lambda settings: str(settings.batch_size)),
    "max_length": ("length", lambda settings: str(settings.max_length)),
    "warmup": ("warm-up", _warmup),
    "weight_decay": ("decay", lambda settings: f"{settings.weight_decay:g}"),
    "keep": ("keep", lambda settings: settings.keep),
    "eval_every": ("eval every", lambda settings: _or("epoch", settings.eval_every)),
    "patience": ("patience", lambda settings: _or("-", settings.patience)),
    "dev_examples": ("dev rows", lambda settings: _or("all", settings.dev_examples)),
    "examples": ("rows", lambda settings: _or("all", settings.examples)),
    "max_steps": ("most steps", _most_steps),
}
_RARE: dict[str, tuple[str, _Shown]] = {
    "clip": ("clip", lambda settings: f"{settings.clip:g}"),
    "warmup_rule": ("rule", lambda settings: settings.warmup_rule),
    "steps": ("steps", lambda settings: _or("-", settings.steps)),
}
HEADER = ("role", "trained", "method", *(name for name, _ in COLUMNS.values()), "source")


def settings_lines(study: Study) -> Iterator[str]:
    """Yield a table of the settings of every training, those of the recipe below each."""
    name = recipe_name(study)
    rows: list[tuple[str, ...]] = []
    for training in trainings(study):
        role = "target" if training.is_target else "intermediate"
        own = [shown(training.settings) for _, shown in COLUMNS.values()]
        rows.append((role, training.label, training.method, *own, ""))
        if training.published and training.recipe:
            stated, published = training.stated(), training.published
            theirs = [shown(published) if key in stated else "" for key, (_, shown) in COLUMNS.items()]
            rows.append(("", f"  {name}", "", *theirs, training.recipe.source))
    yield from aligned(HEADER, rows)


def difference_lines(study: Study) -> Iterator[str]:
    """Yield where a study differs from its recipe, a line for each task; from XTREME in one line if it names none."""
    name, every = recipe_name(study), [training for training in trainings(study) if training.recipe]
    different = [training for training in every if training.differences()]
    if study.recipe is None:
        if different:
            labels = dict.fromkeys(training.label for training in different)
            yield (
                f"not trained as in XTREME's own scripts: {counted(len(labels), 'task')} of"
                f" {len({training.label for training in every})} that have one; --settings shows how"
            )
        return
    lines: dict[str, None] = {}
    for training in different:
        parts = [_difference(training, key) for key in training.differences()]
        lines[f"differs from {name}: {training.label} ({training.method}): {', '.join(parts)}"] = None
    yield from lines


def _difference(training: Training, key: str) -> str:
    """Return one setting of the study, and that of the recipe in brackets."""
    assert training.published is not None  # noqa: S101
    name, shown = {**COLUMNS, **_RARE}[key]
    return f"{name} {shown(training.settings)} ({shown(training.published)})"
