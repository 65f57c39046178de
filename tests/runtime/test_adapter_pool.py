"""Adapters kept in memory: swapping loads nothing, and nothing wrong is ever stacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.inputs import make_encoder
from torch import Tensor

from adaptstilts import tasks
from adaptstilts.errors import ArtifactError
from adaptstilts.kinds import heads
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.full import Full
from adaptstilts.methods.head import Head
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import Model, locate
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.runtime import adapter_pool
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.store.store import Store
from adaptstilts.study import Train

IDS = torch.tensor([[0, 10, 11, 12, 13, 2]])
SEQ, LORA = Bottleneck(reduction=4), Lora(rank=2)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return locate(str(tiny))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def put(store: Store, model: Model) -> Callable[..., str]:
    """Commits an adapter (or, without a method, a trunk) as a training phase would; returns its key."""

    def write(name: str, method: Method | None = SEQ, **changed: Any) -> str:
        fields = {"task": "mnli", "rows": "mnli", "data": {"train": name}, "model": model.fingerprint, **changed}
        phase = TrainPhase(method=method or Full(), settings=Train(), seed=1, **fields)
        key = phase.key
        with store.stage(key) as staging:
            encoder = Encoder(model.folder, method.backend if method else "plain")
            noise = torch.Generator().manual_seed(sum(map(ord, name)))
            if method:
                encoder.add("a", method, name)
            values = encoder.delta("a") if method else dict(encoder.trunk.named_parameters())
            with torch.no_grad():
                for value in values.values():
                    value.add_(0.1 * torch.randn(value.shape, generator=noise))
            if method:
                encoder.save("a", staging / "adapter")
            else:
                encoder.save_trunk(staging / "encoder")
            task = tasks.get("mnli")
            heads.save(heads.new(encoder, task, name), encoder, task, staging / "head")
            store.commit(key, phase.spec, staging)
        return key

    return write


@pytest.fixture
def held(store: Store, model: Model) -> AdapterPool:
    return AdapterPool(store, model, torch.device("cpu"))


def states(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return encoder.states(IDS, torch.ones_like(IDS))


@pytest.mark.parametrize("method", [SEQ, LORA], ids=["bottleneck", "lora"])
def test_swapping_loads_every_adapter_once(held: AdapterPool, put: Callable[..., str], method: Method) -> None:
    a, b, target = put("a", method), put("b", method), put("target", method)
    first = held.encoder(None, (a, target))
    one = states(first)
    assert held.loads == 2
    other = held.encoder(None, (b, target))
    assert other is first
    two = states(other)
    assert held.loads == 3
    assert not torch.equal(one, two)
    assert torch.equal(states(held.encoder(None, (a, target))), one)
    assert torch.equal(states(held.encoder(None, (b, target))), two)
    assert held.loads == 3


@pytest.mark.parametrize("method", [SEQ, LORA], ids=["bottleneck", "lora"])
def test_equals_composing_by_hand(
    held: AdapterPool, store: Store, put: Callable[..., str], model: Model, method: Method
) -> None:
    keys = put("a", method), put("b", method)
    encoder = Encoder(model.folder, method.backend)
    for key, name in zip(keys, "xy", strict=True):
        encoder.load(name, method, store.entry(key).folder / "adapter")
    encoder.compose(["x", "y"])
    assert torch.equal(states(held.encoder(None, keys)), states(encoder))
    assert torch.equal(states(held.encoder(None, ())), states(Encoder(model.folder)))


def test_more_adapters_than_are_kept(
    held: AdapterPool, put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_pool, "MOST_ADAPTERS", 3)
    under, targets = put("under"), [put(f"t{i}") for i in range(5)]
    seen = [states(held.encoder(None, (under, target))) for target in targets]
    assert all(not torch.equal(x, y) for i, x in enumerate(seen) for y in seen[:i])
    encoder = held.encoder(None, (under, targets[0]))
    assert len(encoder.methods) == 3
    assert torch.equal(states(encoder), seen[0])
    wide = held.encoder(None, (under, *targets[:3]))
    assert len(wide.methods) == 4


def test_two_backends_are_not_stacked(held: AdapterPool, put: Callable[..., str]) -> None:
    with pytest.raises(ArtifactError, match="different libraries"):
        held.encoder(None, (put("a", SEQ), put("b", LORA)))


def test_changing_the_backend_drops_the_trunk(held: AdapterPool, put: Callable[..., str]) -> None:
    seq, lora = put("a", SEQ), put("b", LORA)
    first = held.encoder(None, (seq,))
    one = states(first)
    second = held.encoder(None, (lora,))
    assert second is not first
    assert second.backend == "peft"
    assert torch.equal(states(held.encoder(None, (seq,))), one)


def test_a_head_changes_nothing_of_what_it_stands_on(
    held: AdapterPool, put: Callable[..., str], store: Store, model: Model
) -> None:
    def probe(**changed: Any) -> str:
        fields = {"task": "mnli", "rows": "mnli", "data": {}, "model": model.fingerprint, **changed}
        phase = TrainPhase(method=Head(), settings=Train(), seed=1, **fields)
        with store.stage(phase.key) as staging:
            store.commit(phase.key, phase.spec, staging)
        return phase.key

    under, bare = put("a"), states(held.encoder(None, ()))
    expected = states(held.encoder(None, (under,)))
    assert torch.equal(states(held.encoder(None, (under, probe()))), expected)
    assert torch.equal(states(held.encoder(None, (probe(),))), bare)
    assert not torch.equal(expected, bare)
    assert held.loads == 1
    with pytest.raises(ArtifactError, match="another encoder"):
        held.encoder(None, (probe(base="0" * 64),))


def test_an_encoder_is_no_adapter(held: AdapterPool, put: Callable[..., str]) -> None:
    with pytest.raises(ArtifactError, match="is a whole encoder, not an adapter"):
        held.encoder(None, (put("full", None),))


def test_full_encoder_is_the_trunk(held: AdapterPool, put: Callable[..., str], model: Model, store: Store) -> None:
    base = put("full", None)
    encoder = held.encoder(base, ())
    assert torch.equal(states(encoder), states(Encoder(store.entry(base).folder / "encoder")))
    assert not torch.equal(states(encoder), states(Encoder(model.folder)))
    above = put("above", SEQ, base=base)
    held.encoder(base, (above,))
    with pytest.raises(ArtifactError, match="another encoder"):
        held.encoder(None, (above,))
    with pytest.raises(ArtifactError, match="another encoder"):
        held.encoder(base, (put("on the base model", SEQ),))


def test_adapter_of_another_model_is_refused(
    held: AdapterPool, put: Callable[..., str], tmp_path: Path, store: Store
) -> None:
    other = locate(str(make_encoder(tmp_path / "other", seed=9)))
    key = put("a", SEQ, model=other.fingerprint)
    with pytest.raises(ArtifactError, match=r"another base model.*weights"):
        held.encoder(None, (key,))
    full = put("b", None, model=other.fingerprint)
    with pytest.raises(ArtifactError, match="another base model"):
        held.encoder(full, ())


def test_damaged_adapter_is_refused_and_moved_away(held: AdapterPool, put: Callable[..., str], store: Store) -> None:
    key = put("a")
    path = store.entry_folder(key) / "adapter" / "adapter.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    fresh = AdapterPool(Store(store.folder), held.model, held.device)
    with pytest.raises(ArtifactError, match="quarantine"):
        fresh.encoder(None, (key,))
    assert not store.has(key)


def test_heads_are_kept_with_the_trunk(held: AdapterPool, put: Callable[..., str]) -> None:
    key = put("a")
    encoder = held.encoder(None, (key,))
    head = held.head(encoder, key, tasks.get("mnli"))
    assert held.head(encoder, key, tasks.get("mnli")) is head
    held.drop()
    encoder = held.encoder(None, (key,))
    again = held.head(encoder, key, tasks.get("mnli"))
    assert again is not head
    assert torch.equal(again.state_dict()["out.weight"], head.state_dict()["out.weight"])
