"""Study files: every mistake at once with file and line, shorthands, overrides, the order in which settings win."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adaptstilts import methods
from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.methods import Method
from adaptstilts.study import Evaluate, Part, Retrieve, Study, Train, train_settings

BASE = """\
name: toy
model: some/model
intermediates: [none, mnli]
targets:
  - xnli
  - task: udpos
    train: {epochs: 4}
methods:
  - full
  - kind: lora
    rank: 4
    train: {lr: 5e-4}
"""


def problems(text: str, *overrides: str) -> list[str]:
    """Lines of the error that a study text gives."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "s.yaml", overrides)
    return str(caught.value).splitlines()


def only(text: str, *overrides: str) -> str:
    """The one line of the error that a study text gives."""
    found = problems(text, *overrides)
    assert len(found) == 1, found
    return found[0]


def test_a_whole_study() -> None:
    study = config.parse(BASE)
    assert [part.task for part in study.intermediates] == ["none", "mnli"]
    assert [part.task for part in study.targets] == ["xnli", "udpos"]
    assert study.targets[1].train == {"epochs": 4}
    assert [arm.method.kind for arm in study.methods] == ["full", "lora"]
    assert study.methods[1].method.identity() == {"kind": "lora", "rank": 4}
    assert study.methods[1].train == {"lr": 5e-4}
    assert (study.seeds, study.missing, study.swap) == ((1,), "error", "off")
    assert [held.kind for held in study.compositions] == ["stack"]


def test_json_says_the_same_as_yaml() -> None:
    held = {
        "methods": ["full", {"train": {"lr": 0.0005}, "kind": "lora", "rank": 4}],
        "targets": ["xnli", {"train": {"epochs": 4}, "task": "udpos"}],
        "intermediates": [{"task": "none"}, "mnli"],
        "model": "some/model",
        "name": "toy",
    }
    assert config.parse(json.dumps(held)) == config.parse(BASE)


def test_shorthand_of_one_method() -> None:
    short = "name: a\nmodel: m\ntargets: [xnli]\nmethod: lora\n"
    assert config.parse(short) == config.parse(short.replace("method: lora", "methods: [{kind: lora}]"))


def test_a_study_is_frozen() -> None:
    study = config.parse(BASE)
    with pytest.raises(ValidationError):
        study.name = "other"  # type: ignore[misc]


def test_all_mistakes_at_once_with_line_and_suggestion() -> None:
    text = """\
name: toy
modle: x
targets: [xnlii, none]
intermediates:
  - none
  - udpos
train:
  epoch: 3
  batch_size: -1
methods:
  - lorra
  - kind: lora
    rnk: 3
    train: {wamup: 0.1}
seeds: [true]
swap: yes
evaluate: {split: tst}
"""
    found = problems(text)
    expected = {
        "s.yaml:2: modle: unknown key; did you mean model": 1,
        "s.yaml: model: is required": 1,
        "s.yaml:3: targets.0.task: unknown task 'xnlii'; did you mean xnli": 1,
        "s.yaml:3: targets.1.task: none is not a target task": 1,
        "s.yaml:6: intermediates.1.task: udpos (tagging) cannot be an intermediate task": 1,
        "s.yaml:8: train.epoch: unknown key; did you mean epochs": 1,
        "s.yaml:9: train.batch_size: ": 1,
        "s.yaml:11: methods.0.kind: unknown method 'lorra'; did you mean lora": 1,
        "s.yaml:13: methods.1.rnk: unknown key; did you mean rank": 1,
        "s.yaml:14: methods.1.train.wamup: unknown key; did you mean warmup": 1,
        "s.yaml:15: seeds.0: ": 1,
        "s.yaml:16: swap: ": 1,
        "s.yaml:17: evaluate.split: ": 1,
    }
    assert {start: sum(line.startswith(start) for line in found) for start in expected} == expected, found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train: {lr: -1}", "s.yaml:13: train.lr: must be greater than 0, found -1"),
        ("train: {lr: true}", "s.yaml:13: train.lr: "),
        ("train: {lr: inf}", "s.yaml:13: train.lr: "),
        ("train: {lr: 1e999}", "s.yaml:13: train.lr: "),
        ("train: {lr: '0.1'}", "s.yaml:13: train.lr: "),
        ("train: {lr: nan}", "s.yaml:13: train.lr: "),
        ("train: {epochs: true}", "s.yaml:13: train.epochs: "),
        ("train: {epochs: 1.5}", "s.yaml:13: train.epochs: "),
        ("train: {epochs: '3'}", "s.yaml:13: train.epochs: "),
        ("train: {warmup: 1}", "s.yaml:13: train.warmup: "),
        ("train: 3", "s.yaml:13: train: "),
        ("seeds: []", "s.yaml:13: seeds: "),
        ("seeds: 1", "s.yaml:13: seeds: "),
        ("evaluate: {splt: dev}", "s.yaml:13: evaluate.splt: unknown key; did you mean split?"),
        ("retrieve: {max_length: 7}", "s.yaml:13: retrieve.max_length: "),
        ("lanuages: [de]", "s.yaml:13: lanuages: unknown key; did you mean languages"),
        ("missing: ignore", "s.yaml:13: missing: "),
    ],
)
def test_one_wrong_value(line: str, message: str) -> None:
    assert only(BASE + line + "\n").startswith(message)


