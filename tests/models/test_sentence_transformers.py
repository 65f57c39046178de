"""Folders of sentence-transformers: the encoder in them is found, and its pooling has a name here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import model_folders as folders
from support.model_folders import changed_copy

from adaptstilts.errors import ArtifactError
from adaptstilts.models.locate import locate
from adaptstilts.plan.expand import expand
from adaptstilts.plan.retrieval_settings import for_model, why_not_own
from adaptstilts.study import Retrieve, parse
from adaptstilts.workspace import Workspace


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make_bert(tmp_path_factory.mktemp("bert") / "bert")


def with_modules(bert: Path, folder: Path, mode: str = "pooling_mode_cls_token", older: bool = False) -> Path:
    return changed_copy(bert, folder, lambda copy: folders.to_sentence_transformers(copy, mode, older))


@pytest.mark.parametrize("older", [False, True])
def test_the_encoder_is_found_in_either_layout(bert: Path, tmp_path: Path, older: bool) -> None:
    model = locate(str(with_modules(bert, tmp_path / "sbert", older=older)))
    assert model.fingerprint == locate(str(bert)).fingerprint
    assert model.name == "sbert"
    assert model.pooling is not None
    assert model.pooling.name == "cls"


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_cls_token", "cls"),
    ],
)
def test_own_pooling_is_the_named_one_at_the_last_layer(bert: Path, tmp_path: Path, mode: str, name: str) -> None:
    model = locate(str(with_modules(bert, tmp_path / "sbert", mode)))
    assert for_model(Retrieve(pooling="own"), model) == Retrieve(pooling=name, layer=2)
    assert for_model(Retrieve(pooling="own", layer=1), model) == Retrieve(pooling=name, layer=1)
    assert for_model(Retrieve(pooling="idf"), model) == Retrieve(pooling="idf")


def test_a_study_with_the_own_pooling_has_the_key_of_the_named_one(bert: Path, tmp_path: Path, data_root: Path) -> None:
    folder = with_modules(bert, tmp_path / "sbert")

    def key(**settings: object) -> str:
        retrieve = {"max_length": 48, **settings}
        study = {"name": "r", "model": str(folder), "methods": ["full"], "targets": ["tatoeba"], "retrieve": retrieve}
        plan = expand(parse(json.dumps({**study, "missing": "skip"})), Workspace(tmp_path / "store", data_root))
        (phase,) = plan.order()
        return phase.key

    assert key(pooling="own") == key(pooling="cls", layer=2) != key(pooling="cls")


def edit(folder: Path, name: str, change: Callable[[object], object]) -> None:
    path = folder / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


DENSE = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: edit(f, "modules.json", lambda m: [*m, DENSE]), "modules.json has a module Dense, which is not"),
        (lambda f: edit(f, "modules.json", lambda m: m[:1]), "has 0 poolings, expected one"),
        (
            lambda f: edit(f, "1_Pooling/config.json", lambda c: {**c, "pooling_mode_max_tokens": True}),
            "its pooling is pooling_mode_cls_token, pooling_mode_max_tokens, expected one of",
        ),
        (lambda f: edit(f, "1_Pooling/config.json", lambda c: {}), "its pooling has no mode that is on"),
        (lambda f: (f / "modules.json").unlink(), "does not say how it pools"),
        (
            lambda f: edit(f, "modules.json", lambda m: [m[0], *m]),
            "the modules Transformer, Transformer, Pooling, Norm",
        ),
        (lambda f: edit(f, "modules.json", lambda m: [m[0], m[2], m[1]]), "Transformer, Normalize, Pooling, expected"),
        (
            lambda f: edit(f, "modules.json", lambda m: [*m, {**DENSE, "type": "a\n\x1b[2J"}]),
            r"module a\n\x1b[2J, which",
        ),
    ],
    ids=["dense", "no pooling", "two", "none", "no modules", "two encoders", "unit tokens", "control characters"],
)
def test_a_pooling_that_cannot_be_used(bert: Path, tmp_path: Path, change: Callable[[Path], None], reason: str) -> None:
    folder = with_modules(bert, tmp_path / "sbert")
    change(folder)
    model = locate(str(folder))
    assert reason in str(why_not_own(Retrieve(pooling="own"), model))
    assert why_not_own(Retrieve(), model) is None


def test_a_prefix_that_is_left_out_of_the_pooling(bert: Path, tmp_path: Path) -> None:
    folder = with_modules(bert, tmp_path / "sbert")
    edit(folder, "1_Pooling/config.json", lambda config: {**config, "include_prompt": False})
    model = locate(str(folder))
    assert why_not_own(Retrieve(pooling="own"), model) is None
    assert "leaves the tokens of a prefix out" in str(why_not_own(Retrieve(pooling="own", prefix="query: "), model))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda modules: {"a": 1}, "expected a JSON list, found an object"),
        (lambda modules: [3], "expected modules with type and path, found 3"),
        (lambda modules: [{**modules[0], "path": "../other"}], r"module folder '../other' is refused"),
        (lambda modules: [{**modules[0], "path": "/etc"}], r"module folder '/etc' is refused"),
        (lambda modules: modules[1:], "no Transformer among its modules"),
    ],
)
def test_modules_that_are_refused(
    bert: Path, tmp_path: Path, change: Callable[[list[dict[str, str]]], object], words: str
) -> None:
    folder = with_modules(bert, tmp_path / "sbert", older=True)
    edit(folder, "modules.json", change)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match=words):
        locate(str(folder))
