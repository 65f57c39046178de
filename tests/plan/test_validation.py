"""Everything that is wrong with a study is reported in one run, with file, line and key, before any data is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import cli, study
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.plan.expand import expand, load_study
from adaptstilts.workspace import Workspace

RIGHT = """\
name: toy
model: builtin:nano
intermediates: [none, mnli, squad]
targets: [xnli, udpos]
methods:
  - full
  - {kind: lora, rank: 4}
compositions: [stack]
seeds: [1, 2]
languages: [en, de]
train: {max_length: 64}
retrieve: {layer: 1, max_length: 64}
"""
WRONG = """\
name: toy
modle: builtin:small
model: builtin:nano
intermediates: [none, mnli, mnli]
targets: [xnli, udpos]
methods:
  - {kind: lora, leave_out: [9]}
  - full
compositions:
  - {kind: stack, weights: [1.0]}
languages: [en, de, eo]
seeds: [1, 2, 1]
train:
  max_length: 500
  epohcs: 3
retrieve: {layer: 99, max_length: 64}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace without any data."""
    (tmp_path / "hub").mkdir()
    return Workspace(tmp_path / "store", tmp_path / "hub", offline=True)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def lines(write: Callable[[str], Path], workspace: Workspace) -> Callable[..., list[str]]:
    """The lines of the error that a study gives when it is read and planned, without the folder of the file."""

    def refused(text: str, *overrides: str) -> list[str]:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            expand(load_study(path, overrides, workspace), workspace)
        return str(caught.value).replace(f"{path.parent}/", "").splitlines()

    return refused


def test_six_wrong_combinations_and_two_wrong_keys(lines: Callable[..., list[str]]) -> None:
    assert lines(WRONG) == [
        "s.yaml:2: modle: unknown key; did you mean model or models or methods?",
        "s.yaml:4: intermediates.2: mnli is listed twice",
        "s.yaml:7: methods.0.leave_out: method lora leave_out=[9]: the model has no layer 9,"
        " its 2 layers are counted from 0",
        "s.yaml:10: compositions.0.weights: stack takes no weights; only merge and merge_then_stack do",
        "s.yaml:11: languages.2: no target of this study has 'eo'",
        "s.yaml:12: seeds.2: 1 is listed twice",
        "s.yaml:14: train.max_length: max_length 500 is more than the 256 positions of the model; give"
        " train.max_length=256",
        "s.yaml:15: train.epohcs: unknown key; did you mean epochs or steps?",
        "s.yaml:16: retrieve.layer: the model has hidden states 0 to 2, found 99",
    ]


def test_the_same_without_the_wrong_keys(lines: Callable[..., list[str]]) -> None:
    """Combinations alone are reported alike."""
    both = lines(WRONG)
    alone = lines(WRONG.replace("modle: builtin:small\n", "\n").replace("  epohcs: 3\n", "\n"))
    assert alone == [line for line in both if "unknown key" not in line]


def test_wrong_members_have_no_follow_ups(lines: Callable[..., list[str]]) -> None:
    """What is wrong only because something else is, is not reported."""
    text = RIGHT.replace("[none, mnli, squad]", "[none, mnlj, squad]").replace("[xnli, udpos]", "[xnlj, udpos]")
    text = text.replace("[stack]", "[{kind: stack, of: [mnlj, squad]}, {kind: fuse, of: [mnlj]}]")
    text = text.replace("rank: 4}", "rank: four}") + "swap: all\n"
    assert [line.partition(": unknown")[0].partition(": expected")[0] for line in lines(text)] == [
        "s.yaml:3: intermediates.1.task",
        "s.yaml:4: targets.0.task",
        "s.yaml:7: methods.1.rank",
    ]


def test_numbers_of_members_are_those_of_the_file(lines: Callable[..., list[str]]) -> None:
    """Also if an earlier member could not be read."""
    text = RIGHT.replace("  - full\n", "  - fulll\n").replace("rank: 4}", "leave_out: [7]}")
    assert [line.partition("; did")[0] for line in lines(text)] == [
        "s.yaml:6: methods.0.kind: unknown method 'fulll'",
        "s.yaml:7: methods.1.leave_out: method lora leave_out=[7]: the model has no layer 7,"
        " its 2 layers are counted from 0",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lr=abc", "train.lr: expected a number, found 'abc'"),
        ("train.max_length=400", "train.max_length: max_length 400 is more than the 256 positions"),
        ("swap=all", ""),
        ("seeds=[3, 3]", "seeds.1: 3 is listed twice"),
        ("languages=[eo]", "languages.0: no target of this study has 'eo'"),
        ("compositions=[fuse]", "compositions.0: method full: cannot be fused"),
        ("targets.udpos.train.max_length=300", "targets.1.train.max_length: max_length 300 is more than"),
        ("targets.xnli.evaluate={max_length: 300}", "targets.0.evaluate.max_length: max_length 300 is more than"),
    ],
)
def test_an_override_is_blamed_for_what_it_sets(lines: Callable[..., list[str]], override: str, message: str) -> None:
    text = RIGHT if override != "swap=all" else RIGHT.replace("  - {kind: lora, rank: 4}\n", "")
    first, *_ = lines(text, override)
    assert first.startswith(f"override {override!r}: {message}")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"train": {"max_length": 300}}, "train.max_length"),
        ({"methods": [{"kind": "lora", "train": {"max_length": 300}}]}, "methods.0.train.max_length"),
        ({"targets": [{"task": "xnli", "train": {"max_length": 300}}]}, "targets.0.train.max_length"),
        ({"intermediates": [{"task": "mnli", "train": {"max_length": 300}}]}, "intermediates.0.train.max_length"),
        ({"evaluate": {"max_length": 300}}, "evaluate.max_length"),
        ({"targets": [{"task": "xnli", "evaluate": {"max_length": 300}}]}, "targets.0.evaluate.max_length"),
        ({"targets": ["tatoeba"], "retrieve": {"max_length": 300}}, "retrieve.max_length"),
        (
            {
                "methods": [{"kind": "bottleneck", "language_adapters": True}],
                "language_adapters": {"text": {"en": [{"repo": "a/b"}]}, "train": {"max_length": 300}},
            },
            "language_adapters.train.max_length",
        ),
    ],
)
def test_the_key_that_has_the_length_is_named(
    lines: Callable[..., list[str]], changes: dict[str, Any], key: str
) -> None:
    base = {"name": "toy", "model": "builtin:nano", "targets": ["xnli"], "methods": ["lora"]}
    assert lines(json.dumps({**base, **changes})) == [
        f"s.yaml:1: {key}: max_length 300 is more than the 256 positions of the model; give {key}=256"
    ]
    assert not [line for line in _after(lines, {**base, **changes}, f"{key}=256") if "max_length" in line]


def _after(lines: Callable[..., list[str]], data: dict[str, Any], override: str) -> list[str]:
    """What is wrong with a study after an override; missing data is not."""
    try:
        return lines(json.dumps(data), override)
    except DataError:
        return []


def test_a_default_length_is_named_as_such(lines: Callable[..., list[str]]) -> None:
    text = "name: t\nmodel: builtin:nano\nmethod: lora\ntargets:\n  - mlqa\n"
    assert lines(text) == [
        "s.yaml:5: targets.0: max_length 384, the default of squad, is more than the 256 positions of the model; give"
        " train.max_length=256"
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train": {"patience": 3}, "targets": [{"task": "udpos", "train": {"keep": "last"}}]},
            "targets.0: training settings of udpos (lora) together: patience waits for a better dev score, and keep:"
            " last does not choose by it; give one",
        ),
        (
            {"methods": [{"kind": "lora", "train": {"warmup_steps": 20}}], "train": {"max_steps": 20}},
            "targets.0: training settings of xnli (lora) together: warmup_steps must be less than max_steps, which is"
            " 20, found 20",
        ),
        (
            {
                "methods": [{"kind": "bottleneck", "language_adapters": True}],
                "language_adapters": {"text": {"en": [{"repo": "a/b"}]}, "train": {"keep": "best"}},
            },
            "language_adapters.train.keep: text has no dev rows to choose by, so the last weights are kept; remove it",
        ),
    ],
)
def test_training_settings_that_contradict_each_other(
    lines: Callable[..., list[str]], changes: dict[str, Any], expected: str
) -> None:
    base = {"name": "toy", "model": "builtin:nano", "targets": ["xnli"], "methods": ["lora"]}
    assert lines(json.dumps({**base, **changes})) == [f"s.yaml:1: {expected}"]


def test_english_fits_retrieval_alone(write: Callable[[str], Path], workspace: Workspace) -> None:
    """As after targets were dropped by an override: English is the other side of every pair."""
    path = write(RIGHT)
    with pytest.raises(DataError, match="tatoeba"):
        expand(load_study(path, ["targets=[tatoeba]", "intermediates=[none]"], workspace), workspace)
    with pytest.raises(ConfigError, match=r"languages\.1: no target of this study has 'sw'"):
        expand(load_study(path, ["targets=[paws_x]", "languages=[en, sw, de]"], workspace), workspace)


def test_missing_data_comes_after(write: Callable[[str], Path], workspace: Workspace) -> None:
    with pytest.raises(DataError, match="no split 'train' of config 'mnli'"):
        expand(load_study(write(RIGHT), (), workspace), workspace)


def test_the_command_line_says_everything(
    write: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(WRONG)
    monkeypatch.setattr(sys, "argv", ["adaptstilts", "plan", str(path), "--store", str(tmp_path / "s"), "--offline"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 9


def test_places_are_no_part_of_a_study(write: Callable[[str], Path]) -> None:
    path = write(RIGHT)
    assert study.load(path) == study.parse("\n\n" + RIGHT, "other.yaml")
    assert hash(study.load(path).methods[1].method) == hash(study.parse("\n" + RIGHT).methods[1].method)
