"""A plan without data and weights: the phases and their sharing are there before anything is fetched."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import study
from adaptstilts.errors import ConfigError
from adaptstilts.models import architectures
from adaptstilts.models.architectures import Architecture
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


WITH_POOLER = {  # parameters of the published encoders, of which the toolkit leaves out the pooler
    "google-bert/bert-base-multilingual-cased": 177_853_440,
    "google-bert/bert-base-multilingual-uncased": 167_356_416,
    "intfloat/multilingual-e5-small": 117_653_760,
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": 117_653_760,
    "sentence-transformers/LaBSE": 470_926_848,
    "FacebookAI/roberta-base": 124_645_632,
    "FacebookAI/roberta-large": 355_359_744,
    "FacebookAI/xlm-roberta-base": 278_043_648,
    "FacebookAI/xlm-roberta-large": 559_890_432,
    "intfloat/multilingual-e5-base": 278_043_648,
    "intfloat/multilingual-e5-large": 559_890_432,
}
WITHOUT_POOLER = {
    "distilbert/distilbert-base-multilingual-cased": 134_734_080,
    "microsoft/mdeberta-v3-base": 278_218_752,
    "google/electra-large-discriminator": 334_092_288,
    "answerdotai/ModernBERT-base": 149_014_272,
    "answerdotai/ModernBERT-large": 394_781_696,
    "jhu-clsp/mmBERT-small": 140_493_696,
    "jhu-clsp/mmBERT-base": 306_939_648,
}
ROUGHLY = {"facebook/xlm-roberta-xl": 3.5e9, "facebook/xlm-roberta-xxl": 10.7e9, "google/rembert": 575e6}


def test_published_numbers_of_parameters() -> None:
    counts, poolers = {}, {}
    for architecture in architectures.known().values():
        for name, shape in architecture.published.items():
            counts[name] = architecture.parameters(shape)
            poolers[name] = shape["hidden"] * (shape["hidden"] + 1)
            assert architecture.why_not(config_of(architecture, shape)) is None, name
    assert {name: counts[name] + poolers[name] for name in WITH_POOLER} == WITH_POOLER
    assert {name: counts[name] for name in WITHOUT_POOLER} == WITHOUT_POOLER
    assert {name: counts[name] for name in ROUGHLY} == pytest.approx(ROUGHLY, rel=0.01)


def config_of(architecture: Architecture, shape: Mapping[str, int]) -> dict[str, Any]:
    """The config of a published model, with usual settings."""
    sizes = {field: shape[size] for size, field in architecture.sizes.items()}
    return {**sizes, **{name: field.usual for name, field in architecture.settings.items()}}
