"""Architectures from outside the package: one description each, and encoders of them are used like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.inputs import STUDY, WORDS
from support.outside_architectures import ERNIE, make_outside_encoder
from torch import Tensor

from adaptstilts import kinds, study, tasks
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.lora import Lora
from adaptstilts.models import architectures
from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.plan import expand
from adaptstilts.reports.records import records
from adaptstilts.run import run_plan
from adaptstilts.study import masked_text
from adaptstilts.workspace import Workspace

CPU = torch.device("cpu")
FIRST, SECOND = "the cat sees a red bird", "a dog runs"
METHODS: dict[str, AdapterMethod] = {
    "bottleneck": Bottleneck(reduction=4),
    "lora": Lora(rank=2, targets=("query", "value", "output")),
    "ia3": Ia3(),
    "bitfit": BitFit(leave_out=(0,)),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures.REGISTRY, "_added", {})
    architectures.add(ERNIE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_outside_encoder(tmp_path_factory.mktemp("outside") / "ernie")


def pair(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and types of a pair, and of a single text beside it."""
    tokenizer = Tokenizer(folder)
    a, b = tokenizer.ids([FIRST, SECOND])
    sequences = [tokenizer.pair(a, b, 64), tokenizer.single(a, 64)]
    batch = collate([Feature.of(i, [sequence], None) for i, sequence in enumerate(sequences)], tokenizer.pad, CPU)
    assert batch.types is not None
    return batch.ids, batch.mask, batch.types


def test_an_encoder_gives_what_transformers_gives(folder: Path) -> None:
    import transformers

    ids, mask, types = pair(folder)
    plain = transformers.ErnieForMaskedLM.from_pretrained(folder).eval()
    encoder = Encoder(folder)
    task = masked_text.of(study.Masked(text=({"repo": "a/b", "config": "c", "split": "train"},), column="text"))
    head = heads.new(encoder, task, 1).eval()
    with torch.no_grad():
        states = encoder.states(ids, mask, types=types)
        expected = plain(input_ids=ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True)
        assert torch.equal(states[mask.bool()], expected.hidden_states[-1][mask.bool()])
        assert torch.equal(head(states)[mask.bool()], expected.logits[mask.bool()])
        assert not torch.equal(encoder.states(ids, mask)[0], states[0]), "types matter"
    located = locate(str(folder))
    assert ERNIE.parameters(located.shape) == located.shape["parameters"]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_methods_attach_save_and_load(folder: Path, tmp_path: Path, method: AdapterMethod) -> None:
    ids, mask, types = pair(folder)
    encoder = Encoder(folder, method.backend)
    encoder.add("a", method, "a")
    with torch.no_grad():
        for value in encoder.delta("a").values():
            value.add_(0.1)
    encoder.compose(["a"])
    encoder.save("a", tmp_path / "a")
    other = Encoder(folder, method.backend)
    other.load("x", method, tmp_path / "a")
    other.compose(["x"])
    with torch.no_grad():
        states = encoder.states(ids, mask, types=types)[mask.bool()]
        assert torch.equal(other.states(ids, mask, types=types)[mask.bool()], states)
        encoder.compose([])
        assert not torch.equal(encoder.states(ids, mask, types=types)[mask.bool()], states)


def test_features_have_the_form_of_the_architecture(folder: Path) -> None:
    tokenizer = Tokenizer(folder)
    begin, end = tokenizer.begin, tokenizer.end
    question, context = tokenizer.ids(["the cat", FIRST])
    answers = {"text": ["bird"], "answer_start": [FIRST.index("bird")]}
    row = {"id": "q", "question": "the cat", "context": FIRST, "answers": answers}
    (item,) = kinds.trainable("span").features([row], tokenizer, tasks.get("squad"), 64).items
    assert item.sequences == ([begin, *question, end, *context, end],)
    first = len(question) + 2
    assert item.second == (first,)
    assert item.target == (first + WORDS_OF_FIRST.index("bird"), first + WORDS_OF_FIRST.index("bird"))
    tags = {"tokens": FIRST.split(), "tags": [0] * 6}
    (item,) = kinds.trainable("tagging").features([tags], tokenizer, tasks.get("udpos"), 64).items
    assert item.sequences == ([begin, *context, end],)


WORDS_OF_FIRST = FIRST.split()
assert set(WORDS_OF_FIRST) <= set(WORDS)


@pytest.mark.slow
def test_a_study_with_an_outside_architecture(folder: Path, data_root: Path, tmp_path: Path) -> None:
    methods: list[Any] = ["full", {"kind": "bottleneck", "reduction": 4}, {"kind": "lora", "rank": 2}]
    changed: dict[str, Any] = {"model": str(folder), "intermediates": ["none", "mnli"], "methods": methods}
    changed |= {"swap": "off", "train": {**STUDY["train"], "max_steps": 2}}
    workspace = Workspace(tmp_path / "store", data_root)
    plan = expand.expand(study.parse(json.dumps({**STUDY, **changed})), workspace)
    run_plan(plan, workspace)
    found = records(plan, workspace.store)
    assert {record.task for record in found} == {"xnli", "udpos", "xcopa", "tatoeba"}
    assert all(record.complete for record in found)
    assert {phase.model.architecture for phase in plan.phases.values()} == {"ernie"}
    again = expand.expand(study.parse(json.dumps({**STUDY, **changed})), workspace)
    assert again.missing(workspace.store) == []


def test_what_an_architecture_has_not_is_refused_when_a_study_is_planned(
    folder: Path, data_root: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "store", data_root)

    def plan(**changed: Any) -> None:
        expand.expand(study.parse(json.dumps({**STUDY, "model": str(folder), **changed})), workspace)

    with pytest.raises(ConfigError, match="method prefix: the adapters library does not support this method"):
        plan(methods=["prefix"])
    with pytest.raises(ConfigError, match="no invertible part for encoders of this architecture"):
        plan(methods=[{"kind": "bottleneck", "reduction": 4, "invertible": True}])
    with pytest.raises(ConfigError, match="max_length 65 is more than the 64"):
        plan(train={"max_length": 65})


def test_an_unknown_architecture_is_refused(folder: Path) -> None:
    architectures.REGISTRY.remove("ernie")
    with pytest.raises(ArtifactError, match=r"model type 'ernie' is not supported; supported: .*xlm-roberta"):
        locate(str(folder))
