"""Training: the same bits every time, also across an interruption, and only finite weights are kept."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.inputs import STUDY, make_data, write_split
from torch import Tensor

from adaptstilts import kinds, tasks
from adaptstilts import study as config
from adaptstilts.errors import DataError, DivergedError, Interrupted
from adaptstilts.kinds import heads
from adaptstilts.models.batching import IGNORE
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.train import Trainer
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.checkpoints import Checkpoints
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import predict
from adaptstilts.runtime.loop import Loop
from adaptstilts.store.entries import Entry
from adaptstilts.study import Train
from adaptstilts.workspace import Workspace

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
LORA: dict[str, Any] = {"kind": "lora", "rank": 2}
METHODS = {"full": "full", "bottleneck": SEQ, "lora": LORA}
BUDGET: dict[str, Any] = {**STUDY["train"], "precision": "fp32"}


class Bench:
    """One store, and the phases of small studies to be performed in it."""

    def __init__(self, model: Path, data: Path, store: Path) -> None:
        self.model, self.data, self.workspace = model, data, Workspace(store, data)

    def plan(self, train: dict[str, Any] | None = None, **changed: Any) -> Plan:
        held = {"name": "t", "model": str(self.model), "methods": [SEQ], "targets": ["mnli"], "languages": None}
        study = {**held, "missing": "skip", "train": {**BUDGET, **(train or {})}, **changed}
        return expand.expand(config.parse(json.dumps(study)), self.workspace)

    def phases(self, train: dict[str, Any] | None = None, **changed: Any) -> list[TrainPhase]:
        return [phase for phase in self.plan(train, **changed).order() if isinstance(phase, TrainPhase)]

    def runtime(self, **options: Any) -> Runtime:
        study = self.plan().study
        return Runtime(self.workspace, self.workspace.model(study), device="cpu", **options)

    def perform(self, phase: TrainPhase, **options: Any) -> Entry:
        runtime = self.runtime(**options)
        perform(phase, runtime)
        return self.workspace.store.entry(phase.key)

    def trainer(self, phase: TrainPhase, **options: Any) -> Trainer:
        return Trainer(phase, self.runtime(**options))


@pytest.fixture
def bench(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[[], Bench]:
    """Makes benches with a store of their own."""
    count: Iterator[int] = iter(range(100))
    return lambda: Bench(tiny, data_root, tmp_path / f"store{next(count)}")


def content(entry: Entry) -> dict[str, bytes]:
    """Every file that must be the same in every run."""
    return {name: (entry.folder / name).read_bytes() for name in entry.manifest["files"] if name != "cost.json"}


def stop_after(n: int) -> Callable[[], bool]:
    """True from the n-th time it is asked."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= n


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_same_spec_twice_gives_the_same_bits(bench: Callable[[], Bench], method: Any) -> None:
    found = []
    for noise in (1, 2):
        here = bench()
        (phase,) = here.phases(methods=[method])
        torch.manual_seed(noise)
        found.append(content(here.perform(phase)))
    assert found[0] == found[1]
    kept = "encoder/model.safetensors" if method == "full" else "adapter/adapter_config.json"
    assert {kept, "head/head.safetensors", "log.jsonl", "result.json"} <= set(found[0])


@pytest.mark.slow
def test_another_seed_gives_other_bits(bench: Callable[[], Bench]) -> None:
    here = bench()
    one, two = (content(here.perform(phase)) for phase in here.phases(seeds=[1, 2]))
    for name in ("adapter/adapter.safetensors", "head/head.safetensors", "log.jsonl"):
        assert one[name] != two[name]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("stops", [[1], [8], [3, 2, 1, 9]], ids=str)
