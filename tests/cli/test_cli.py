"""The command line on a toy study: what it prints, what it returns, and that it computes only what is missing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import toy_format
from support.command_line import call

from adaptstilts import Workspace, expand, load_study
from adaptstilts.cli import study as study_verbs
from adaptstilts.reports import formats
from adaptstilts.store.store import Store

SMALL = {
    "intermediates": ["none", "mnli"],
    "targets": ["xnli", "tatoeba"],
    "methods": [{"kind": "bottleneck", "reduction": 4}],
    "train": {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path) -> tuple[Path, tuple[object, ...]]:
    """A small study that ran, and the options that name its store and data."""
    folder = tmp_path_factory.mktemp("cli")
    config = folder / "study.yaml"
    base = {"name": "toy", "model": str(tiny), "missing": "skip", "swap": "all", "retrieve": {"max_length": 48}}
    config.write_text(json.dumps({**base, **SMALL}), encoding="utf-8")
    options = ("--store", folder / "store", "--data-root", data_root, "--offline")
    assert call("run", config, *options) == 0
    return config, options


@pytest.mark.slow
def test_second_run_does_nothing(finished: tuple[Path, tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    config, options = finished
    assert call("run", config, *options) == 0
    assert "0 phases done now" in capsys.readouterr().out


def test_plan_and_status(finished: tuple[Path, tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    config, options = finished
    assert call("plan", config, *options) == 0
    told = capsys.readouterr().out
    assert "train xnli (bottleneck reduction=4) over mnli" in told
    assert "3 train (3 done)" in told
    assert call("plan", config, "train.lr=0.5", *options) == 0
    assert "3 train (0 done)" in capsys.readouterr().out
    assert call("status", config, *options) == 0
    assert "train: 3 done" in capsys.readouterr().out


def test_results_in_every_format(
    finished: tuple[Path, tuple[object, ...]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config, options = finished
    assert call("results", config, *options) == 0
    markdown = capsys.readouterr().out
    assert "swap of intermediate adapters under xnli" in markdown
    assert "not in the data, not in the mean: ar, bg" in markdown
    assert call("results", config, "--format", "json", *options) == 0
    results = json.loads(capsys.readouterr().out)
    trained = [row for row in results["rows"] if row["split"] == "train"]
    assert [(row["task"], row["language"], row["left_out"]) for row in trained] == [("mnli", "", 0)]
    assert trained[0]["published"] == 392_702
    held = results["records"]
    assert {(r["trained_on"], r["over"]) for r in held if r["task"] == "xnli"} == {
        ("none", "none"), ("mnli", "mnli"), ("none", "mnli"), ("mnli", "none"),
    }  # fmt: skip
    assert call("results", config, "--format", "csv", "--out", tmp_path / "r.csv", *options) == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text(encoding="utf-8"))))
    assert [float(row["mean"]) for row in rows] == pytest.approx([r["mean"] for r in held])
    assert call("results", config, "--format", "latex", *options) == 0
    assert r"\begin{tabular}" in capsys.readouterr().out


def test_the_command_that_adds_seeds_has_overrides_and_folders(
    finished: tuple[Path, tuple[object, ...]], data_root: Path, tmp_path: Path
) -> None:
    config, _ = finished
    workspace = Workspace(tmp_path, data_root=data_root, offline=True)
    plan = expand(load_study(config, ["seeds=[3]", "train.epochs=2"]), workspace)
    folders = ("--store", tmp_path, "--data-root", data_root, "--offline")
    assert study_verbs.invocation(plan, workspace) == " ".join(map(str, (config, "train.epochs=2", *folders)))


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        (("--out", "r.csv"), "task,method,"),
        (("--out", "r.tex"), r"\begin{table}"),
        (("--out", "r.json"), '{\n "study": "toy"'),
        (("--out", "r.md"), "### xnli: accuracy"),
        (("--out", "results"), "### xnli: accuracy"),
        (("--out", "r.csv", "--format", "md"), "### xnli: accuracy"),
        (("--out", "r.html"), "<h3>xnli: accuracy</h3>"),
        (("--out", "r.txt", "--format", "html"), "<h3>xnli: accuracy</h3>"),
    ],
)
def test_the_ending_of_the_file_chooses_the_format(
    finished: tuple[Path, tuple[object, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    begins: str,
) -> None:
    config, places = finished
    monkeypatch.chdir(tmp_path)
    formats.add(toy_format.HTML)
    try:
        assert call("results", config, *options, *places) == 0
    finally:
        formats.REGISTRY.remove("html")
    assert Path(options[1]).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "r.xls"), "r.xls: no format has the ending .xls; use one of .csv, .json, .markdown, .md, .tex,"),
        (("--format", "latx"), "unknown format 'latx'; did you mean latex?"),
    ],
)
def test_an_unknown_format_is_refused(
    finished: tuple[Path, tuple[object, ...]],
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, places = finished
    assert call("results", config, *options, *places) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("methods=[head, full]",)])
def test_a_study_of_a_head_alone(
    options: tuple[str, ...],
    study_file: Callable[..., Path],
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing of the encoder is trained, and nothing is compared: no count that results divide by may be zero."""
    train = {"max_steps": 2, "batch_size": 8, "max_length": 48}
    path = study_file(methods=["head"], targets=["xnli"], intermediates=["none"], swap="off", train=train)
    places = ("--store", tmp_path / "s", "--data-root", data_root)
    for verb in ("plan", "run", "plan", "status", "results"):
        assert call(verb, path, *options, *places) == 0
    printed = capsys.readouterr().out
    assert "What it shows: without an intermediate task, " in printed
    assert "head scores" in printed


