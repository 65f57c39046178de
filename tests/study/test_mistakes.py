"""Study files and overrides that are wrong: one clear line for each mistake, blamed on what wrote it."""

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
targets:
  - sample_choice
  - task: sample_tagging
    train: {epochs: 2}
methods:
  - full
  - {kind: lora, rank: 4}
compositions: [stack]
train: {examples: 64, epochs: 1}
"""


def mistakes(folder: Path, text: str, overrides: Sequence[str] = ()) -> list[str]:
    """Plan a study that is wrong, and return the lines of its error with the file as ``s.yaml``."""
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    workspace = Workspace(folder / "store", offline=True, create=False)
    with pytest.raises(ConfigError) as caught:
        expand_each(load_study(path, list(overrides), workspace), workspace)
    return str(caught.value).replace(str(path), "s.yaml").splitlines()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("targets.0.train", "expected key.path=value, such as train.lr=1e-4"),
        ("=x", "expected key.path=value, such as train.lr=1e-4"),
        ("a..b=1", "expected key.path=value, such as train.lr=1e-4"),
        ("targets.0.train=", "targets.0.train: expected a mapping of keys to values, found nothing"),
        ("targets.7.train.lr=1", "no member '7'; known here: 0, 1, sample_choice, sample_tagging"),
        ("targets.-1.train.lr=1", "no member '-1'; did you mean 1?"),
        ("seeds.0=3", "the file has no seeds with members; give all of seeds at once"),
        ("seeds.a=3", "seeds: expected a list, found a mapping"),
        ("languages.0=de", "the file has no languages with members; give all of languages at once"),
        (
            "language_adapters.text.en.0.repo=a/b",
            "the file has no language_adapters with members; give all of language_adapters at once",
        ),
        (
            "targets.sample_choice.rows.k=[3]",
            "targets.0.rows.languages: is required; give it in the file or as targets.0.rows.languages=VALUE",
        ),
        ("method=full", "the study has a list of methods; give methods=[...]"),
        ("train.lr=[1", "not valid YAML: the list that begins with [ on line 1, column 1 is not closed before the end"),
        ("train.lr=*a", "anchors and aliases are not supported; write the value out, or quote what starts with & or *"),
        ("train.lr={a: 1, a: 2}", "the key 'a' occurs twice (first on line 1); keep one"),
        ("model=/no/such", "model: '/no/such' is neither the folder of a model nor a hub id of the form owner/name"),
    ],
)
def test_an_override_is_blamed_for_every_mistake_it_makes(tmp_path: Path, override: str, message: str) -> None:
    assert mistakes(tmp_path, STUDY, [override]) == [f"override {override!r}: {message}"]


COMPOSED = """\
name: toy
model: builtin:nano
intermediates:
  - none
  - squad
  - sample_nli
  - {task: soup, merge: {of: [sample_nli, squad]}}