@pytest.mark.parametrize(
    "name", ["../x", "/abs", "a/b", "a\\b", "", ".", "-a", "a b", "a\nb", "a" * 97, "ä", "a\u202eb", "CON:", "a\x00b"]
)
def test_names_are_plain_words(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        config.parse(json.dumps({"name": name, "model": "m", "targets": ["xnli"], "method": "full"}))


@pytest.mark.parametrize("text", ["", "[a, b]", "3", "just words", "null"])
def test_not_a_mapping(text: str) -> None:
    assert only(text).startswith("s.yaml: expected a mapping with the keys of a study")


@pytest.mark.parametrize("value", ["[]", "", "null", "3", "lora", "[3]", "[[lora]]", "[{rank: 3}]", "[{kind: 3}]"])
def test_methods_must_be_methods(value: str) -> None:
    """A study without a method never becomes one of full fine-tuning in silence."""
    found = problems(f"name: a\nmodel: m\ntargets: [xnli]\nmethods: {value}\n")
    assert all(": methods" in line for line in found)


def test_a_study_without_methods() -> None:
    assert only("name: a\nmodel: m\ntargets: [xnli]\n").startswith("s.yaml: methods: is required")


def test_a_mistake_under_the_shorthand_has_its_line() -> None:
    message = only("name: a\nmodel: m\ntargets: [xnli]\nmethod: {kind: lora, rnk: 3}\n")
    assert message.startswith("s.yaml:4: methods.0.rnk: unknown key; did you mean rank?")


def test_none_is_an_intermediate_and_bitext_is_not() -> None:
    found = only(BASE.replace("[none, mnli]", "[none, tatoeba]"))
    assert found.startswith("s.yaml:3: intermediates.1.task: tatoeba (bitext) cannot be an intermediate task")


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("name=other", lambda s: s.name, "other"),
        ("model=a=b c", lambda s: s.model, "a=b c"),
        ("model='007'", lambda s: s.model, "007"),
        ("seeds=[1, 2]", lambda s: s.seeds, (1, 2)),
        ("train.lr=1e-4", lambda s: s.train, {"lr": 1e-4}),
        ("train={epochs: 1}", lambda s: s.train, {"epochs": 1}),
        ("evaluate.split=dev", lambda s: s.evaluate.split, "dev"),
        ("targets.0.train.lr=0.5", lambda s: s.targets[0].train, {"lr": 0.5}),
        ("targets.1.train.lr=0.5", lambda s: s.targets[1].train, {"epochs": 4, "lr": 0.5}),
        ("targets.udpos.train.epochs=9", lambda s: s.targets[1].train, {"epochs": 9}),
        ("targets.0=xquad", lambda s: s.targets[0].task, "xquad"),
        ("targets=[xquad]", lambda s: [p.task for p in s.targets], ["xquad"]),
        ("methods.lora.rank=2", lambda s: s.methods[1].method.rank, 2),
        ("methods.1.rank=2", lambda s: s.methods[1].method.rank, 2),
        ("methods.full.train.lr=0.5", lambda s: s.methods[0].train, {"lr": 0.5}),
        ("method.rank=2", lambda s: s.methods[1].method.rank, 2),
        ("method.train.epochs=2", lambda s: [a.train.get("epochs") for a in s.methods], [2, 2]),
        ("methods=[bottleneck]", lambda s: [a.method.kind for a in s.methods], ["bottleneck"]),
        ("languages=[no, de]", lambda s: s.languages, ("no", "de")),
        ("revision=", lambda s: s.revision, None),
    ],
)
def test_overrides(override: str, read: Any, value: Any) -> None:
    assert read(config.parse(BASE, "s", [override])) == value