def test_swap_trains_nothing(finished: tuple[Path, tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    config, options = finished
    assert call("swap", config, "--target", "xnli", "--over", "mnli", *options) == 0
    assert "0 training phases, 0 evaluate phases done now" in capsys.readouterr().out
    assert call("swap", config, "train.lr=0.5", "--target", "xnli", *options) == 2
    assert "swapping trains nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_swap_over_an_entry_of_another_store(
    finished: tuple[Path, tuple[object, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    other = ("--store", tmp_path / "other", *options[2:])
    assert call("run", config, "seeds=[2]", "targets=[xnli]", "swap=off", *other) == 0
    store = Store(tmp_path / "other")
    entries = [store.entry(key) for key in store.keys()]  # noqa: SIM118
    mnli = next(e for e in entries if e.spec["kind"] == "train" and e.spec["task"] == "mnli")
    capsys.readouterr()
    assert call("swap", config, "--trained-on", "none", "--over", mnli.folder, *options) == 0
    told = capsys.readouterr().out
    assert f"mnli@{mnli.key[:8]}" in told
    assert "0 training phases, 1 evaluate phase done now" in told


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tasks") == 0
    assert "xcopa" in capsys.readouterr().out
    assert call("methods") == 0
    assert "reduction = 16" in capsys.readouterr().out
    assert call("doctor") == 0
    assert "torch" in capsys.readouterr().out


def test_gc_lists_then_removes(finished: tuple[Path, tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    _, options = finished
    store = Store(str(options[1]))
    done = store.keys()[0]
    left = store.work(done) / "step-00000001"
    left.mkdir(parents=True)
    assert call("gc", *options[:2]) == 0
    assert "would remove" in capsys.readouterr().out
    assert left.is_dir()
    assert call("gc", "--yes", *options[:2]) == 0
    assert not left.exists()
    assert store.has(done)


@pytest.mark.parametrize(
    "verb", ["--help", "plan", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("status", "results"))]
)
def test_light_verbs_do_not_import_torch(verb: str, finished: tuple[Path, tuple[object, ...]]) -> None:
    config, options = finished
    arguments = [verb] if verb == "--help" else [verb, str(config), *map(str, options)]
    code = "import sys; sys.argv = ['adaptstilts', *sys.argv[1:]]; from adaptstilts.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert not {"torch", "transformers", "adapters", "peft"} & imported


def test_python_gives_the_same(finished: tuple[Path, tuple[object, ...]], data_root: Path) -> None:
    from adaptstilts import Workspace, execute, expand, load, records

    config, options = finished
    workspace = Workspace(str(options[1]), data_root=data_root, offline=True)
    plan = expand(load(config), workspace)
    outcome = execute(plan, workspace)
    assert outcome.done == []
    assert all(record.complete for record in records(plan, workspace.store))


def test_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--nonsense") == 2
    assert capsys.readouterr().err.startswith("error: No such option")


def test_debug_shows_the_traceback(study_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", study_file(targets=["xnlli"]), "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_pretraining_and_the_list_of_encoders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from support.aligned_text import make_text, write_recipe

    recipe, out = write_recipe(tmp_path), tmp_path / "out"
    options = ("--data-root", make_text(tmp_path / "hub"), "--store", tmp_path / "store", "--export", out)
    assert call("pretrain", recipe, "encoders.wee.steps=4", *options) == 0
    told = capsys.readouterr().out
    assert "removed because an evaluation set has them; 0 evaluation sets not in the data" in told
    assert "wee: " in told
    assert (out / "wee" / "model.safetensors").is_file()
    assert call("pretrain", recipe, "encoders.wee.steps=4", "--only", "we", *options) == 2
    assert "did you mean wee?" in capsys.readouterr().err
    assert call("models") == 0
    assert "builtin:nano" in capsys.readouterr().out
