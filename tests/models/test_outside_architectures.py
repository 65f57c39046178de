"""Architectures from outside the package: one description each, and encoders of them are used like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.inputs import STUDY, WORDS
from support.outside_architectures import BERT, REMBERT, make_outside_encoder
from torch import Tensor

from adaptstilts import kinds, study, tasks
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.full import Full
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models import architectures
from adaptstilts.models.architectures import Architecture
from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.plan import expand
from adaptstilts.reports.records import records
from adaptstilts.retrieval.encode import encode
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace

CPU = torch.device("cpu")
FIRST, SECOND = "the cat sees a red bird", "a dog runs"
METHODS: dict[str, AdapterMethod] = {
    "bottleneck": Bottleneck(reduction=4),
    "lora": Lora(rank=2, targets=("query", "value", "output")),
    "ia3": Ia3(),
    "bitfit": BitFit(leave_out=(0,)),
    "layernorm": LayerNorm(),
    "prefix": Prefix(length=3, inner=8),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures.REGISTRY, "_added", {})
    architectures.add(BERT)
    architectures.add(REMBERT)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outside")
    return {each.name: make_outside_encoder(root / each.name, each) for each in (BERT, REMBERT)}


def pair(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and types of a pair, and of a single text beside it."""
    tokenizer = Tokenizer(folder)
    a, b = tokenizer.ids([FIRST, SECOND])
    sequences = [tokenizer.pair(a, b, 64), tokenizer.single(a, 64)]
    batch = collate([Feature.of(i, [sequence], None) for i, sequence in enumerate(sequences)], tokenizer.pad, CPU)
    assert batch.types is not None
    return batch.ids, batch.mask, batch.types


def perturbed(folder: Path, method: AdapterMethod, *names: str) -> Encoder:
    encoder = Encoder(folder, method.backend)
    noise = torch.Generator().manual_seed(0)
    for name in names:
        encoder.add(name, method, name)
        with torch.no_grad():
            for value in encoder.delta(name).values():
                value.add_(0.1 * torch.randn(value.shape, generator=noise))
    encoder.compose(names)
    return encoder


@pytest.mark.parametrize("architecture", [BERT, REMBERT], ids=lambda each: each.name)
def test_an_encoder_gives_what_transformers_gives(folders: dict[str, Path], architecture: Architecture) -> None:
    import transformers

    folder = folders[architecture.name]
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    expected = theirs([FIRST, FIRST], [SECOND, ""], padding=True, return_tensors="pt")
    ids, mask, types = pair(folder)
    assert torch.equal(ids[0], expected["input_ids"][0])
    assert torch.equal(types[0], expected["token_type_ids"][0])
    model = getattr(transformers, architecture.model_class).from_pretrained(folder, add_pooling_layer=False).eval()
    encoder = Encoder(folder)
    with torch.no_grad():
        whole = model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        assert torch.equal(encoder.states(ids, mask, types=types)[mask.bool()], whole[mask.bool()])
        assert not torch.equal(encoder.states(ids, mask)[0], whole[0]), "types matter"
    assert (encoder.depth, encoder.hidden, encoder.dropout) == (4, 32, model.config.hidden_dropout_prob)
    located = locate(str(folder))
    assert located.shape["parameters"] == sum(value.numel() for value in model.parameters())
    assert located.max_tokens == 64
    if architecture is BERT:
        assert architecture.parameters(located.shape) == located.shape["parameters"]


