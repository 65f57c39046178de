"""Settings without effect are refused while planning, in one line with file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adaptstilts.errors import ConfigError
from adaptstilts.plan.expand import expand_each, load_study
from adaptstilts.workspace import Workspace

STUDY = """\
name: toy
model: builtin:nano
intermediates: [none, sample_nli]
targets: [sample_choice, sample_retrieval]
methods: [lora]
train: {examples: 64, epochs: 1}
evaluate: {examples: 20}
retrieve: {layer: 1}
compositions: [stack]
"""


def plan(folder: Path, text: str, overrides: Sequence[str] = ()) -> None:
    """Plan a study from text."""
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    workspace = Workspace(folder / "store", offline=True, create=False)
    expand_each(load_study(path, list(overrides), workspace), workspace)


def mistakes(folder: Path, text: str, overrides: Sequence[str] = ()) -> list[str]:
    """Return the lines of the error of a study that is wrong, with its file as ``s.yaml``."""
    with pytest.raises(ConfigError) as caught:
        plan(folder, text, overrides)
    return str(caught.value).replace(str(folder / "s.yaml"), "s.yaml").splitlines()


def test_settings_that_only_some_phases_use_are_right(tmp_path: Path) -> None:
    plan(tmp_path, STUDY)
    plan(tmp_path, STUDY, ["targets=[sample_choice]"])
    plan(tmp_path, STUDY, ["targets=[sample_retrieval]"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[none,", "[{task: none, train: {epochs: 2}},", "3: intermediates.0.train: none trains nothing"),
        (
            "sample_retrieval]",
            "{task: sample_retrieval, train: {epochs: 2}}]",
            "4: targets.1.train: sample_retrieval is only searched and never trained",
        ),
        (
            "sample_retrieval]",
            "{task: sample_retrieval, evaluate: {examples: 5}}]",
            "4: targets.1.evaluate: sample_retrieval is only searched; its settings are those under retrieve",
        ),
        (
            "sample_nli]\ntargets: [sample_choice, sample_retrieval]",
            "{task: sample_nli, swap_only: true}]\ntargets: [sample_choice]",
            "3: intermediates.1.swap_only: sample_nli: nothing uses it without swap: all",
        ),
        (
            "[stack]",
            "[{kind: stack, of: [sample_nli, sample_nli]}]",
            "9: compositions.0.of.1: is the same as member 0; keep one",
        ),
        ("[stack]", "[stack, stack]", "9: compositions.1: is the same as member 0; keep one"),
        (
            "sample_nli]",
            "sample_nli, {task: twice, merge: {of: [sample_nli, sample_nli]}}]",
            "3: intermediates.2.merge.of.1: is the same as member 0; keep one",
        ),
        (
            "sample_nli]",
            "{task: mix, mixture: {tasks: [sample_nli, sample_choice], temperature: 3}}]",
            "3: intermediates.1.mixture.temperature: is used by sampling: temperature alone; give that as well",
        ),
        (
            "methods: [lora]",
            "methods: [{kind: lora, compositions: [none]}]",
            "9: compositions: every method of this study has compositions of its own",
        ),
        (
            "[none, sample_nli]\ntargets: [sample_choice, sample_retrieval]",
            "[sample_choice, sample_nli]\nswap: all\ntargets: [sample_retrieval]",
            "4: swap: no target of this study has an adapter that could be swapped",
        ),
        (
            "builtin:nano\n",
            "builtin:nano\nrevision: main\n",
            "3: revision: builtin:nano is not a model on the hub, so it has no revisions",
        ),
        ("train:", "languages: []\ntrain:", "6: languages: names no language; leave it out for those of XTREME"),
    ],
)
def test_a_setting_without_effect_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert mistakes(tmp_path, STUDY.replace(old, new)) == [f"s.yaml:{message}"]


def test_an_override_without_effect_is_blamed(tmp_path: Path) -> None:
    override = "targets.sample_retrieval.train.epochs=2"
    expected = f"override {override!r}: targets.1.train: sample_retrieval is only searched and never trained"
    assert mistakes(tmp_path, STUDY, [override]) == [expected]


def test_what_an_override_left_idle_is_no_mistake(tmp_path: Path) -> None:
    text = STUDY.replace("sample_nli]", "sample_nli, {task: sample_tagging, swap_only: true}]")
    plan(tmp_path, text, ["swap=off", "targets=[sample_choice]"])
    assert mistakes(tmp_path, text.replace(", sample_retrieval]", "]"))