def test_continuing_gives_the_same_bits(bench: Callable[[], Bench], method: Any, stops: list[int]) -> None:
    """Whether it was stopped after a step, or while the dev rows were scored, as by the 3 after the third step."""
    whole, parts = bench(), bench()
    (phase,) = whole.phases({"eval_every": 3}, methods=[method])
    expected = content(whole.perform(phase))
    for n in stops:
        with pytest.raises(Interrupted, match="checkpoint written") as stopped:
            parts.perform(phase, stop=stop_after(n))
        assert not parts.workspace.store.has(phase.key)
    lines: list[str] = []
    entry = parts.perform(phase, report=lambda line, done, total: lines.append(line))
    last = str(stopped.value).partition("stopped at ")[2].partition(" of 16")[0]
    assert any(line.endswith(f"continued from {last}") for line in lines)
    assert content(entry) == expected
    assert not parts.workspace.store.work(phase.key).exists()
    assert entry.json("result.json")["steps"] == 16


@pytest.mark.slow
def test_checkpoints_change_nothing(bench: Callable[[], Bench]) -> None:
    (phase,) = bench().phases()
    assert content(bench().perform(phase, checkpoint_every=1)) == content(bench().perform(phase))


def test_time_before_an_interruption_is_counted(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases()
    with pytest.raises(Interrupted):
        here.perform(phase, stop=stop_after(12))
    _, state = Checkpoints(here.workspace.store.work(phase.key)).load() or ({}, {})
    cost = here.perform(phase).json("cost.json")
    assert cost["seconds"] > state["seconds"] > 0
    assert cost["precision"] == "fp32"


@pytest.mark.parametrize(("damaged", "resumed"), [(1, 5), pytest.param(2, None, marks=pytest.mark.slow)])
def test_damaged_checkpoint_falls_back(bench: Callable[[], Bench], damaged: int, resumed: int | None) -> None:
    here = bench()
    (phase,) = here.phases()
    expected = content(bench().perform(phase))
    with pytest.raises(Interrupted):
        here.perform(phase, stop=stop_after(6), checkpoint_every=1)
    work = here.workspace.store.work(phase.key)
    steps = sorted(work.glob("step-*"))
    assert [path.name for path in steps] == ["step-00000005", "step-00000006"]
    for path in steps[::-1][:damaged]:
        flip(path / "tensors.safetensors")
    lines: list[str] = []
    entry = here.perform(phase, report=lambda line, done, total: lines.append(line))
    assert sum("checkpoint passed over" in line for line in lines) == damaged
    assert any(f"continued from step {resumed}" in line for line in lines) == (resumed is not None)
    assert content(entry) == expected


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


def test_divergence_names_step_and_rows(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 1e30, "warmup": 0.0})
    rows = here.trainer(phase).batch(1)[1]
    with pytest.raises(DivergedError, match="at step 1, learning rate") as caught:
        here.perform(phase)
    assert f"rows {rows} of mnli" in str(caught.value)
    assert caught.value.exit_code == 6
    assert not here.workspace.store.has(phase.key)
    assert list((here.workspace.store.folder / "staging").iterdir()) == []


def test_bad_loss_stops_before_the_weights_change(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases()
    trainer = here.trainer(phase)
    loop = Loop(trainer)
    loop.step()
    with torch.no_grad():
        trainer.streams[0].head.out.bias[0] = float("nan")
    before = {key: value.detach().clone() for key, value in trainer.parameters.items()}
    with pytest.raises(DivergedError, match=r"loss nan.* at step 1"):
        loop.step()
    for key, value in trainer.parameters.items():
        assert torch.equal(value.nan_to_num(7.0), before[key].nan_to_num(7.0))
    assert loop.done == 1


def test_weights_that_are_not_finite_are_not_written(bench: Callable[[], Bench], tmp_path: Path) -> None:
    here = bench()
    (phase,) = here.phases()
    trainer = here.trainer(phase)
    Loop(trainer).step()
    trainer.evaluate(8)
    next(iter(trainer.selection.weights.values())).view(-1)[0] = float("inf")
    (tmp_path / "staging").mkdir()
    with pytest.raises(DivergedError, match="not finite"):
        trainer.write(tmp_path / "staging", 1)
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_was_trained_is_freed_at_once(bench: Callable[[], Bench]) -> None:
    """No cycle of references keeps a trainer in memory until the garbage collector comes."""
    here = bench()
    (phase,) = here.phases({"max_steps": 2})
    gc.disable()
    try:
        trainer = here.trainer(phase)
        loop = Loop(trainer)
        loop.step()
        trainer.evaluate(2)
        alive = weakref.ref(trainer)
        del trainer, loop
        assert alive() is None
    finally:
        gc.enable()


def test_early_stopping(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 1e-12, "eval_every": 2, "patience": 2, "epochs": 5})
    result = here.perform(phase).json("result.json")
    assert (result["steps"], result["best_step"]) == (6, 2)