def test_overrides_apply_in_order() -> None:
    assert config.parse(BASE, "s", ["seeds=[1, 2]", "seeds.1=5", "seeds.0=4"]).seeds == (4, 5)


def test_an_override_reaches_the_member_it_names() -> None:
    """Also when an earlier member is equal to it."""
    assert config.parse(BASE, "s", ["seeds=[2, 2]", "seeds.1=5"]).seeds == (2, 5)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.lr", "expected key.path=value"),
        ("=3", "expected key.path=value"),
        ("", "expected key.path=value"),
        ("tran.lr=3", "no key 'tran'; did you mean train"),
        ("train.rl=3", "train.rl: unknown key"),
        ("train.epohs=3", "train.epohs: unknown key; did you mean epochs"),
        ("name.x=3", "'name' is a value"),
        ("evaluate.split.x=3", "evaluate.split"),
        ("targets.9.train.lr=1", "no member '9'"),
        ("targets.xnly.train.lr=1", "no member 'xnly'; did you mean xnli"),
        ("methods.lorra.rank=1", "no member 'lorra'; did you mean lora"),
        ("method.rnk=1", "no method of this study has that key; did you mean rank"),
        ("method.reduction=4", "no method of this study has that key"),
        ("method=full", "the study has a list of methods; give methods=[...]"),
        ("seeds=[1", "not valid YAML"),
        ("seeds=!!python/name:os.system x", "tag"),
        ("model=\udcff", "not valid YAML"),
        ("train.=3", "expected key.path=value"),
        ("train..lr=3", "expected key.path=value"),
        (".train=3", "expected key.path=value"),
        ("targets. .train.lr=3", "expected key.path=value"),
        ("compositions=[fused]", "compositions.0.kind: expected one of none, stack, "),
    ],
)
def test_overrides_that_cannot_be_meant(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(BASE, "s", [override])
    assert words in str(caught.value)


@pytest.mark.parametrize("value", ["", "3", "[{kind: 3}]", "[{kind: [lora]}]", "[3]", "lora"])
def test_an_override_of_broken_methods_is_a_config_error(value: str) -> None:
    with pytest.raises(ConfigError):
        config.parse(f"name: a\nmodel: m\ntargets: [xnli]\nmethods: {value}\n", "s", ["method.rank=3"])


def test_the_later_settings_win() -> None:
    """Defaults of the task, then the study's, the method's and the part's."""
    text = "name: a\nmodel: m\ntargets: [squad_v2]\nmethod: lora\n"
    levels = ["train.epochs=7", "method.train.epochs=8", "targets.0.train.epochs=9"]
    for n, expected in enumerate((2, 7, 8, 9)):
        study = config.parse(text, "s", levels[:n])
        settings = train_settings(study, study.methods[0], study.targets[0], study.targets[0].task)
        assert settings.epochs == expected
        assert settings.max_length == 384


def test_the_rate_is_the_methods_unless_given() -> None:
    study = config.parse(BASE)
    full, lora = study.methods
    assert train_settings(study, full, Part(task="xnli"), "xnli").lr == full.method.default_lr == 2e-5
    assert train_settings(study, lora, Part(task="xnli"), "xnli").lr == 5e-4
    given = config.parse(BASE, "s", ["train.lr=1e-3"])
    assert train_settings(given, given.methods[0], Part(task="xnli"), "xnli").lr == 1e-3
    assert train_settings(given, given.methods[1], Part(task="xnli"), "xnli").lr == 5e-4


def test_identity_is_what_differs_from_defaults() -> None:
    assert Train(epochs=3, batch_size=4, lr=1e-3, warmup=0).identity() == {"batch_size": 4, "lr": 1e-3, "warmup": 0}
    assert Evaluate().identity() == Retrieve().identity() == {}
    assert methods.parse({"kind": "lora", "rank": 8}).identity() == {"kind": "lora"}


def test_the_last_of_both_forms_of_warm_up_wins() -> None:
    assert config.merge_train({"warmup": 0.1}, {"warmup_steps": 5}, {"lr": 1.0}) == {"warmup_steps": 5, "lr": 1.0}
    assert config.merge_train({"warmup_steps": 5, "epochs": 2}, {"warmup": 0.0}) == {"warmup": 0.0, "epochs": 2}
    assert config.merge_train({"warmup": 0.2}, {"warmup_steps": None}) == {"warmup": 0.2, "warmup_steps": None}


def test_the_last_of_both_forms_of_a_budget_wins() -> None:
    assert config.merge_train({"max_steps": 9, "epochs": 2}, {"steps": 5}) == {"epochs": 2, "steps": 5}
    assert config.merge_train({"steps": 5}, {"epochs": 2}) == {"epochs": 2}
    assert config.merge_train({"steps": 5}, {"max_steps": 9}) == {"max_steps": 9}
    assert config.merge_train({"steps": 5}, {"max_steps": None}) == {"steps": 5, "max_steps": None}


@pytest.mark.parametrize(
    ("settings", "identity"),
    [
        (Train(), {"warmup_rule": "trainer"}),
        (Train(warmup_rule="earlier"), {}),
        (Train(warmup=0.2, warmup_rule="earlier"), {"warmup": 0.2}),
        (Train(warmup_steps=500), {"warmup_steps": 500, "warmup_rule": "trainer"}),
        (Train(warmup_steps=500, warmup_rule="earlier"), {"warmup_steps": 500}),
        (Train(warmup=0.0), {"warmup": 0.0}),
        (Train(keep="last"), {"keep": "last", "warmup_rule": "trainer"}),
    ],
)
def test_a_warm_up_names_its_rule_unless_it_is_that_of_the_first_version(
    settings: Train, identity: dict[str, Any]
) -> None:
    assert settings.identity() == identity
    assert Train.from_identity(identity) == settings


def test_without_warm_up_the_rule_changes_no_key() -> None:
    assert Train(warmup=0.0, warmup_rule="earlier").identity() == Train(warmup=0.0).identity()


@pytest.mark.parametrize("kind", sorted(methods.known()))
def test_every_method_survives_its_identity(kind: str) -> None:
    plain = methods.get(kind)(kind=kind)
    assert methods.parse(plain.identity()) == plain
    if "leave_out" in type(plain).model_fields:
        changed = plain.model_copy(update={"leave_out": (0, 2)})
        assert methods.parse(json.loads(json.dumps(changed.identity()))) == changed
        assert changed.layers(4) == (1, 3)
        assert changed.label == f"{kind} leave_out=[0, 2]"


def test_a_method_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Method):
        kind: str = "mine"
        size: int = 3

    monkeypatch.setattr(methods.REGISTRY, "_added", {})
    methods.add(Mine)
    study = config.parse("name: a\nmodel: m\ntargets: [xnli]\nmethods: [{kind: mine, size: 4}]\n")
    assert study.methods[0].method == Mine(size=4)
    assert study.methods[0].method.label == "mine size=4"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such study file"):
        config.load(tmp_path / "absent.yaml")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found a folder"):
        config.load(tmp_path)


