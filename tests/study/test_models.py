"""Studies of several base models: one plan for each, with the keys of studies of one model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.inputs import make_encoder

from adaptstilts import cli, expand, expand_each, load_study, records, render
from adaptstilts.errors import ConfigError, DivergedError
from adaptstilts.plan import expand as planning
from adaptstilts.plan.phases import Phase
from adaptstilts.run import Outcome, run_plans
from adaptstilts.study import parse
from adaptstilts.workspace import Workspace

SMALL = {
    "intermediates": ["none", "mnli"],
    "targets": ["xnli"],
    "methods": [{"kind": "bottleneck", "reduction": 4}],
    "languages": ["en", "de"],
    "swap": "off",
    "train": {"epochs": 1, "max_steps": 2, "batch_size": 8, "max_length": 48, "dev_examples": 6},
}


@pytest.fixture(scope="module")
def models(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    other = make_encoder(tmp_path_factory.mktemp("models") / "other", seed=2, hidden=16, layers=2)
    return [str(tiny), str(other)]


@pytest.fixture
def several(study_file: Callable[..., Path], models: list[str]) -> Path:
    path = study_file(**SMALL)
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["model"]
    path.write_text(json.dumps({**data, "models": models}, indent=1), encoding="utf-8")
    return path


def test_keys_are_those_of_single_models(several: Path, models: list[str], data_root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    plans = expand_each(load_study(several), workspace)
    alone = [expand(load_study(several, [f"model={json.dumps(model)}"]), workspace) for model in models]
    assert [list(plan.phases) for plan in plans] == [list(plan.phases) for plan in alone]
    assert [plan.study for plan in plans] == [plan.study for plan in alone]
    assert not set(plans[0].phases) & set(plans[1].phases)
    with pytest.raises(ConfigError, match=r"study0\.yaml:\d+: models: one plan has one model, not 2; use expand_each"):
        expand(load_study(several), workspace)


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["adaptstilts", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    done = capsys.readouterr()
    return int(stopped.value.code or 0), done.out, done.err


@pytest.mark.slow
def test_every_verb_takes_them(
    several: Path, models: list[str], data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--store", tmp_path / "s", "--data-root", data_root)
    code, out, _ = call(capsys, "plan", several, *where)
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("model ")] == [f"model {name}" for name in models]
    code, out, _ = call(capsys, "run", several, *where)
    assert code == 0
    assert "with 2 models" in out
    titles = [line for line in out.splitlines() if line.startswith("### xnli: accuracy")]
    assert titles == [f"### xnli: accuracy, {name}" for name in models]
    assert [f"{name}: What it shows" in out for name in models] == [True, True]
    code, out, _ = call(capsys, "status", several, *where)
    assert out.count("evaluate: 2 done") == 2
    code, out, _ = call(capsys, "results", several, *where, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["model"] for row in rows] == [name for name in models for _ in range(2)]
    code, out, _ = call(capsys, "results", several, *where, "--format", "json")
    assert [one["model"] for one in json.loads(out)["records"]] == [row["model"] for row in rows]
    code, out, _ = call(capsys, "swap", several, *where)
    assert code == 0
    assert "0 training phases, 4 evaluate phases done now" in out
    code, out, _ = call(capsys, "choose", several, *where, "--target", "xnli", "--rows", 16)
    assert code == 0
    titles = [line for line in out.splitlines() if line.startswith("### intermediates for xnli (bottleneck")]
    assert [title.endswith(f", {name})") for title, name in zip(titles, models, strict=True)] == [True, True]
    code, _, err = call(capsys, "export-predictions", several, *where, "--out", tmp_path / "p")
    assert code == 2
    assert "this command works on one model at a time; add model=..." in err
    code, out, _ = call(capsys, "run", several, f"model={json.dumps(models[1])}", *where)
    assert "0 phases done now" in out


@pytest.mark.slow
def test_differences_stay_within_a_model(several: Path, data_root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    plans = expand_each(load_study(several), workspace)
    run_plans(plans, workspace)
    every = [one for plan in plans for one in records(plan, workspace.store) if one.over == one.trained_on]
    for record, plan in zip(every, [plans[0], plans[0], plans[1], plans[1]], strict=True):
        mine = [one for one in records(plan, workspace.store) if one.over == one.trained_on]
        (alone,) = [one for one in mine if one.trained_on == record.trained_on]
        assert record == alone
    assert render(every, "md").count("vs none") == 2


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["model: builtin:nano", "models: [builtin:micro]"], "s:2: model: cannot be combined with models"),
        (["models: [builtin:micro]", "revision: abc"], "s:3: revision: cannot be combined with models; write NAME@"),
        (["models: []"], "s:2: models: expected one model or more"),
        (["models: builtin:nano"], "s:2: models: "),
        ([], "s: model: is required"),
    ],
)
def test_what_is_refused(lines: list[str], expected: str) -> None:
    text = "\n".join(["name: x", *lines, "targets: [sample_choice]", "methods: [full]"])
    with pytest.raises(ConfigError) as raised:
        parse(text, "s")
    assert expected in str(raised.value).splitlines()[0]
    assert len(str(raised.value).splitlines()) == 1


def plan(path: Path, overrides: list[str], folder: Path) -> None:
    workspace = Workspace(folder / "s")
    expand_each(planning.load_study(path, overrides, workspace), workspace)


def test_the_model_at_fault_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    start = "name: x\ntargets: [sample_choice]\nmethods: [full]\n"
    path.write_text(f"{start}models:\n- builtin:nano\n- builtin:maxi\n- builtin:nano\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        plan(path, [], tmp_path)
    one, two = str(raised.value).splitlines()
    assert one.startswith(f"{path}:6: model: no built-in encoder 'builtin:maxi'")
    assert two == f"{path}:7: models.2: builtin:nano is listed twice"
    with pytest.raises(ConfigError, match=r"^override 'models=\[builtin:maxi\]': model: no built-in encoder"):
        plan(path, ["models=[builtin:maxi]"], tmp_path)


def test_a_revision_is_part_of_the_name() -> None:
    study = parse("name: x\nmodels: [a/b@v1, 'builtin:nano', ./x@y]\ntargets: [sample_choice]\nmethods: [full]\n")
    found = [(one.model, one.revision) for one in study.each()]
    assert found == [("a/b", "v1"), ("builtin:nano", None), ("./x@y", None)]


def test_a_failure_does_not_stop_the_other_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[str] = []

    class Toy:
        model = None

        def __init__(self, name: str) -> None:
            self.name = name

        def order(self) -> list[Phase]:
            return []

    def run(plan: Toy, *rest: object) -> Outcome:
        if plan.name == "bad":
            raise DivergedError("too fast")
        done.append(plan.name)
        return Outcome()

    monkeypatch.setattr("adaptstilts.run.run_plan", run)
    with pytest.raises(DivergedError, match="too fast"):
        run_plans([Toy("a"), Toy("bad"), Toy("c")], Workspace(tmp_path / "s"))
    assert done == ["a", "c"]
