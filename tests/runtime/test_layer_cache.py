"""Kept hidden states: the same results as without them, computed once, and no harm when they cannot be kept."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.layer_caching import METHODS, PLAIN, SEQ, Bench
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaSelfAttention

from adaptstilts.data.batches import sorted_runs
from adaptstilts.errors import Interrupted, ResourceError
from adaptstilts.models.batching import Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan.phases import EvaluatePhase, TrainPhase
from adaptstilts.run import run_plan
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.runtime.layer_cache import StateLayout, identity
from adaptstilts.runtime.loop import Loop
from adaptstilts.store import cache
from adaptstilts.store.entries import Entry

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture
def bench(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., Bench]:
    """Makes benches with a store of their own."""
    count: Iterator[int] = iter(range(100))
    return lambda **options: Bench(tiny, data_root, tmp_path / f"store{next(count)}", **options)


@pytest.fixture
def layers() -> Iterator[Counter[int]]:
    """How many times the attention of each layer of any encoder was computed."""
    count: Counter[int] = Counter()

    def note(module: Any, *_: Any) -> None:
        if isinstance(module, XLMRobertaSelfAttention):
            count[module.layer_idx] += 1

    handle = torch.nn.modules.module.register_module_forward_hook(note)
    yield count
    handle.remove()


def content(entry: Entry) -> dict[str, bytes]:
    return {name: (entry.folder / name).read_bytes() for name in entry.manifest["files"] if name != "cost.json"}


def weights(entry: Entry) -> dict[str, torch.Tensor]:
    names = [name for name in entry.manifest["files"] if name.endswith(".safetensors")]
    return {f"{name} {key}": value for name in names for key, value in load_file(str(entry.folder / name)).items()}


# Training


@pytest.mark.slow
@every_method
def test_training_equals_the_run_without_kept_states(bench: Callable[..., Bench], method: Any) -> None:
    """Where nothing can be kept the same is computed at every step, in batches of another composition."""
    kept, computed = bench(), bench(gib=0.0)
    (phase,) = kept.phases(methods=[method])
    one, two = weights(kept.perform(phase)), weights(computed.perform(phase))
    assert (len(kept.sets), computed.sets) == (2, [])
    assert any("not cached: no room" in line for line in computed.lines)
    assert not any("not cached" in line for line in kept.lines)
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], atol=2e-4, rtol=2e-4)


@pytest.mark.slow
@every_method
def test_one_batch_has_the_bits_of_the_run_without_kept_states(bench: Callable[..., Bench], method: Any) -> None:
    """One row at a time there is no other composition: loss and gradients are equal to the bit."""
    one = {"batch_size": 1, "examples": 1, "dev_examples": 1}
    found = []
    for gib in (1.0, 0.0):
        here = bench(gib=gib)
        (phase,) = here.phases(one, methods=[method])
        trainer = here.trainer(phase)
        loop = Loop(trainer)
        loop.step()
        loop.step()
        found.append((loop.log.lines, {key: value.detach().clone() for key, value in trainer.parameters.items()}))
    assert found[0][0] == found[1][0]
    for key, value in found[0][1].items():
        assert torch.equal(value, found[1][1][key]), key


def test_states_that_are_removed_while_they_are_written_are_written_again(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 a batch of training has other bits than the batches that states are computed in."""
    kept, disturbed = bench(), bench()
    commit, removed = cache.StateWriter.commit, []

    def commit_late(writer: cache.StateWriter, fields: Any) -> bool:
        if not removed:
            removed.append(shutil.rmtree(writer._staging))
        return commit(writer, fields)

    (phase,) = kept.phases({"precision": "bf16"})
    expected = weights(kept.perform(phase))
    monkeypatch.setattr(cache.StateWriter, "commit", commit_late)
    actual = weights(disturbed.perform(phase))
    assert removed
    assert len(disturbed.sets) == 2
    assert all(torch.equal(actual[key], value) for key, value in expected.items())