@pytest.mark.parametrize("data", [BASE.encode("utf-16"), BASE.encode() + b"# \xff\n"])
def test_a_file_that_is_not_utf8(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(path)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + BASE.encode(), BASE.replace("\n", "\r\n").encode()])
def test_byte_order_marks_and_windows_lines(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ein ä study.yaml"
    path.write_bytes(data)
    assert config.load(path) == config.parse(BASE)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(BASE + "swapp: all\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(caught.value) == f"{path}:13: swapp: unknown key; did you mean swap?"


def test_every_field_of_the_models_is_documented() -> None:
    undocumented = [
        f"{model.__name__}.{field}"
        for model in (Train, Evaluate, Retrieve)
        for field in model.model_fields
        if f"        {field}: " not in (model.__doc__ or "")
    ]
    assert undocumented == []
    assert Study.__doc__


def test_a_named_pipe_is_refused_and_one_of_the_shell_is_read(tmp_path: Path) -> None:
    """Nobody may ever write to the former; the latter is what ``<(...)`` of a shell gives."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe: expected a study file, found a named pipe"):
        config.load(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="/dev/zero: expected a study file, found a device"):
        config.load("/dev/zero")
    reader, writer = os.pipe()
    os.write(writer, BASE.encode())
    os.close(writer)
    assert config.load(f"/dev/fd/{reader}").name == "toy"
    os.close(reader)