@pytest.mark.parametrize("architecture", [BERT, REMBERT], ids=lambda each: each.name)
def test_parts_of_an_encoder(folders: dict[str, Path], architecture: Architecture) -> None:
    """Hidden states by layer, truncation, and going on from a block."""
    folder = folders[architecture.name]
    encoder = Encoder(folder)
    ids, mask, types = pair(folder)
    with torch.no_grad():
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        expected = encoder.trunk(**inputs, output_hidden_states=True).hidden_states
        for block in range(0, 9, 1 if architecture.names.attention else 2):
            below = encoder.below(ids, mask, block, types)
            assert torch.equal(encoder.states(ids, mask, (block, below)), expected[4])
            if block % 2 == 0:
                assert torch.equal(below, expected[block // 2])
    seen: list[Tensor] = []

    def keep(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        seen.append(states.clone())
        return states[:, 0]

    tokenizer = Tokenizer(folder)
    single = tokenizer.single(tokenizer.ids([FIRST])[0], 64)
    encode(encoder, [Feature.of(0, [single], None)], (0, 1, 4), keep, tokenizer.pad)
    alone = ids[1:, : len(single.ids)]
    with torch.no_grad():
        expected = encoder.trunk(alone, torch.ones_like(alone), output_hidden_states=True).hidden_states
    assert [torch.equal(states, expected[layer]) for states, layer in zip(seen, (0, 1, 4), strict=True)] == [True] * 3


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_methods_attach_save_and_load(folders: dict[str, Path], tmp_path: Path, method: AdapterMethod) -> None:
    for name in ("bert", "rembert"):
        if method.why_not_for(architectures.get(name).names):
            assert name == "rembert", "everything works on BERT"
            continue
        folder = folders[name]
        ids, mask, types = pair(folder)
        encoder = perturbed(folder, method, "a", "b")
        with torch.no_grad():
            stacked = encoder.states(ids, mask, types=types)[mask.bool()]
            encoder.compose(["b"])
            top = encoder.states(ids, mask, types=types)[mask.bool()]
            encoder.compose([])
            bare = encoder.states(ids, mask, types=types)[mask.bool()]
        assert torch.equal(bare, Encoder(folder).states(ids, mask, types=types)[mask.bool()])
        assert (stacked - top).abs().max() > 1e-4
        assert (top - bare).abs().max() > 1e-4
        encoder.save("b", tmp_path / name)
        other = Encoder(folder, method.backend)
        other.load("x", method, tmp_path / name)
        other.compose(["x"])
        with torch.no_grad():
            assert torch.equal(other.states(ids, mask, types=types)[mask.bool()], top)
        shape = locate(str(folder)).shape
        assert sum(value.numel() for value in encoder.delta("b").values()) == method.trainable(shape)


def test_freezing_embeddings_freezes_all_below_the_layers(folders: dict[str, Path]) -> None:
    method = Full(freeze_embeddings=True, freeze_layers=2)
    for folder in folders.values():
        encoder = Encoder(folder)
        encoder.train_all(method.frozen_modules(encoder.host))
        assert encoder.first_active_block() == 4
        assert all(key.startswith(("encoder.layer.2.", "encoder.layer.3.")) for key in encoder.parameters())


def test_the_language_model_head_is_the_base_models_own(folders: dict[str, Path]) -> None:
    from transformers import BertForMaskedLM

    encoder = Encoder(folders["bert"])
    task = study.masked_text.of(study.Masked(text=({"repo": "a/b", "config": "c", "split": "train"},), column="text"))
    head = heads.new(encoder, task, 1).eval()
    assert getattr(head, "pretrained", False)
    ids, mask, types = pair(folders["bert"])
    plain = BertForMaskedLM.from_pretrained(folders["bert"]).eval()
    with torch.no_grad():
        expected = plain(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
        logits = head(encoder.states(ids, mask, types=types))
    assert torch.equal(logits[mask.bool()], expected[mask.bool()])
    with pytest.raises(ConfigError, match="language-model heads of this architecture are not supported"):
        heads.new(Encoder(folders["rembert"]), task, 1)


def test_features_have_the_form_of_the_architecture(folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer(folders["bert"])
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
@pytest.mark.parametrize("name", ["bert", "rembert"])
def test_a_study_with_an_outside_architecture(
    folders: dict[str, Path], data_root: Path, tmp_path: Path, name: str
) -> None:
    methods: list[Any] = ["full", {"kind": "bottleneck", "reduction": 4}, {"kind": "lora", "rank": 2}]
    changed = {"model": str(folders[name]), "intermediates": ["none", "mnli"], "methods": methods}
    workspace = Workspace(tmp_path / "store", data_root)
    plan = expand.expand(study.parse(json.dumps({**STUDY, **changed})), workspace)
    run_plan(plan, workspace)
    found = records(plan, workspace.store)
    assert {record.task for record in found} == {"xnli", "udpos", "xcopa", "tatoeba"}
    assert all(record.complete for record in found)
    fingerprints = {phase.model.architecture for phase in plan.phases.values()}
    assert fingerprints == {name}
    again = expand.expand(study.parse(json.dumps({**STUDY, **changed})), workspace)
    assert again.missing(workspace.store) == []


def test_what_an_architecture_has_not_is_refused_when_a_study_is_planned(
    folders: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "store", data_root)

    def plan(**changed: Any) -> None:
        expand.expand(study.parse(json.dumps({**STUDY, "model": str(folders["rembert"]), **changed})), workspace)

    with pytest.raises(ConfigError, match="method prefix: the adapters library does not support this method"):
        plan(methods=["prefix"])
    with pytest.raises(ConfigError, match="no invertible part for encoders of this architecture"):
        plan(methods=[{"kind": "bottleneck", "reduction": 4, "invertible": True}])
    with pytest.raises(ConfigError, match="max_length 65 is more than the 64"):
        plan(train={"max_length": 65})


def test_an_unknown_architecture_is_refused(folders: dict[str, Path]) -> None:
    architectures.REGISTRY.remove("bert")
    with pytest.raises(ArtifactError, match=r"model type 'bert' is not supported; supported: .*xlm-roberta"):
        locate(str(folders["bert"]))
