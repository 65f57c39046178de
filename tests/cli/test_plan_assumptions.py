"""What ``adaptstilts plan`` prints: nothing that was assumed goes unsaid."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from adaptstilts import cli
from adaptstilts.cli import plan_text
from adaptstilts.plan.cost import cpu_speed

ROOT = Path(__file__).resolve().parents[2]
EARLIER = ROOT / "tests" / "store" / "earlier"
STUDY = str(ROOT / "configs" / "quickstart.yaml")
LARGE = str(ROOT / "configs" / "xstilts" / "xlmr-large.yaml")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of a machine with two cores and without a GPU."""
    monkeypatch.setattr(plan_text, "assumed_speed", cpu_speed)
    monkeypatch.setattr("adaptstilts.plan.cost.usable_threads", lambda: 2)


def lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str
) -> list[str]:
    """Return what the verb prints."""
    command = ["adaptstilts", "plan", *arguments, "--store", str(tmp_path / "store"), "--offline"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code in (0, None)
    return capsys.readouterr().out.splitlines()


def test_assumptions_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = lines(capsys, monkeypatch, tmp_path, LARGE, "--outline", "seeds=[1]")
    todo = [line for line in printed if line.startswith("to do: ")]
    assert [line.partition(" at ")[2] for line in todo] == [
        "160 GFLOP/s (assumed for 2 CPU cores)",
        "100 TFLOP/s (assumed for one A100 GPU)",
    ]
    assert all("days of training and " in line or "hours of training and " in line for line in todo)
    assert all("of evaluation and retrieval at " in line for line in todo)
    honest = "nothing was measured yet, so these times can be wrong by a factor of 3; --gflops sets another speed"
    assert honest in printed
    assert "rows that cannot be counted here are taken as published, or else as 2,000 per language" in printed


def test_a_short_study_is_estimated_for_this_machine_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = lines(capsys, monkeypatch, tmp_path, STUDY, "--outline")
    (todo,) = [line for line in printed if line.startswith("to do: ")]
    assert "A100" not in todo
    assert "minutes of training and about" in todo


def test_a_speed_that_is_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = lines(capsys, monkeypatch, tmp_path, STUDY, "--outline", "--gflops", "0.001")
    (todo,) = [line for line in printed if line.startswith("to do: ")]
    assert todo.endswith(" at 0.001 GFLOP/s (as given)")
    assert "days of training" in todo
    assert not [line for line in printed if "assumed" in line or "published" in line]
    trained = [line.split() for line in printed if " train sample_" in line]
    assert len(trained) == 18
    assert all(float(words[5].replace(",", "")) > 0 for words in trained), "minutes of phases on sample tasks"


def test_a_speed_that_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(EARLIER / "store", tmp_path / "store")
    printed = lines(capsys, monkeypatch, tmp_path, str(EARLIER / "study.yaml"), "seeds=[1, 2]", "--all")
    (todo,) = [line for line in printed if line.startswith("to do: ")]
    assert todo.endswith("(measured in this store)")
    assert printed[-1].startswith("to store: ")
    evaluated = [line for line in printed if " evaluate " in line and line.startswith("done")]
    assert evaluated
    assert all(len(line.split()) > 6 for line in evaluated), "tokens and minutes of evaluation"