def test_bf16_training_is_close_to_the_run_without_kept_states(bench: Callable[..., Bench]) -> None:
    logs = []
    for gib in (1.0, 0.0):
        here = bench(gib=gib)
        (phase,) = here.phases({"precision": "bf16"})
        entry = here.perform(phase)
        logs.append([json.loads(line) for line in (entry.folder / "log.jsonl").read_text().splitlines()])
        if gib:
            size = {path.name: path.stat().st_size for path in here.sets[0].iterdir()}
            tokens = size["states.bin"] // (32 * 2)
            assert tokens in {sum(map(len, tokens_of(f))) for f in features_of(here, phase)}
    losses = [[line["loss"] for line in log if "loss" in line] for log in logs]
    np.testing.assert_allclose(losses[0], losses[1], atol=0.03)


def features_of(here: Bench, phase: TrainPhase) -> list[Features]:
    stream = here.trainer(phase).streams[0]
    assert stream.dev_features is not None
    return [stream.features, stream.dev_features]


def tokens_of(features: Features) -> list[list[int]]:
    return [sequence for item in features.items for sequence in item.sequences]


@pytest.mark.parametrize("method", [METHODS["prefix"], METHODS["seq"]], ids=["prefix", "seq"])
def test_bf16_gradients_survive_states_computed_without_gradient(bench: Callable[..., Bench], method: Any) -> None:
    """Autocast keeps casts of weights: one made without gradient must not be used with it."""
    here = bench(gib=0.0)
    (phase,) = here.phases({"precision": "bf16", "warmup": 0.0}, methods=[method])
    trainer = here.trainer(phase)
    before = {key: value.detach().clone() for key, value in trainer.parameters.items()}
    loop = Loop(trainer)
    for _ in range(2):
        loop.step()
    for key, value in trainer.parameters.items():
        assert not torch.equal(value, before[key]), key


