"""`adaptstilts export-predictions` and `adaptstilts score`: what is printed, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import call


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and labels of XNLI in two languages."""
    predicted, labels = tmp_path / "p", tmp_path / "l"
    for folder, lines in ((predicted, ["neutral", "neutral"]), (labels, ["neutral", "entailment"])):
        for code in ("de", "en"):
            path = folder / f"xnli/test-{code}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return predicted, labels


def test_a_table(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("score", sides[0], "--labels", sides[1]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "| **XTREME**   | 50.0 (2/15) |" in told.out
    assert "- XTREME: no total without pawsx, udpos, panx, xquad, mlqa, tydiqa, bucc2018, tatoeba\n" in told.out


def test_json(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("score", sides[0], "--labels", sides[1], "--format", "json") == 0
    held = json.loads(capsys.readouterr().out)
    assert held["tasks"]["xnli"] == {"metrics": {"accuracy": {"de": 50.0, "en": 50.0}}, "n": {"de": 2, "en": 2}}
    first = held["benchmarks"]["XTREME"]
    assert first["tasks"]["xnli"]["value"] == 50.0
    assert (first["tasks"]["xnli"]["have"], first["tasks"]["xnli"]["of"]) == (2, 15)
    assert (first["groups"]["sentence pair"]["value"], first["total"]["value"]) == (50.0, None)
    assert first["groups"]["sentence pair"]["missing"] == ["pawsx"]
    assert held["notes"] == []


def test_a_defect_is_one_line_and_exit_code_3(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    predicted, labels = sides
    (predicted / "xnli/test-en.tsv").write_text("neutral\nperhaps\n", encoding="utf-8")
    assert call("score", predicted, "--labels", labels, "--strict") == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"error: {predicted}/xnli/test-en.tsv:2: expected one of entailment, neutral, contradiction, found 'perhaps'\n"
    )
    assert call("score", predicted / "x", "--labels", labels) == 3
    expected = f"error: {predicted}/x: no such folder; expected <task>/test-<language>.<suffix> in it\n"
    assert capsys.readouterr().err == expected


def test_one_bad_task_leaves_the_others_their_scores(
    sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    predicted, labels = sides
    for folder, text in ((predicted, "0\n"), (labels, "0\n1\n")):
        (folder / "pawsx").mkdir()
        (folder / "pawsx/test-en.tsv").write_text(text, encoding="utf-8")
    reason = f"{predicted}/pawsx/test-en.tsv: expected 2 lines, as many as {labels}/pawsx/test-en.tsv, found 1"
    assert call("score", predicted, "--labels", labels) == 3
    printed = capsys.readouterr()
    assert printed.err == f"error: {reason}\n"
    assert "| **XTREME**   | 50.0 (2/15) |" in printed.out
    assert printed.out.endswith(f"Without a score:\n\n- pawsx: {reason}\n")
    assert call("score", predicted, "--labels", labels, "--format", "json") == 3
    assert json.loads(capsys.readouterr().out)["failed"] == {"pawsx": reason}
    assert call("score", predicted, "--labels", labels, "--strict") == 3
    assert capsys.readouterr() == ("", f"error: {reason}\n")


def test_missing_languages(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    predicted, labels = sides
    (predicted / "xnli/test-en.tsv").unlink()
    assert call("score", predicted, "--labels", labels) == 3
    told = f"{predicted}/xnli: no test-<language>.tsv for en"
    assert capsys.readouterr().err == (
        f"error: {told}; add these files, or use --missing skip to average over the other languages\n"
    )
    assert call("score", predicted, "--labels", labels, "--missing", "skip") == 0
    printed = capsys.readouterr().out
    assert "| **XTREME**   | 50.0 (1/15) |" in printed
    assert f"- {predicted}/xnli: no test-\\<language\\>.tsv for en, not in the mean\n" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("score", "x"), "Missing option '--labels'"),
        (("score", "x", "--labels", "y", "--missing", "ignore"), "Invalid value for '--missing'"),
        (("score", "x", "--labels", "y", "--format", "csv"), "Invalid value for '--format'"),
        (("export-predictions", "study.yaml"), "Missing option '--out'"),
        (("export-predictions", "study.yaml", "--out", "x", "--seed", "one"), "Invalid value for '--seed'"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments) == 2
    assert told in capsys.readouterr().err


def test_scoring_does_not_import_torch(sides: tuple[Path, Path]) -> None:
    code = "import sys; sys.argv = ['adaptstilts', *sys.argv[1:]]; from adaptstilts.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "score", str(sides[0]), "--labels", str(sides[1])],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "adaptstilts.interop.xtreme.scoring" in imported
    assert not {"torch", "transformers", "adapters", "peft", "datasets"} & imported


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path) -> tuple[Path, tuple[object, ...]]:
    """A small study that ran, and the options that name its store and data."""
    folder = tmp_path_factory.mktemp("exporting")
    config = folder / "study.yaml"
    held = {
        "name": "toy",
        "model": str(tiny),
        "missing": "skip",
        "retrieve": {"max_length": 48},
        "intermediates": ["none"],
        "targets": ["xcopa", "tatoeba", "sample_retrieval"],
        "methods": ["full", {"kind": "bottleneck", "reduction": 4}],
        "languages": ["zh", "de", "id"],
        "train": {"max_steps": 2, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
    }
    config.write_text(json.dumps(held), encoding="utf-8")
    options = ("--store", folder / "store", "--data-root", data_root, "--offline")
    assert call("run", config, *options) == 0
    return config, options


@pytest.mark.slow
def test_export_then_score(
    finished: tuple[Path, tuple[object, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    out, labels = tmp_path / "p", tmp_path / "l"
    capsys.readouterr()
    assert call("export-predictions", config, "--out", out, "--labels", labels, "--method", "full", *options) == 0
    assert capsys.readouterr().out == (
        f"{out}: 4 files of xcopa, tatoeba\n{labels}: 4 files of xcopa, tatoeba\n"
        "left out, not tasks of XTREME: sample_retrieval\n"
    )
    assert call("score", out, "--labels", labels, "--format", "json") == 0
    scored = json.loads(capsys.readouterr().out)["benchmarks"]["XTREME-R"]["tasks"]
    assert call("results", config, "--format", "json", *options) == 0
    records = json.loads(capsys.readouterr().out)["records"]
    for record in records:
        if record["method"] == "full" and record["task"] in scored:
            assert scored[record["task"]]["value"] == pytest.approx(record["mean"])
            assert scored[record["task"]]["have"] == 2
    assert (scored["xcopa"]["of"], scored["tatoeba"]["of"]) == (11, 41)


@pytest.mark.slow
def test_refusals_of_an_export(
    finished: tuple[Path, tuple[object, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    export = ("export-predictions", config, "--out", tmp_path / "p")
    assert call(*export, *options) == 2
    told = "trained_on none over none seed 1"
    assert capsys.readouterr().err.endswith(
        "error: xcopa: 2 results fit, expected one; choose by method, trained_on, over and seed among:"
        f" method 'full' {told}; method 'bottleneck reduction=4' {told}\n"
    )
    assert call(*export, "seeds=[5]", "--method", "full", *options) == 2
    assert capsys.readouterr().err.endswith("not computed yet; run the study first: adaptstilts run\n")
    assert call(*export, "--labels", tmp_path / "p", "--method", "full", *options) == 2
    assert capsys.readouterr().err.endswith(f"error: {tmp_path}/p: predictions and labels need different folders\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "p/x").mkdir(parents=True)
    assert call(*export, "--method", "full", *options) == 2
    assert capsys.readouterr().err.endswith(
        f"error: {tmp_path}/p: already exists; choose another folder or remove it\n"
    )
