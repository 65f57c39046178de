"""A plan without data and weights: the phases and their sharing are there before anything is fetched."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import study
from adaptstilts.errors import ConfigError
from adaptstilts.plan.cost import estimate
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.outline import Outline
from adaptstilts.plan.phases import TrainPhase

STUDIES = Path(__file__).resolve().parents[2] / "configs" / "xstilts"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def outlined(path: Path, tmp_path: Path, *overrides: str) -> Plan:
    return expand(study.load(path, overrides), Outline(tmp_path))


@pytest.mark.usefixtures("no_network")
def test_the_study_of_the_paper(tmp_path: Path) -> None:
    """Nine single intermediates, their mixture and none; nine targets; twice, three seeds."""
    plan = outlined(STUDIES / "xlmr-large.yaml", tmp_path, "swap=off")
    assert len({cell.trained_on for cell in plan.cells}) == 11
    assert len({cell.task for cell in plan.cells}) == 9
    assert len(plan.cells) == 11 * 9 * 2 * 3
    mixed = next(p for p in plan.phases.values() if isinstance(p, TrainPhase) and p.mixture)
    assert len(mixed.streams) == 9
    assert mixed.mixture is not None
    assert mixed.mixture.cap == 2**17
    uses = plan.uses()
    squad = [p for p in plan.phases.values() if isinstance(p, TrainPhase) and p.task == "squad" and p.stack]
    assert squad
    assert all(uses[p.key] == 2 for p in squad), "XQuAD and MLQA share their training"
    costs = estimate(plan, Outline(tmp_path))
    anli = next(p for p in plan.phases.values() if isinstance(p, TrainPhase) and p.task == "anli_plus")
    assert costs[anli.key].examples == 3 * 1_104_934
    assert costs[anli.key].trainable == pytest.approx(558.8e6, rel=0.01)


@pytest.mark.usefixtures("no_network")
def test_xtreme_r(tmp_path: Path) -> None:
    plan = outlined(STUDIES / "xtreme-r.yaml", tmp_path, "seeds=[1]")
    assert len({cell.task for cell in plan.cells}) == 10
    languages = {cell.task: plan.phases[cell.phase].languages for cell in plan.cells}
    sizes = {task: len(codes) for task, codes in languages.items()}
    expected = {"xnli": 15, "xcopa": 11, "udpos": 38, "panx": 48, "xquad": 12, "mlqa": 7, "tydiqa": 9}
    assert sizes == {**expected, "tatoeba_r": 41, "lareqa": 11, "mewsli_x": 11}
    assert len({code for codes in languages.values() for code in codes}) == 50
    retrieved = [plan.phases[cell.phase] for cell in plan.cells if cell.task == "tatoeba_r"]
    assert all(phase.parents for phase in retrieved), "sentences are encoded after SQuAD"


def test_a_model_of_unknown_shape(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder, and an outline fetches nothing"):
        outlined(STUDIES / "xtreme-r.yaml", tmp_path, "model=some/model")


def test_a_model_that_is_there(tmp_path: Path) -> None:
    changes = ["model=builtin:nano", "targets=[xnli]", "intermediates=[none]"]
    changes += ["retrieve.layer=1", "retrieve.max_length=128"]
    plan = outlined(STUDIES / "xtreme-r.yaml", tmp_path, *changes)
    assert plan.model.shape["layers"] == 2