@pytest.mark.slow
def test_same_spec_twice_gives_the_same_bits_whoever_kept_the_states(bench: Callable[..., Bench]) -> None:
    here = bench()
    one, two = here.phases(seeds=[1, 2])
    here.perform(two)
    expected = content(bench().perform(one))
    assert content(here.perform(one)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("stops", [[1], [8], [3, 2, 1, 9]], ids=str)
def test_continuing_gives_the_same_bits(bench: Callable[..., Bench], stops: list[int]) -> None:
    whole, parts = bench(), bench()
    (phase,) = whole.phases({"eval_every": 3})
    expected = content(whole.perform(phase))
    for n in stops:
        fill(parts, phase)  # so that the first stop is a step's
        asked = iter(range(1, 10_000))
        with pytest.raises(Interrupted, match="checkpoint written"):
            parts.perform(phase, stop=lambda asked=asked, n=n: next(asked) >= n)
        if n == 2:
            shutil.rmtree(parts.workspace.store.states)
    assert content(parts.perform(phase)) == expected


def fill(here: Bench, phase: TrainPhase) -> None:
    trainer = here.trainer(phase)
    trainer.lower_states(trainer.streams[0])


@pytest.mark.slow
def test_stopped_while_states_are_computed(bench: Callable[..., Bench]) -> None:
    here = bench()
    (phase,) = here.phases()
    asked = iter(range(100))
    with pytest.raises(Interrupted, match="begin anew"):
        here.perform(phase, stop=lambda: next(asked) == 1)
    assert here.sets == []
    assert content(here.perform(phase)) == content(bench().perform(phase))


@pytest.mark.slow
def test_lower_layers_are_computed_once(bench: Callable[..., Bench], layers: Counter[int]) -> None:
    """Over epochs, seeds, intermediates and targets with the same rows."""
    here = bench()
    phases = here.phases(
        {"epochs": 2, "eval_every": 5},
        seeds=[1, 2],
        intermediates=["none", "social_i_qa"],
        targets=["mnli", "xnli"],
        languages=["en"],
    )
    assert len(phases) == 2 * (1 + 2 * 2)
    runs: Counter[str] = Counter()
    for phase in phases:
        before = Counter(layers)
        trainer = here.trainer(phase)
        expected = 0
        for features in (trainer.streams[0].features, trainer.streams[0].dev_features):
            assert features is not None
            digest = StateLayout.of(features).digest
            expected += 0 if runs[digest] else len(sorted_runs(features.sizes, features.lengths, TOKENS))
            runs[digest] += 1
        assert layers == before
        here.perform(phase)
        assert layers[0] - before[0] == layers[1] - before[1] == expected
        assert layers[3] - before[3] >= 2 * 3
    assert len(runs) < len(phases)
    assert max(runs.values()) >= 4
    assert len(here.sets) == len(runs)


@pytest.mark.slow
def test_streams_of_a_mixture_have_states_of_their_own(bench: Callable[..., Bench], layers: Counter[int]) -> None:
    here = bench()
    mixture = {"task": "both", "mixture": {"tasks": ["mnli", "social_i_qa"]}}
    for phase in here.phases(intermediates=[mixture], targets=["mnli"]):
        here.perform(phase)
    assert len(here.sets) == 4
    assert layers[0] < layers[3] / 4


@pytest.mark.slow
def test_states_of_another_trunk_layer_precision_or_rows_are_not_taken(
    bench: Callable[..., Bench], layers: Counter[int]
) -> None:
    here = bench()
    first = here.phases({"epochs": 1})[0]
    here.perform(first)
    others = [  # of which every one has training rows of its own
        here.phases({"epochs": 1}, methods=[{**SEQ, "leave_out": [0]}])[0],
        here.phases({"epochs": 1, "precision": "bf16"})[0],
        here.phases({"epochs": 1, "max_length": 16})[0],
        here.phases({"epochs": 1, "examples": 12})[0],
    ]
    for phase in others:
        before = layers[0]
        here.perform(phase)
        assert layers[0] > before
    (full,) = here.phases(PLAIN, methods=["full"])
    entry = here.perform(full)
    store, model = here.workspace.store, here.runtime().model
    assert identity(store, model, None, 4) != identity(store, model, entry.key, 4) == entry.key


@pytest.mark.slow
def test_a_frozen_part_belongs_to_the_model_it_comes_from(bench: Callable[..., Bench]) -> None:
    here = bench()
    (phase,) = here.phases(methods=[METHODS["full"]])
    entry = here.perform(phase)
    store, model = here.workspace.store, here.runtime().model
    assert identity(store, model, entry.key, 4) == identity(store, model, None, 4)
    assert identity(store, model, entry.key, 5) == entry.key
    for block in range(5):
        one, two = (Encoder(folder) for folder in (here.model, entry.folder / "encoder"))
        ids = torch.tensor([[0, 9, 8, 2]])
        assert torch.equal(*(e.below(ids, torch.ones_like(ids), block) for e in (one, two)))


# Evaluation


EVALUATED = {"seq": SEQ, "lora": METHODS["lora"], "prefix": METHODS["prefix"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", EVALUATED.values(), ids=EVALUATED.keys())
def test_evaluation_over_three_intermediates_computes_lower_layers_once(
    bench: Callable[..., Bench], layers: Counter[int], method: Any
) -> None:
    """And gives the bits of three evaluations that compute everything."""
    here, alone = bench(), bench(gib=0.0)
    study = {
        "methods": [method],
        "intermediates": ["none", "social_i_qa", "mnli"],
        "targets": ["xnli"],
        "languages": ["en", "zh"],
        "swap": "all",
        "train": PLAIN,
    }
    made = here.plan(**study)
    for phase in made.order():
        if isinstance(phase, TrainPhase):
            here.perform(phase)
            alone.workspace.store.adopt(here.workspace.store.entry(phase.key).folder)
    assert here.sets == []
    evaluated = [phase for phase in made.order() if isinstance(phase, EvaluatePhase)]
    assert len(evaluated) == 3 * 3
    seen: set[str] = set()
    for phase in evaluated:
        before = Counter(layers)
        entry = here.perform(phase)
        assert (layers[0] == before[0]) == (phase.task in seen), phase.title
        assert layers[3] > before[3]
        before = Counter(layers)
        assert content(entry) == content(alone.perform(phase))
        assert layers[0] - before[0] == layers[3] - before[3] > 0
        seen.add(phase.task)
    assert len(here.sets) == 2
    assert alone.sets == []


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", ["xnli", "udpos", "xquad", "xcopa"])
def test_evaluation_of_every_kind_has_the_bits_of_one_that_keeps_nothing(
    bench: Callable[..., Bench], task: str, precision: str
) -> None:
    here, alone = bench(), bench(gib=0.0)
    study = {
        "targets": [task],
        "seeds": [1, 2],
        "evaluate": {"precision": precision},
        "train": PLAIN,
    }
    made = here.plan(**study)
    for phase in made.order():
        if isinstance(phase, TrainPhase):
            here.perform(phase)
            alone.workspace.store.adopt(here.workspace.store.entry(phase.key).folder)
        elif isinstance(phase, EvaluatePhase):
            assert content(here.perform(phase)) == content(alone.perform(phase))
    assert len(here.sets) == len(list(here.workspace.store.states.glob("*/states.bin"))) > 0


@pytest.mark.slow
def test_evaluation_of_full_fine_tuning_keeps_only_what_others_share(
    bench: Callable[..., Bench], layers: Counter[int]
) -> None:
    here = bench()
    for method, sets in (("full", 0), (METHODS["full"], 1)):
        made = here.plan(methods=[method], targets=["xnli"], languages=["en"], seeds=[1, 2], train=PLAIN)
        before, computed = 0, []
        for phase in made.order():
            before = layers[0]
            here.perform(phase)  # type: ignore[arg-type]
            if isinstance(phase, EvaluatePhase):
                computed.append(layers[0] - before)
        assert len(here.sets) == sets
        assert computed[0] > 0
        assert (computed[1] == 0) == bool(sets)


def test_interrupted_evaluation_leaves_nothing_half(bench: Callable[..., Bench]) -> None:
    here = bench()
    *before, last = here.plan(PLAIN, targets=["xnli"]).order()
    for phase in before:
        here.perform(phase)  # type: ignore[arg-type]
    assert isinstance(last, EvaluatePhase)
    with pytest.raises(Interrupted):
        here.perform(last, stop=lambda: True)
    assert here.sets == []
    here.perform(last)
    assert len(here.sets) == len(last.languages)


# The disk


def test_a_full_disk_stops_nothing(
    bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench()
    (phase,) = here.phases({"epochs": 1})
    expected = weights(bench(gib=0.0).perform(phase))
    puts = iter(range(100))

    def put(self: cache.StateWriter, offset: int, content: bytes) -> None:
        if next(puts) == 7:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.StateWriter, "put", put)
    found = weights(here.perform(phase))
    assert any("hidden states are not cached: No space left on device" in line for line in here.lines)
    assert here.sets == []
    for key, value in expected.items():
        assert torch.equal(found[key], value)


@pytest.mark.parametrize("function", ["put", "__init__"])
def test_a_full_disk_gives_no_other_bits_in_bf16(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Batches of training have other bits than those in which states are computed to be kept."""
    here = bench()
    (phase,) = here.phases({"epochs": 1, "precision": "bf16"})

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.StateWriter, function, fail)
    with pytest.raises(ResourceError, match="hidden states cannot be kept, and in bf16"):
        here.perform(phase)
    assert here.sets == []
    assert here.workspace.store.keys() == []


def test_a_killed_writer_leaves_what_gc_lists(bench: Callable[..., Bench]) -> None:
    here = bench()
    (phase,) = here.phases()
    here.perform(phase)
    left = here.workspace.store.states / ".key.uuid"
    left.mkdir()
    assert set(here.workspace.store.garbage()) >= {left, *here.sets}
    for path in here.workspace.store.garbage():
        shutil.rmtree(path)
    assert here.sets == []
    assert [key for key, wrong in here.workspace.store.verify() if wrong] == []


@pytest.mark.slow
def test_a_study_with_kept_states_runs_through(bench: Callable[..., Bench]) -> None:
    """Beside full fine-tuning, which has nothing to keep, with intermediates and swaps."""
    here = bench()
    made = here.plan(
        {"epochs": 1},
        methods=[SEQ, METHODS["lora"], {"kind": "full", "train": {"cache": False}}],
        intermediates=["none", "mnli"],
        targets=["xnli", "tatoeba"],
        retrieve={"max_length": 48},
        swap="all",
    )
    run_plan(made, here.workspace, device="cpu")
    assert made.missing(here.workspace.store) == []
