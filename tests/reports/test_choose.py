"""Ranking intermediates before training: the phases it adds, what it says, and how a finished study judges it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.inputs import STUDY

from adaptstilts import study as config
from adaptstilts.cli import main
from adaptstilts.errors import ConfigError
from adaptstilts.phases import predict_transfer
from adaptstilts.plan import expand
from adaptstilts.plan.phases import EvaluatePhase, PredictTransferPhase, TrainPhase
from adaptstilts.reports import choose
from adaptstilts.reports.formats.markdown import table_text
from adaptstilts.reports.tables import rankings
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
SOUP: dict[str, Any] = {"task": "soup", "merge": {"of": ["mnli", "social_i_qa"]}}


@pytest.fixture
def workspace(tmp_path: Path, data_root: Path) -> Workspace:
    return Workspace(tmp_path / "store", data_root)


@pytest.fixture
def make(tiny: Path) -> Callable[..., config.Study]:
    def study(**changed: Any) -> config.Study:
        small = {"model": str(tiny), "targets": ["xnli", "udpos", "xcopa"], "methods": [SEQ], "swap": "off"}
        small["train"] = {**STUDY["train"], "max_steps": 2, "warmup": 0}  # whose first step would change nothing
        return config.parse(json.dumps({**STUDY, **small, **changed}))

    return study


def test_a_choice_trains_heads_alone(make: Callable[..., config.Study], workspace: Workspace) -> None:
    study = make(intermediates=["none", "mnli", "social_i_qa", SOUP])
    found = choose.prepare(study, workspace, "xnli", rows=24)
    assert [candidate.name for candidate in found.candidates] == ["none", "mnli", "social_i_qa", "soup"]
    assert not any(isinstance(phase, EvaluatePhase) for phase in found.phases.values())
    own = expand.expand(study, workspace).phases
    new = [phase for key, phase in found.phases.items() if key not in own]
    heads = [phase for phase in new if isinstance(phase, TrainPhase)]
    assert {phase.method.kind for phase in heads} == {"head"}
    assert {phase.settings.examples for phase in heads} == {24}
    judges = {phase.title: phase for phase in new if isinstance(phase, PredictTransferPhase)}
    assert judges["foresee xnli over soup (bottleneck reduction=4)"].sources == ("mnli", "social_i_qa")
    assert judges["foresee xnli over none (bottleneck reduction=4)"].sources == ()
    assert len(new) == len(heads) + len(judges) == 8


@pytest.mark.slow
@pytest.mark.parametrize(("target", "method"), [("xnli", SEQ), ("udpos", SEQ), ("xcopa", SEQ), ("xnli", "full")])
def test_every_predictor_says_something_of_every_intermediate(
    make: Callable[..., config.Study], workspace: Workspace, target: str, method: Any
) -> None:
    study = make(intermediates=["none", "mnli", "social_i_qa"], methods=[method], targets=[target])
    found = choose.prepare(study, workspace, target, rows=24)
    run_plan(found, workspace, device="cpu")
    ranked = {ranking.predictor: ranking for ranking in choose.rankings(found, workspace.store)}
    assert set(ranked) == set(choose.PREDICTORS)
    assert set(ranked["probe"].values) == set(ranked["logme"].values) == {"none", "mnli", "social_i_qa"}
    assert set(ranked["embedding"].values) == {"mnli", "social_i_qa"}
    assert all(abs(value) <= 1 for value in ranked["embedding"].values.values())
    assert ranked["size"].values == {"mnli": 60.0, "social_i_qa": 24.0}
    assert len(set(ranked["logme"].values.values())) == 3, "the intermediate adapter does not change the features"
    for ranking in ranked.values():
        assert list(ranking.values.values()) == sorted(ranking.values.values(), reverse=True)
        assert ranking.truth == {}
        assert ranking.correlation is None


def test_a_cosine_is_at_most_one() -> None:
    source = np.random.default_rng(0)
    for vector in source.standard_normal((300, 32)):
        assert 1 - 1e-12 < predict_transfer.cosine(vector, vector) <= 1
        assert -1 <= predict_transfer.cosine(vector, -3 * vector) < -1 + 1e-12
    assert predict_transfer.cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0])) == 0
    assert predict_transfer.cosine(np.array([1.0, 1.0]), np.array([0.0, 2.0])) == pytest.approx(2**-0.5)


@pytest.mark.slow
def test_a_task_is_most_like_itself(make: Callable[..., config.Study], workspace: Workspace) -> None:
    study = make(intermediates=["mnli", "social_i_qa"], targets=["xnli"])
    found = choose.prepare(study, workspace, "xnli", rows=60)
    run_plan(found, workspace, device="cpu")
    (likeness,) = [r for r in choose.rankings(found, workspace.store) if r.predictor == "embedding"]
    assert likeness.values["mnli"] == pytest.approx(1.0)
    assert likeness.values["social_i_qa"] < 0.9999


@pytest.mark.slow
def test_a_finished_study_judges_the_ranking(make: Callable[..., config.Study], workspace: Workspace) -> None:
    study = make(targets=["udpos"])
    run_plan(expand.expand(study, workspace), workspace, device="cpu")
    found = choose.prepare(study, workspace, "udpos", rows=24)
    run_plan(found, workspace, device="cpu")
    for ranking in choose.rankings(found, workspace.store):
        assert set(ranking.truth) == set(ranking.values)
        order, best = list(ranking.values), max(ranking.truth.values())
        lost = 100 * (best - ranking.truth[order[0]]) / best
        assert ranking.regret[1] == pytest.approx(lost)
        assert max(ranking.regret) == len(order) - 1
    (table,) = rankings.tables(choose.rankings(found, workspace.store), "udpos")
    assert table.header == ("predictor", "most promising first", "regret@1", "regret@2", "correlation")
    assert "the study's scores" in table_text(table)


def test_vectors_of_tags_are_those_of_first_pieces(make: Callable[..., config.Study], workspace: Workspace) -> None:
    from adaptstilts.models.batching import Feature, Features
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.phases.predict_transfer import labelled_vectors, mean_vector
    from adaptstilts.tasks import get

    encoder = Encoder(Path(make().model))
    items = [Feature(0, ([0, 10, 11, 2],), [-100, 3, 5, -100]), Feature(1, ([0, 12, 2],), [-100, 3, -100])]
    vectors, targets = labelled_vectors(encoder, Features(items), get("udpos"), 1)
    assert targets.tolist().count([1.0, 0.0]) == 2
    assert targets.tolist().count([0.0, 1.0]) == 1
    alone = encoder.states(torch.tensor([[0, 12, 2]]), torch.ones(1, 3).long()).detach()[0]
    assert np.abs(vectors - alone[1].double().numpy()).max(axis=1).min() < 1e-5
    assert len(vectors) == 3
    mean = mean_vector(encoder, Features(items[1:]), 1)
    assert np.allclose(mean, alone.double().mean(0).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "arguments", "message"),
    [
        ({}, {"target": "tatoeba"}, "--target 'tatoeba': no trained target of this study (xnli, udpos, xcopa)"),
        ({}, {"target": "nothing"}, "--target 'nothing': no trained target"),
        ({}, {"target": "xnli", "method": "lora"}, "no method of this study fits"),
        ({"intermediates": ["mnli"]}, {"target": "xnli"}, "there is nothing to choose from"),
    ],
)
def test_what_cannot_be_chosen(
    make: Callable[..., config.Study], workspace: Workspace, changed: Any, arguments: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        choose.prepare(make(**changed), workspace, **arguments)


@pytest.mark.slow
def test_the_verb(
    study_file: Callable[..., Path],
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = study_file(targets=["udpos"], methods=[SEQ], swap="off", train={**STUDY["train"], "max_steps": 1})
    places = ["--data-root", str(data_root), "--store", str(tmp_path / "s")]
    for form, seen in (
        ("md", "### intermediates for udpos (bottleneck reduction=4)"),
        ("json", '"predictor": "logme"'),
    ):
        command = ["adaptstilts", "choose", str(path), "--target", "udpos", "--rows", "20", "--format", form, *places]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        assert seen in capsys.readouterr().out