@pytest.mark.slow
def test_early_stopping_survives_an_interruption(bench: Callable[[], Bench]) -> None:
    here, other = bench(), bench()
    (phase,) = here.phases({"lr": 1e-12, "eval_every": 2, "patience": 2, "epochs": 5})
    with pytest.raises(Interrupted):
        here.perform(phase, stop=stop_after(5))
    assert content(here.perform(phase)) == content(other.perform(phase))


def log_of(entry: Entry) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (entry.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_best_weights_are_those_of_the_best_dev_step(
    bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    scores = [10.0, 40.0, 70.0, 70.0, 20.0, 60.0]
    given = iter(scores)
    monkeypatch.setattr("adaptstilts.phases.train.dev_scores", lambda *_: {"accuracy": next(given)})
    here = bench()
    (phase,) = here.phases({"lr": 0.01, "eval_every": 2, "max_steps": 12}, methods=[method])
    entry = here.perform(phase)
    result = entry.json("result.json")
    assert (result["best_step"], result["steps"], result["dev"]) == (6, 12, {"accuracy": 70.0})
    assert [(line["step"], line["dev"]["accuracy"]) for line in log_of(entry) if "dev" in line] == [
        (2 * i + 1, score) for i, score in enumerate(scores)
    ]
    trainer = here.trainer(phase)
    loop = Loop(trainer)
    for _ in range(6):
        loop.step()
    trunk = entry.folder / "encoder" / "model.safetensors" if method == "full" else adapter(entry)
    saved = {key.removeprefix("base_model.model."): value for key, value in load_file(trunk).items()}
    saved |= {f"head.{key}": value for key, value in load_file(entry.folder / "head" / "head.safetensors").items()}
    for key, value in trainer.parameters.items():
        name = key.removeprefix("trunk.").replace("lora_A.adapter.", "lora_A.").replace("lora_B.adapter.", "lora_B.")
        assert torch.equal(saved[name], value), key
    before = trainer.parameters["head.out.weight"].detach().clone()
    loop.step()
    assert not torch.equal(trainer.parameters["head.out.weight"], before)


def test_the_last_weights_are_kept_if_asked_for(bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across an interruption after the best evaluation."""
    given = iter([10.0, 70.0, 20.0, 10.0, 70.0, 20.0])
    monkeypatch.setattr("adaptstilts.phases.train.dev_scores", lambda *_: {"accuracy": next(given)})
    here, other = bench(), bench()
    (phase,) = here.phases({"lr": 0.01, "eval_every": 2, "max_steps": 6, "keep": "last"})
    entry = here.perform(phase)
    result = entry.json("result.json")
    assert (result["best_step"], result["steps"], result["dev"]) == (6, 6, {"accuracy": 20.0})
    trainer = here.trainer(phase)
    loop = Loop(trainer)
    for _ in range(6):
        loop.step()
    saved = load_file(entry.folder / "head" / "head.safetensors")
    assert all(torch.equal(saved[key], trainer.parameters[f"head.{key}"]) for key in saved)
    with pytest.raises(Interrupted):
        other.perform(phase, stop=stop_after(5))
    assert content(other.perform(phase)) == content(entry)


def test_steps_that_end_before_the_warm_up_are_told(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 0.002, "warmup_steps": 500})
    lines: list[str] = []
    here.perform(phase, report=lambda line, *_: lines.append(line))
    (line,) = [line for line in lines if "rises" in line]
    assert line.endswith("the learning rate rises over 500 steps, and there are 16: it ends at 6e-05 instead of 0.002")


def test_dev_score_is_that_of_the_saved_weights(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 0.03, "eval_every": 1, "epochs": 3}, targets=["udpos"])
    entry = here.perform(phase)
    result = entry.json("result.json")
    dev = {line["step"] + 1: line["dev"] for line in log_of(entry) if "dev" in line}
    assert list(dev) == list(range(1, 13))
    assert len({value["f1"] for value in dev.values()}) > 3
    assert result["dev"] == dev[result["best_step"]]
    assert result["best_step"] == max(dev, key=lambda step: (dev[step]["f1"], -step))
    encoder = Encoder(here.model, "adapters")
    encoder.load("x", phase.method, entry.folder / "adapter")
    encoder.compose(["x"])
    task, kind = tasks.get("udpos"), kinds.get("tagging")
    head = heads.load(encoder, task, entry.folder / "head")
    trainer = here.trainer(phase)
    outputs = predict(encoder, head, kind, trainer.streams[0].dev_features, 1, False)
    rows = trainer.streams[0].dev_examples.rows
    found = kind.decode(outputs, trainer.streams[0].dev_features, rows, task)
    pairs = [pair for a, b in zip(found, kind.gold(rows, task), strict=True) for pair in zip(a, b, strict=True)]
    assert result["dev"]["token_accuracy"] == pytest.approx(100 * sum(a == b for a, b in pairs) / len(pairs))


@pytest.mark.parametrize("padding", ["bucket", "fixed"])
def test_padding(bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch, padding: str) -> None:
    here = bench()
    (phase,) = here.phases({"padding": padding, "max_length": 40})
    trainer = here.trainer(phase)
    widths: list[int] = []
    states = trainer.encoder.states

    def watched(ids: Tensor, mask: Tensor, start: None, types: None) -> Tensor:
        widths.append(ids.shape[1])
        return states(ids, mask, start, types)

    monkeypatch.setattr(trainer.encoder, "states", watched)
    expected, loop = [], Loop(trainer)
    for step in range(trainer.streams[0].per_epoch):
        lengths = [trainer.streams[0].features.items[row].length for row in trainer.batch(step)[1]]
        expected.append(max(lengths) if padding == "bucket" else 40)
        loop.step()
    assert widths == expected
    orders = [trainer.batch(step)[1] for step in range(2 * trainer.streams[0].per_epoch)]
    for epoch in (orders[: trainer.streams[0].per_epoch], orders[trainer.streams[0].per_epoch :]):
        assert sorted(row for batch in epoch for row in batch) == list(range(60))
    assert orders[: trainer.streams[0].per_epoch] != orders[trainer.streams[0].per_epoch :]


def test_fixed_padding_gives_the_same_bits_twice(bench: Callable[[], Bench]) -> None:
    (phase,) = bench().phases({"padding": "fixed", "max_steps": 4})
    assert content(bench().perform(phase)) == content(bench().perform(phase))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnli", "social_i_qa", "squad", "udpos"])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_micro_batches_give_the_gradient_of_the_whole_batch(bench: Callable[[], Bench], name: str, method: Any) -> None:
    here = bench()
    found = []
    for tokens in (64, 8192):
        budget = {"micro_tokens": tokens, "batch_size": 12, "max_length": 32}
        (phase,) = here.phases(budget, targets=[name], methods=[method])
        trainer = here.trainer(phase)
        trainer.encoder.trunk.eval()
        trainer.streams[0].head.eval()
        loss = trainer.batch_gradients(*trainer.batch(0))
        found.append((loss, {key: value.grad.clone() for key, value in trainer.parameters.items()}))
    (one, split), (two, whole) = found
    assert one == pytest.approx(two, rel=1e-5)
    assert split.keys() == whole.keys()
    assert any(value.abs().max() > 1e-4 for value in whole.values())
    for key, value in whole.items():
        assert torch.allclose(split[key], value, atol=1e-5), key


def test_gradient_is_that_of_the_mean_over_words(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"batch_size": 6}, targets=["udpos"])
    trainer = here.trainer(phase)
    trainer.encoder.trunk.eval()
    trainer.streams[0].head.eval()
    rows = trainer.batch(0)[1]
    trainer.batch_gradients(trainer.streams[0], rows)
    found = {key: value.grad.clone() for key, value in trainer.parameters.items()}
    for value in trainer.parameters.values():
        value.grad = None
    losses = []
    for row in rows:
        item = trainer.streams[0].features.items[row]
        ids = torch.tensor([item.sequences[0]])
        logits = trainer.streams[0].head(trainer.encoder.states(ids, torch.ones_like(ids)))[0]
        target = torch.tensor(item.target)
        losses.append(torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none"))
    words = sum(sum(t != IGNORE for t in trainer.streams[0].features.items[row].target) for row in rows)
    (torch.cat(losses).sum() / words).backward()
    for key, value in trainer.parameters.items():
        assert torch.allclose(found[key], value.grad, atol=1e-5), key


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bottleneck", "lora"])
def test_what_is_under_the_target_stays_as_it_is(bench: Callable[[], Bench], method: str) -> None:
    here = bench()
    phases = here.phases(intermediates=["none", "social_i_qa"], targets=["mnli"], methods=[METHODS[method]])
    under = next(phase for phase in phases if phase.task == "social_i_qa")
    over = next(phase for phase in phases if phase.stack)
    held = content(here.perform(under))
    trainer = here.trainer(over)
    ids = {id(value) for value in trainer.parameters.values()}
    before = {k: v.detach().clone() for k, v in trainer.encoder.trunk.named_parameters() if id(v) not in ids}
    start = {key: value.detach().clone() for key, value in trainer.parameters.items()}
    loop = Loop(trainer)
    for _ in range(4):
        loop.step()
    now = dict(trainer.encoder.trunk.named_parameters())
    assert all(torch.equal(now[key], value) for key, value in before.items())
    assert all(not torch.equal(start[key], value) for key, value in trainer.parameters.items())
    saved = {name: value for name, value in load_file(adapter(here.workspace.store.entry(under.key))).items()}
    inside = {key: value for key, value in before.items() if f"entry_{under.key[:16]}" in key}
    assert len(inside) == len(saved)
    assert sum(float(value.abs().sum()) for value in saved.values()) == pytest.approx(
        sum(float(value.abs().sum()) for value in inside.values()), rel=1e-6
    )
    here.perform(over)
    assert content(here.workspace.store.entry(under.key)) == held


def adapter(entry: Entry) -> Path:
    (path,) = (entry.folder / "adapter").glob("*.safetensors")
    return path


def test_full_encoder_loads_in_plain_transformers(bench: Callable[[], Bench]) -> None:
    from transformers import XLMRobertaModel

    here = bench()
    (phase,) = here.phases(methods=["full"])
    entry = here.perform(phase)
    plain = XLMRobertaModel.from_pretrained(str(entry.folder / "encoder"), add_pooling_layer=False).eval()
    ids = torch.tensor([[0, 9, 8, 7, 2]])
    with torch.no_grad():
        found = plain(input_ids=ids).last_hidden_state
        assert torch.equal(found, Encoder(entry.folder / "encoder").states(ids, torch.ones_like(ids)))
        assert not torch.allclose(found, Encoder(here.model).states(ids, torch.ones_like(ids)), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_chain_continues_adapter_and_head(bench: Callable[[], Bench], method: Any) -> None:
    here = bench()
    first, second = here.phases(targets=["xcopa"], methods=[method])
    assert (first.task, first.rows, second.task, second.rows) == ("social_i_qa", "social_i_qa", "xcopa", "copa")
    entry = here.perform(first)
    trainer = here.trainer(second)
    head = load_file(entry.folder / "head" / "head.safetensors")
    assert all(torch.equal(trainer.parameters[f"head.{key}"], value) for key, value in head.items())
    trunk = {key.removeprefix("trunk."): value for key, value in trainer.parameters.items() if key.startswith("trunk.")}
    if method == "full":
        saved = load_file(entry.folder / "encoder" / "model.safetensors")
    else:
        loaded = load_file(adapter(entry))
        saved = {
            key.removeprefix("base_model.model.")
            .replace("lora_A.weight", "lora_A.adapter.weight")
            .replace("lora_B.weight", "lora_B.adapter.weight"): value
            for key, value in loaded.items()
        }
    assert trunk.keys() <= saved.keys()
    assert len(trunk) == len(saved) or method == "full"
    assert all(torch.equal(saved[key], value) for key, value in trunk.items())
    done = here.perform(second)
    assert done.json("result.json")["examples"] == 20
    assert done.spec["init"] == first.key


@pytest.mark.slow
def test_full_target_starts_from_the_full_intermediate(bench: Callable[[], Bench]) -> None:
    here = bench()
    phases = here.phases(intermediates=["social_i_qa"], targets=["mnli"], methods=["full"])
    entry = here.perform(phases[0])
    trainer = here.trainer(phases[1])
    saved = load_file(entry.folder / "encoder" / "model.safetensors")
    trunk = {key.removeprefix("trunk."): value for key, value in trainer.parameters.items() if key.startswith("trunk.")}
    assert trunk.keys() <= saved.keys()
    assert all(torch.equal(saved[key], value) for key, value in trunk.items())


@pytest.mark.slow
def test_result_counts(bench: Callable[[], Bench]) -> None:
    here = bench()
    found = here.plan({"examples": 20, "max_length": 12})
    (phase,) = [phase for phase in found.order() if isinstance(phase, TrainPhase)]
    result = here.perform(phase).json("result.json")
    assert result["trainable"] == phase.method.trainable(found.model.shape)
    assert result["head"] == 32 * 32 + 32 + 32 * 3 + 3
    assert (result["examples"], result["examples_in_split"], result["dev_examples"]) == (20, 60, 12)
    trainer = here.trainer(phase)
    cut = [len(trainer.runtime.tokenizer.ids([r["text_a"], r["text_b"]])[0]) for r in trainer.streams[0].examples.rows]
    assert result["truncated"] > 0
    assert result["truncated"] >= sum(n > 8 for n in cut)
    assert result["steps"] == 2 * 3


@pytest.mark.slow
def test_learning_rate_rises_and_falls(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 0.002, "warmup": 0.25})
    rates = [line["lr"] for line in log_of(here.perform(phase)) if "lr" in line]
    rising = [0.002 * i / 4 for i in range(4)]
    falling = [0.002 * (16 - i) / 12 for i in range(4, 16)]
    assert rates == pytest.approx(rising + falling)


@pytest.mark.slow
def test_loss_falls(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"lr": 0.02, "epochs": 8}, targets=["udpos"])
    losses = [line["loss"] for line in log_of(here.perform(phase)) if "loss" in line]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_weight_decay_spares_vectors(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"weight_decay": 0.5})
    trainer = here.trainer(phase)
    decayed, spared = trainer.optimizer.param_groups
    assert decayed["weight_decay"] == 0.5
    assert spared["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(trainer.parameters)


@pytest.mark.slow
def test_half_precision_trains_to_finite_float32_weights(bench: Callable[[], Bench]) -> None:
    here = bench()
    (phase,) = here.phases({"precision": "bf16", "max_steps": 4})
    entry = here.perform(phase)
    assert entry.json("cost.json")["precision"] == "bf16"
    assert {value.dtype for value in load_file(adapter(entry)).values()} == {torch.float32}
    other = bench()
    with pytest.raises(Interrupted):
        other.perform(phase, stop=stop_after(2))
    assert content(other.perform(phase)) == content(entry)


def test_data_that_changed_since_the_plan_is_refused(tiny: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "hub")
    here = Bench(tiny, data, tmp_path / "store")
    (phase,) = here.phases()
    changed = Path(shutil.copytree(data, tmp_path / "changed"))
    rows = [{"premise": "a", "hypothesis": "b", "label": i % 3, "idx": i} for i in range(9)]
    write_split(changed, "nyu-mll/glue", "mnli", "train", rows)
    other = Bench(tiny, changed, tmp_path / "other")
    with pytest.raises(DataError, match="changed since the plan"):
        other.perform(phase)


def test_phase_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tasks.get("mnli").name = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        Train().lr = 1.0  # type: ignore[misc]
