"""Pretraining files: strict YAML with overrides, every mistake reported at once, with file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.pretrain.recipe import CHECKED, Recipe, contradictions
from adaptstilts.study import Origin, Place, Problems, as_tuples, explain, override_key, read_text, split_override


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a pretraining file and apply ``key.path=value`` overrides.

    Args:
        path: path of the file.
        overrides: applied in order.

    Raises:
        ConfigError: names file, line and key of every mistake, or the override that it comes from.
    """
    document = yaml.parse(read_text(path, "pretraining"), str(path))
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys {', '.join(Recipe.model_fields)}")
    origin, problems = Origin(str(path), document.lines), Problems()
    for override in overrides:
        with problems.collecting(Place()):
            keys = override_key(document.data, *split_override(override), override, Recipe.model_fields)
            origin.overrides.append((keys, override))
    recipe = _validate(document.data, Place(origin), problems)
    problems.raise_all()
    assert recipe is not None  # noqa: S101
    return recipe


def _validate(data: dict[str, Any], place: Place, problems: Problems) -> Recipe | None:
    """Return the recipe that a file describes; None if its values are wrong.

    Args:
        data: data of the file.
        place: where the data are written.
        problems: collects wrong values and wrong combinations.
    """
    for keys, message in contradictions(data):
        problems.add(place.at(*keys), message)
    try:
        return Recipe.model_validate(as_tuples(data), context=CHECKED)
    except ValidationError as error:
        explain(error, Recipe, place, problems)
    return None
