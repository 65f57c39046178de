"""Pretraining files: what is wrong in them is told with its place; keys depend on content alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.aligned_text import RECIPE, make_text, write_recipe

from adaptstilts import pretrain as recipes
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.pretrain.plan import evaluation_splits
from adaptstilts.workspace import Workspace

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pretrain"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load(path: Path) -> None:
    found = recipes.load(path)
    assert "en" in found.languages
    assert all(text.licence for text in found.text)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"langauges": ["en", "de"]}, "unknown key; did you mean languages"),
        ({"languages": ["de", "zh"]}, "distinct codes with en"),
        ({"languages": ["en", "xx"]}, "xx"),
        ({"exclude": ["tatoba"]}, "tatoeba"),
        ({"encoders": {"wee": {"hidden": 16, "layers": 2, "heads": 3, "steps": 1}}}, "cannot be divided among 3"),
        ({"encoders": {"wee": {"hidden": 16, "layers": 2, "heads": 2, "steps": 0}}}, "encoders.wee.steps"),
        ({"encoders": {}}, "encoders"),
        ({"encoders": {"../out": RECIPE["encoders"]["wee"]}}, "expected a name of at most 96 letters"),
        ({"encoders": {"wee": {**RECIPE["encoders"]["wee"], "start": "big"}}}, "'big' is not an encoder above it"),
        (
            {
                "encoders": {
                    "big": {**RECIPE["encoders"]["wee"], "hidden": 32},
                    "wee": {**RECIPE["encoders"]["wee"], "start": "big"},
                }
            },
            "'big' has another shape",
        ),
        ({"positions": 32}, "max_length 64 is above positions 32"),
        ({"languages": ["en", "deu"]}, "write de"),
        ({"text": [{**RECIPE["text"][0], "repo": "../private"}]}, "text.0.repo"),
        ({"text": [{**RECIPE["text"][0], "configs": {"ge": "ge"}}]}, "ge"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    path = write_recipe(tmp_path, **changed)
    with pytest.raises(ConfigError, match=told) as caught:
        recipes.load(path)
    assert str(caught.value).startswith(str(path))


def test_objectives_need_a_share(tmp_path: Path) -> None:
    shape = {**RECIPE["encoders"]["wee"], "objectives": {"mlm": 0.0, "tlm": 0.0, "ranking": 0.0}}
    with pytest.raises(ConfigError, match="at least one objective"):
        recipes.load(write_recipe(tmp_path, encoders={"wee": shape}))


def test_overrides(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    assert recipes.load(path, ["encoders.wee.steps=7"]).encoders["wee"].steps == 7
    with pytest.raises(ConfigError, match="no key 'encoder'; did you mean encoders"):
        recipes.load(path, ["encoder.wee.steps=7"])


def test_keys_depend_on_content_alone(tmp_path: Path) -> None:
    root = make_text(tmp_path / "hub")
    workspace = Workspace(tmp_path / "store", root)
    found = recipes.expand(recipes.load(write_recipe(tmp_path)), workspace)
    again = recipes.expand(recipes.load(write_recipe(tmp_path, name="other")), workspace)
    longer = recipes.expand(recipes.load(write_recipe(tmp_path), ["encoders.wee.steps=61"]), workspace)
    fewer = recipes.expand(recipes.load(write_recipe(tmp_path, exclude=[])), workspace)
    assert found.corpus.key == again.corpus.key == longer.corpus.key
    assert found.encoders["wee"].key == again.encoders["wee"].key != longer.encoders["wee"].key
    wider = recipes.expand(recipes.load(write_recipe(tmp_path, positions=80)), workspace)
    assert len({held.corpus.key for held in (found, fewer, wider)}) == 3  # positions are in the tokenizer's config
    assert found.order() == [found.corpus, found.encoders["wee"]]
    assert found.encoders["wee"].parents == (found.corpus.key,)


def test_only_named_encoders_and_missing_text(tmp_path: Path) -> None:
    root = make_text(tmp_path / "hub")
    found = recipes.load(write_recipe(tmp_path))
    with pytest.raises(ConfigError, match="no encoder 'we' in toy; did you mean wee"):
        recipes.expand(found, Workspace(tmp_path / "store", root), ["we"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="toy/pairs"):
        recipes.expand(found, Workspace(tmp_path / "store", tmp_path / "empty"))


def test_every_row_set_of_an_excluded_task_is_looked_at(tmp_path: Path) -> None:
    root = make_text(tmp_path / "hub")
    found = recipes.load(write_recipe(tmp_path, exclude=["sample_mining"]))
    splits, absent = evaluation_splits(found, Workspace(tmp_path / "store", root))
    assert absent == ()
    names = {f"{split.source.config} {split.source.split}" for split in splits}
    assert {"mining.de-en.de train", "mining.de-en.en test", "mining.zh-en.gold test"} <= names


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Wrong keys, values, combinations and overrides, each with its place."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        """name: toy
languages: [en, de]
positions: 32
helt_out: 3
text:
  - {repo: toy/pairs, split: train, layout: pairs, columns: [a, b], configs: {de: de}}
encoders:
  wee:
    {hidden: 16, layers: 2, heads: 3, steps: 1}
  more: {hidden: 16, layers: 2, heads: 2, steps: 0, max_length: 16, start: big, ranking_layer: 3}
""",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        recipes.load(path, ["encoders.wee.tokens=3", "encoder.wee.steps=7", "encoders.more.max_length=64"])
    assert str(caught.value).splitlines() == [
        "override 'encoder.wee.steps=7': no key 'encoder'; did you mean encoders or exclude?",
        f"{path}:4: helt_out: unknown key; did you mean held_out?",
        f"{path}:8: encoders.wee.max_length: max_length 64 is above positions 32",
        f"{path}:9: encoders.wee.heads: hidden 16 cannot be divided among 3 heads",
        f"{path}:10: encoders.more.ranking_layer: 3 is above the 2 layers",
        f"{path}:10: encoders.more.start: 'big' is not an encoder above it in the file",
        f"{path}:10: encoders.more.steps: must be at least 1, found 0",
        "override 'encoders.wee.tokens=3': encoders.wee.tokens: must be at least 256, found 3",
        "override 'encoders.more.max_length=64': encoders.more.max_length: max_length 64 is above positions 32",
    ]


def test_wrong_combinations_are_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match=r"encoders\.wee\.heads: hidden 16 cannot be divided among 3 heads"):
        recipes.Recipe.model_validate(
            {
                "name": "toy",
                "languages": ("en", "de"),
                "text": (
                    {
                        "repo": "toy/pairs",
                        "split": "train",
                        "layout": "pairs",
                        "columns": ("a", "b"),
                        "configs": {"de": "de"},
                    },
                ),
                "encoders": {"wee": {"hidden": 16, "layers": 2, "heads": 3, "steps": 1}},
            }
        )
