"""Every architecture of the package: tiny encoders give what ``transformers`` gives, whole and in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.sampling import pairs
from support.tiny_encoders import NAMES, make_tiny_encoder
from torch import Tensor

from adaptstilts.kinds import heads
from adaptstilts.methods import AdapterMethod
from adaptstilts.methods.bitfit import BitFit
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.compacter import Compacter
from adaptstilts.methods.full import Full
from adaptstilts.methods.ia3 import Ia3
from adaptstilts.methods.layernorm import LayerNorm
from adaptstilts.methods.lora import Lora
from adaptstilts.methods.prefix import Prefix
from adaptstilts.models import architectures
from adaptstilts.models.batching import Feature, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.retrieval.encode import encode
from adaptstilts.study import Masked, masked_text

CPU = torch.device("cpu")
FIRST, SECOND = "the cat sees a red bird", "a dog runs"
METHODS: dict[str, AdapterMethod] = {
    "bottleneck": Bottleneck(reduction=4),
    "double": Bottleneck(reduction=4, placement="double", leave_out=(1,)),
    "invertible": Bottleneck(reduction=4, invertible=True),
    "parallel": Bottleneck(reduction=4, placement="parallel"),
    "lora": Lora(rank=2),
    "lora_output": Lora(rank=2, targets=("attention_output", "output"), leave_out=(0,)),
    "dora": Lora(rank=2, targets=("attention_output", "output"), dora=True),
    "ia3": Ia3(),
    "bitfit": BitFit(leave_out=(0,)),
    "layernorm": LayerNorm(),
    "prefix": Prefix(length=3, inner=8),
    "compacter": Compacter(reduction=4),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {name: make_tiny_encoder(root / name, name) for name in NAMES}


def pair(folder: Path) -> dict[str, Tensor | None]:
    """Ids, mask and types of a pair, and of a single text beside it."""
    tokenizer = Tokenizer(folder)
    a, b = tokenizer.ids([FIRST, SECOND])
    sequences = [tokenizer.pair(a, b, 64), tokenizer.single(a, 64)]
    batch = collate([Feature.of(i, [sequence], None) for i, sequence in enumerate(sequences)], tokenizer.pad, CPU)
    return {"ids": batch.ids, "mask": batch.mask, "types": batch.types}


def plain_inputs(folder: Path, inputs: dict[str, Any]) -> dict[str, Tensor]:
    """The same as ``transformers`` calls them."""
    plain = {"input_ids": inputs["ids"], "attention_mask": inputs["mask"]}
    if Encoder(folder).architecture.text_format.token_types:
        plain["token_type_ids"] = inputs["types"]
    return plain


def plain_model(folder: Path, kind: str = "model_class") -> Any:
    import transformers

    architecture = Encoder(folder).architecture
    attention = architecture.load_options["attn_implementation"]
    cls = getattr(transformers, str(getattr(architecture, kind)))
    return cls.from_pretrained(folder, attn_implementation=attention).eval()


def test_every_architecture_has_a_tiny_encoder() -> None:
    assert {*NAMES, "xlm-roberta"} == {*architectures.known()}


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_gives_what_transformers_gives(folders: dict[str, Path], name: str) -> None:
    folder = folders[name]
    model, encoder, inputs = plain_model(folder), Encoder(folder), pair(folder)
    mask = inputs["mask"].bool()
    with torch.no_grad():
        expected = model(**plain_inputs(folder, inputs)).last_hidden_state
        assert torch.equal(encoder.states(**inputs)[mask], expected[mask])
    located = locate(str(folder))
    count = sum(value.numel() for key, value in model.named_parameters() if not key.startswith("pooler."))
    assert located.shape["parameters"] == count
    assert located.architecture.parameters(located.shape) == count
    assert located.max_tokens == 64
    assert (encoder.depth, encoder.hidden) == (4, 32)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "deberta-v2"])
def test_a_prefix_does_the_same_with_padding(folders: dict[str, Path], name: str) -> None:
    folder = folders[name]
    encoder, inputs = Encoder(folder, METHODS["prefix"].backend), pair(folder)
    encoder.add("target", METHODS["prefix"], 1)
    encoder.compose(["target"])
    encoder.trunk.eval()
    with torch.no_grad():
        for value in encoder.delta("target").values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(2)))
        batch = encoder.states(**inputs)
        count = int(inputs["mask"][1].sum())
        types = None if inputs["types"] is None else inputs["types"][1:, :count]
        alone = encoder.states(inputs["ids"][1:, :count], inputs["mask"][1:, :count], types=types)
    assert torch.allclose(batch[1, :count], alone[0], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_an_encoder(folders: dict[str, Path], name: str) -> None:
    """Hidden states by layer, truncation, and going on from a block."""
    folder = folders[name]
    encoder, inputs = Encoder(folder), pair(folder)
    mask = inputs["mask"].bool()
    with torch.no_grad():
        output = encoder.trunk(**plain_inputs(folder, inputs), output_hidden_states=True)
        expected = [*output.hidden_states[:4], output.last_hidden_state]
        for block in range(0, 8, 1 if encoder.host.names.attention else 2):
            below = encoder.below(inputs["ids"], inputs["mask"], block, inputs["types"])
            above = encoder.states(inputs["ids"], inputs["mask"], (block, below), inputs["types"])
            assert torch.equal(above[mask], expected[4][mask])
            if block % 2 == 0:
                assert torch.equal(below[mask], expected[block // 2][mask])
    seen: list[Tensor] = []

    def keep(states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        seen.append(states.clone())
        return states[:, 0]

    tokenizer = Tokenizer(folder)
    single = tokenizer.single(tokenizer.ids([FIRST])[0], 64)
    for layers in ((0, 1, 4), (0, 2), (0,)):
        seen.clear()
        encode(encoder, [Feature.of(0, [single], None)], layers, keep, tokenizer.pad)
        alone = inputs["ids"][1:, : len(single.ids)]
        with torch.no_grad():
            output = encoder.trunk(alone, torch.ones_like(alone), output_hidden_states=True)
        states = [*output.hidden_states[:4], output.last_hidden_state]
        assert [torch.equal(found, states[layer]) for found, layer in zip(seen, layers, strict=True)] == [True] * len(
            layers
        )


@pytest.mark.parametrize("name", NAMES)
def test_freezing_embeddings_freezes_all_below_the_layers(folders: dict[str, Path], name: str) -> None:
    encoder = Encoder(folders[name])
    encoder.train_all(Full(freeze_embeddings=True, freeze_layers=2).frozen_modules(encoder.host))
    assert encoder.first_active_block() == 4
    layers = f"{encoder.host.names.layers}."
    trained = {key for key in encoder.parameters() if not key.startswith((f"{layers}2.", f"{layers}3."))}
    after = ("rel_embeddings", "encoder.LayerNorm", "final_norm")  # used in or after every layer
    assert all(any(part in key for part in after) for key in trained), trained


@pytest.mark.parametrize(("name", "kind"), pairs(NAMES, METHODS, ("bert",)))
def test_methods_attach_save_and_load(folders: dict[str, Path], tmp_path: Path, name: str, kind: str) -> None:
    folder, method = folders[name], METHODS[kind]
    if reason := method.why_not_for(architectures.get(name).names):
        pytest.skip(reason)
    inputs = pair(folder)
    mask = inputs["mask"].bool()
    encoder = Encoder(folder, method.backend)
    noise = torch.Generator().manual_seed(0)
    names = ["a", "b"] if method.why_not_stackable() is None and method.why_not_above() is None else ["b"]
    for each in names:
        encoder.add(each, method, each)
        with torch.no_grad():
            for value in encoder.delta(each).values():
                value.add_(0.1 * torch.randn(value.shape, generator=noise))

    def states(of: Encoder, *acting: str) -> Tensor:
        of.compose(acting)
        with torch.no_grad():
            return of.states(**inputs)[mask]

    top, bare = states(encoder, "b"), states(encoder)
    assert torch.equal(bare, states(Encoder(folder)))
    assert (top - bare).abs().max() > 1e-4
    if len(names) == 2:
        assert (states(encoder, "a", "b") - top).abs().max() > 1e-4
    encoder.save("b", tmp_path / name)
    other = Encoder(folder, method.backend)
    other.load("x", method, tmp_path / name)
    assert torch.equal(states(other, "x"), top)
    shape = locate(str(folder)).shape
    assert sum(value.numel() for value in encoder.delta("b").values()) == method.trainable(shape)


@pytest.mark.parametrize("name", NAMES)
def test_the_language_model_head_is_the_base_models_own(folders: dict[str, Path], name: str) -> None:
    architecture, folder = architectures.get(name), folders[name]
    if architecture.language_model is None:
        pytest.skip("no language-model head")
    encoder, inputs = Encoder(folder), pair(folder)
    task = masked_text.of(Masked(text=({"repo": "a/b", "config": "c", "split": "train"},), column="text"))
    head = heads.new(encoder, task, 1).eval()
    assert getattr(head, "pretrained", False)
    with torch.no_grad():
        expected = plain_model(folder, "masked_model_class")(**plain_inputs(folder, inputs)).logits
        logits = head(encoder.states(**inputs))
    mask = inputs["mask"].bool()
    assert torch.allclose(logits[mask], expected[mask], atol=1e-5)