targets: [sample_choice]
methods: [{kind: bottleneck, reduction: 4}]
compositions: [stack, {kind: fuse, of: [sample_nli, squad]}]
train: {max_length: 64}
"""


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("intermediates.3.merge.of.1=x", "intermediates.3.merge.of.1: x is not an intermediate of this study that"),
        ("compositions.1.of.0=x", "compositions.1.of.0: x is not an intermediate of this study that comes before it"),
        ("intermediates.3.merge=-1", "intermediates.3.merge: expected a mapping of keys to values, found -1"),
        (
            "intermediates.3.merge=[squad]",
            "intermediates.3.merge: expected a mapping of keys to values, found ['squad']",
        ),
        ("methods.0.kind=[{}]", "methods.0.kind: expected the name of a method, or a mapping with `kind:`"),
        ("train=-1", "train: expected a mapping of keys to values, found -1"),
        ("train.max_length=[[]]", "train.max_length: expected a whole number, found [[]]"),
    ],
)
def test_an_override_inside_a_member_is_blamed_alone(tmp_path: Path, override: str, message: str) -> None:
    """And what follows from it, such as a default that is too long for the model, is not reported."""
    (line,) = mistakes(tmp_path, COMPOSED, [override])
    assert line.startswith(f"override {override!r}: {message}")


def test_each_of_several_overrides_is_blamed_for_its_own_mistake(tmp_path: Path) -> None:
    overrides = ["evaluate.split=tset", "evaluate.examples=0", "retrieve.k=0", "nam=x"]
    assert mistakes(tmp_path, STUDY, overrides) == [
        "override 'nam=x': no key 'nam'; did you mean name?",
        "override 'evaluate.split=tset': evaluate.split: expected one of test, dev, found 'tset'; did you mean test?",
        "override 'evaluate.examples=0': evaluate.examples: must be at least 1, found 0",
        "override 'retrieve.k=0': retrieve.k: must be at least 1, found 0",
    ]


def test_a_key_that_is_not_a_word_is_shown(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, STUDY + "'': 3\n")
    assert line.startswith("s.yaml:13: '': unknown key; known here: compositions, ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("methods.lora.rank=65", "methods.1.rank: method lora rank=65: rank 65 is more than the weights of the model"),
        ("method.leave_out=[9]", "methods.1.leave_out: method lora rank=4 leave_out=[9]: the model has no layer 9"),
        (
            "methods.1.dora=true",
            "methods.1.dora: method lora rank=4 dora=True: cannot be trained over sample_nli: DoRA",
        ),
    ],
)
def test_an_override_that_does_not_fit_the_model_is_blamed(tmp_path: Path, override: str, message: str) -> None:
    (line,) = mistakes(tmp_path, STUDY, [override])
    assert line.startswith(f"override {override!r}: {message}")


WRONG_MEMBERS = {
    "intermediates.1.task": ("sample_nli]", "sample_nlii]"),
    "targets.0.task": ("- sample_choice", "- sample_choise"),
    "targets.1.task": ("sample_tagging", "sample_taging"),
    "methods.0.kind": ("- full", "- fulll"),
    "methods.1.kind": ("kind: lora", "kind: lorra"),
    "compositions.0.kind": ("[stack]", "[stak]"),
}


@pytest.mark.parametrize(
    "wrong",
    [
        ("intermediates.1.task",),
        ("targets.0.task",),
        ("targets.0.task", "targets.1.task"),
        ("methods.0.kind", "methods.1.kind"),
        ("compositions.0.kind",),
        tuple(WRONG_MEMBERS),
    ],
)
def test_a_wrong_member_hides_no_wrong_language(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    """Even if no target or method is left."""
    text = STUDY + "languages: [en, de, xx]\n"
    for key in wrong:
        text = text.replace(*WRONG_MEMBERS[key])
    lines = mistakes(tmp_path, text)
    assert [line.split(": ")[1] for line in lines] == [*wrong, "languages.2"]
    assert lines[-1] == "s.yaml:13: languages.2: unknown language 'xx'; did you mean xh?"


NAMES = [("s.yml", "s.yaml"), ("s.yaml", "s.yml"), ("s.yaml", "s"), ("quickstart.yaml", "quickstrat.yaml")]


@pytest.mark.parametrize(("there", "asked"), NAMES)
def test_a_study_file_beside_it_is_suggested(tmp_path: Path, there: str, asked: str) -> None:
    (tmp_path / there).write_text(STUDY, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_study(tmp_path / asked, [], Workspace(tmp_path / "store", offline=True, create=False))
    assert str(caught.value) == f"{tmp_path / asked}: no such study file; did you mean {tmp_path / there}?"


def test_no_more_mistakes_are_listed_than_anybody_reads(tmp_path: Path) -> None:
    lines = mistakes(tmp_path, STUDY + "".join(f"key{number}: 1\n" for number in range(60)))
    assert len(lines) == 51
    assert lines[49].startswith("s.yaml:62: key49: unknown key")
    assert lines[50] == "and 10 more mistakes"
