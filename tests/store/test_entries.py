"""The files of entries: read, written again to the same bytes, and the entries that one depends on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import study
from adaptstilts.errors import ArtifactError
from adaptstilts.io import hashing
from adaptstilts.plan.expand import expand_each
from adaptstilts.plan.outline import Outline
from adaptstilts.pretrain import load
from adaptstilts.pretrain.plan import PretrainPhase
from adaptstilts.pretrain.recipe import Shape
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry, JsonFile
from adaptstilts.store.store import Store

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
EARLIER = Path(__file__).with_name("earlier") / "store"
STUDIES = sorted(path for path in CONFIGS.rglob("*.yaml") if "pretrain" not in path.parts)
NAN = float("nan")
JSON_FILES: dict[str, list[JsonFile[Any]]] = {
    "train": [entries.TRAIN_RESULT, entries.COST],
    "evaluate": [entries.SCORES, entries.STATS],
    "retrieve": [entries.SCORES, entries.STATS, entries.ENCODING_COST],
}


def commit(store: Store, spec: dict[str, Any], files: dict[str, str]) -> Entry:
    key = hashing.of(spec)
    with store.stage(key) as staging:
        for name, text in files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_text(text, encoding="utf-8")
        return store.commit(key, spec, staging)


def strings(value: object) -> Iterator[str]:
    """Every string in a spec, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_parents_are_the_phases_that_a_spec_names(path: Path, tmp_path: Path) -> None:
    overrides = ["model=builtin:small"] if path.name == "mini.yaml" else []
    for plan in expand_each(study.load(path, overrides), Outline(tmp_path)):
        for phase in plan.phases.values():
            assert set(phase.parents) == set(strings(phase.spec)) & set(plan.phases)
            assert len(set(phase.parents)) == len(phase.parents)


def test_parents_of_pretraining(tmp_path: Path) -> None:
    made = PretrainPhase(name="x", corpus="c" * 64, shape=_shape(), positions=64, start="5" * 64)
    assert made.parents == ("c" * 64, "5" * 64)


def _shape() -> Shape:
    return load(next((CONFIGS / "pretrain").glob("*.yaml"))).encoders["small"]


def test_parents_and_components() -> None:
    spec = {
        "kind": "evaluate",
        "base": "b",
        "stack": ["s", "t"],
        "init": "i",
        "start": "j",
        "fuse": ["f", "s"],
        "of": ["o"],
        "target": "x",
        "below": {"en": "y", "de": "z", "fr": "y"},
        "task": "no key",
        "data": {"train": "no key"},
    }
    assert entries.parents(spec) == ("b", "s", "t", "i", "j", "f", "o", "x", "y", "z")
    assert entries.components(spec) == ("b", "s", "t", "f")
    assert entries.parents({"kind": "train"}) == entries.components({}) == ()


def test_files_of_an_earlier_version_are_read_and_written_to_the_same_bytes(tmp_path: Path) -> None:
    store = Store(EARLIER)
    kinds = set()
    for key in (*store.keys(),):
        entry = store.entry(key)
        kinds.add(entry.spec["kind"])
        files = JSON_FILES[entry.spec["kind"]]
        if entries.SCORES in files:
            files = [*files, *map(entries.predictions, entries.SCORES.read(entry))]
        others = ("adapter/", "head/")
        names = {name for name in entry.manifest["files"] if name.endswith(".json") and not name.startswith(others)}
        assert {file.name for file in files} == names
        for file in files:
            assert file.exists(entry)
            file.write(tmp_path, file.read(entry))
            assert (tmp_path / file.name).read_bytes() == (entry.folder / file.name).read_bytes()
    assert kinds == set(JSON_FILES)


@pytest.mark.parametrize(
    ("file", "value", "text"),
    [
        (entries.MERGE_RESULT, {"trainable": 0, "weights": [0.5]}, '{"trainable": 0, "weights": [0.5]}'),
        (entries.MERGE_COST, {"seconds": 1.5}, '{"seconds": 1.5}'),
        (entries.ENCODING_COST, {"sentences_per_second": None}, '{\n "sentences_per_second": null\n}'),
        (entries.IMPORT_RESULT, {"name": "ä"}, '{\n "name": "ä"\n}'),
        (entries.CORPUS_RESULT, {"rows": {"ä": 1}}, '{\n "rows": {\n  "ä": 1\n }\n}'),
        (entries.PRETRAIN_RESULT, {"held_out": NAN}, '{\n "held_out": NaN\n}'),
        (entries.LAYERS, {"0": {"en": {"ä": 1.0}}}, '{"0": {"en": {"\\u00e4": 1.0}}}'),
        (entries.PREDICTORS, {"logme": None}, '{"logme": null}'),
    ],
)
def test_the_text_of_other_files(file: JsonFile[Any], value: Any, text: str, tmp_path: Path) -> None:
    file.write(tmp_path, value)
    assert (tmp_path / file.name).read_text(encoding="utf-8") == text


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        entries.COST.write(tmp_path, {"seconds": NAN})


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    entry = commit(Store(tmp_path), {"kind": "x"}, {"cost.json": '{"seconds": 1.0}', "head/head.json": "{}"})
    assert entries.COST.read(entry)["seconds"] == 1.0
    assert (entry.has_folder("head"), entry.has_folder("hea"), entry.has_folder("cost.json")) == (True, False, False)
    assert not entries.SCORES.exists(entry)
    with pytest.raises(ArtifactError, match=r"scores\.json: not the content that the manifest lists"):
        entries.SCORES.read(entry)
    (entry.folder / "cost.json").write_text('{"seconds": 2.0}')
    with pytest.raises(ArtifactError, match=r"cost\.json: not the content that the manifest lists"):
        entries.COST.read(entry)


def test_the_log_has_one_line_for_each_step() -> None:
    text = "".join(entries.log_line(line) for line in ({"step": 0, "task": "ä"}, {"step": 1}))
    assert text == '{"step": 0, "task": "\\u00e4"}\n{"step": 1}\n'
