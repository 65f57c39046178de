"""Plans: what a study expands into, which keys it gets, and what is refused before anything is spent."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import methods, study
from adaptstilts.errors import ArtifactError, ConfigError, DataError
from adaptstilts.methods.full import Full
from adaptstilts.models.locate import Fingerprint
from adaptstilts.plan.cost import estimate
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase, TrainPhase
from adaptstilts.study import Evaluate, Retrieve, StrictModel, Train
from adaptstilts.workspace import Workspace

Write = Callable[..., Path]


@pytest.fixture
def make(study_file: Write, data_root: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Expands the toy study with some keys changed."""

    def expanded(root: Path = data_root, store: str = "store", **changed: Any) -> Plan:
        return expand(study.load(study_file(**changed)), Workspace(tmp_path / store, root))

    return expanded


def kinds(made: Plan) -> Counter[str]:
    return Counter(phase.kind for phase in made.phases.values())


def train_keys(made: Plan) -> set[str]:
    return {key for key, phase in made.phases.items() if phase.kind == "train"}


def test_the_toy_study(make: Callable[..., Plan]) -> None:
    """Counted by hand, for each method.

    Intermediates: mnli, social_i_qa. Targets under none, mnli and social_i_qa: xnli 3, udpos 3, xcopa 3 and its
    first leg, social_i_qa, 3 of which the one under none is the intermediate phase itself. 2 + 3 + 3 + 3 + 2 = 13.
    """
    made = make()
    assert kinds(made) == {"train": 3 * 13, "evaluate": 3 * 9 + 2 * 3 * 6, "retrieve": 1 + 3 * 2}
    assert len(made.cells) == 3 * (9 + 3) + 2 * 3 * 6
    assert {cell.phase for cell in made.cells} == {key for key, p in made.phases.items() if p.kind != "train"}
    assert all(key == phase.key for key, phase in made.phases.items())


def test_equal_phases_are_one(make: Callable[..., Plan]) -> None:
    """XCOPA's first leg without an intermediate is the intermediate phase of Social IQa."""
    made = make()
    for label in ("full", "bottleneck reduction=4", "lora rank=2"):
        cell = next(c for c in made.cells if (c.task, c.method, c.over) == ("xcopa", label, "none") and not c.swapped)
        over = next(
            c for c in made.cells if (c.task, c.method, c.over) == ("udpos", label, "social_i_qa") and not c.swapped
        )
        assert cell.training[0] in made.phases[over.training[0]].parents
    assert len({c.phase for c in made.cells if c.task == "tatoeba" and c.over == "none"}) == 1


def test_two_seeds_are_twice_the_work_but_for_the_bare_model(make: Callable[..., Plan]) -> None:
    one, two = kinds(make()), kinds(make(seeds=[1, 2]))
    assert two == {"train": 2 * one["train"], "evaluate": 2 * one["evaluate"], "retrieve": 2 * one["retrieve"] - 1}


def test_swapping_trains_nothing(make: Callable[..., Plan]) -> None:
    off, on = make(swap="off"), make(swap="all")
    assert train_keys(off) == train_keys(on)
    assert set(off.phases) < set(on.phases)
    assert {on.phases[key].kind for key in set(on.phases) - set(off.phases)} == {"evaluate"}
    assert not any(cell.swapped for cell in off.cells)


def test_an_adapter_is_not_swapped_under_itself(make: Callable[..., Plan]) -> None:
    """A target that is an intermediate task too: trained under none it is the intermediate adapter itself."""
    made = make(targets=["mnli"], intermediates=["none", "mnli", "social_i_qa"], methods=["lora"])
    swaps = {(cell.trained_on, cell.over) for cell in made.cells if cell.swapped}
    assert ("none", "mnli") not in swaps
    assert {("none", "social_i_qa"), ("mnli", "none"), ("social_i_qa", "mnli")} < swaps
    for phase in made.phases.values():
        if isinstance(phase, EvaluatePhase):
            assert phase.target not in phase.stack


def test_a_swap_is_another_stack_under_the_same_target(make: Callable[..., Plan]) -> None:
    made = make()
    cells = {
        (c.trained_on, c.over): made.phases[c.phase]
        for c in made.cells
        if (c.task, c.method) == ("xnli", "lora rank=2")
    }
    assert len(cells) == 9
    swapped, own, other = cells["mnli", "social_i_qa"], cells["mnli", "mnli"], cells["social_i_qa", "social_i_qa"]
    assert isinstance(swapped, EvaluatePhase)
    assert isinstance(own, EvaluatePhase)
    assert swapped.target == own.target
    assert swapped.stack == other.stack != own.stack
    assert len({phase.key for phase in cells.values()}) == 9
    assert not any(c.swapped for c in made.cells if c.method == "full")


def test_full_fine_tuning_starts_on_the_encoder_that_an_intermediate_phase_left(make: Callable[..., Plan]) -> None:
    made = make(methods=["full"], swap="off", targets=["udpos"])
    mnli = next(p for p in made.phases.values() if p.task == "mnli")
    for phase in made.phases.values():
        if phase.title.startswith("train udpos (full) over mnli"):
            assert phase.parents == (mnli.key,)
            assert phase.base == mnli.key
        if phase.title.startswith("evaluate udpos (full) over mnli"):
            (target,) = phase.parents
            assert made.phases[target].base == mnli.key


def test_composition_none_ignores_the_intermediates(make: Callable[..., Plan]) -> None:
    made = make(compositions=["none"], swap="off", methods=["lora"])
    assert {(c.trained_on, c.over) for c in made.cells if c.task != "tatoeba"} == {("none", "none")}
    both = make(compositions=["stack", "none"], methods=["lora"])
    assert set(both.phases) == set(make(methods=["lora"]).phases)


def test_parents_come_first(make: Callable[..., Plan]) -> None:
    made = make()
    order = made.order()
    assert sorted(phase.key for phase in order) == sorted(made.phases)
    place = {phase.key: i for i, phase in enumerate(order)}
    for phase in order:
        assert all(place[parent] < place[phase.key] for parent in phase.parents)
        assert len(phase.parents) >= {"train": 0, "retrieve": 0, "evaluate": 1}[phase.kind]


def test_order_does_not_depend_on_insertion(make: Callable[..., Plan]) -> None:
    made = make()
    made.phases = dict(reversed(made.phases.items()))
    place = {phase.key: i for i, phase in enumerate(made.order())}
    assert all(place[parent] < place[key] for key in made.phases for parent in made.phases[key].parents)


def test_missing_is_what_has_no_entry(make: Callable[..., Plan], tmp_path: Path) -> None:
    made, store = make(methods=["lora"], swap="off"), Workspace(tmp_path / "store").store
    order = made.order()
    assert made.missing(store) == order
    with store.stage(order[0].key) as staging:
        store.commit(order[0].key, order[0].spec, staging)
    assert made.missing(store) == order[1:]


def test_cost_is_known_before_anything_is_spent(make: Callable[..., Plan], data_root: Path, tmp_path: Path) -> None:
    made = make(methods=["full", "lora"], swap="off")
    every = estimate(made, Workspace(tmp_path / "store", data_root))
    assert set(every) == set(made.phases)
    costs = {key: cost for key, cost in every.items() if cost.trainable}
    assert set(costs) == train_keys(made)
    for key, cost in costs.items():
        phase = made.phases[key]
        assert phase.method is not None
        assert cost.trainable == phase.method.trainable(made.model.shape)
        assert cost.bytes == 4 * cost.trainable > 0
        assert cost.tokens > 0
        assert cost.flops > 0
    rows = {made.phases[key].task: cost.examples for key, cost in costs.items()}
    assert rows["mnli"] == 60 * 2
    assert rows["udpos"] == 30 * 2


# Keys


FIXED = Fingerprint("xlm-roberta", '{"hidden":8}', "t" * 64, "w" * 64)
PHASE = TrainPhase(
    task="xnli",
    rows="mnli",
    data={"train": "a" * 64, "dev": "b" * 64},
    model=FIXED,
    method=methods.parse({"kind": "lora", "rank": 4}),
    stack=("c" * 64,),
    settings=Train(lr=0.0003, epochs=5),
    seed=1,
    title="for people",
)
GOLDEN_KEYS = {
    "earlier": {
        "train": "23bb0af2c01cd82a867f5a39238862b72fb3dc464e9cafdf6889505f814b7315",
        "evaluate": "a200c4abba173f0f7376b4b9223ac731cf1ebcf88e47fbee54ac8f3a8c61a561",
        "retrieve": "2661e3acd21e2bfcf20f5ce1032c65bcfd26cef1dbd9a04d65671a9316c84a82",
    },
    "trainer": {
        "train": "69e4e66e5d19bd1441147c4cd6b655f61ac26bd611ddb6f97fd04d09b2a29f55",
        "evaluate": "9b89b65017a1ec5c7d208130e532c0860e065efdc899e1c8ffcaa92373296cf9",
        "retrieve": "2661e3acd21e2bfcf20f5ce1032c65bcfd26cef1dbd9a04d65671a9316c84a82",
    },
}


@pytest.mark.parametrize("rule", GOLDEN_KEYS)
def test_golden_keys(rule: str) -> None:
    """A key that changes here makes every existing store useless: raise ``version`` only where meaning changed."""
    common: dict[str, Any] = {"model": FIXED, "data": {"de": "d" * 64}, "languages": ("de",)}
    phase = replace(PHASE, settings=PHASE.settings.model_copy(update={"warmup_rule": rule}))
    evaluate = EvaluatePhase(
        task="xnli", method=phase.method, target=phase.key, stack=phase.stack, settings=Evaluate(split="dev"), **common
    )
    retrieve = RetrievePhase(task="tatoeba", method=None, settings=Retrieve(layer=7), **common)
    assert {"train": phase.key, "evaluate": evaluate.key, "retrieve": retrieve.key} == GOLDEN_KEYS[rule]


def test_the_spec_says_what_is_computed() -> None:
    assert PHASE.spec == {
        "kind": "train",
        "version": TrainPhase.version,
        "task": "xnli",
        "rows": "mnli",
        "data": {"train": "a" * 64, "dev": "b" * 64},
        "model": FIXED.identity(),
        "method": {"kind": "lora", "rank": 4},
        "stack": ["c" * 64],
        "train": {"lr": 0.0003, "epochs": 5, "warmup_rule": "trainer"},
        "seed": 1,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "another"},
        {"data": {"dev": "b" * 64, "train": "a" * 64}},
        {"settings": Train(epochs=5, lr=3e-4)},
        {"settings": Train(epochs=5, lr=3e-4, clip=1, batch_size=32)},  # type: ignore[arg-type]
        {"method": methods.parse({"rank": 4, "kind": "lora", "alpha": 16})},
        {"method": methods.parse({"rank": 4, "kind": "lora", "leave_out": []})},
    ],
)
def test_what_a_key_does_not_depend_on(changed: dict[str, Any]) -> None:
    assert dataclasses.replace(PHASE, **changed).key == PHASE.key


@pytest.mark.parametrize(
    "changed",
    [
        {"task": "mnli"},
        {"rows": "xnli"},
        {"data": {"train": "a" * 64, "dev": "e" * 64}},
        {"model": dataclasses.replace(FIXED, weights="x" * 64)},
        {"model": dataclasses.replace(FIXED, tokenizer="x" * 64)},
        {"method": methods.parse({"kind": "lora", "rank": 5})},
        {"base": "e" * 64},
        {"stack": ()},
        {"stack": ("c" * 64, "c" * 64)},
        {"init": "e" * 64},
        {"settings": Train(lr=0.0003, epochs=6)},
        {"seed": 2},
    ],
)
def test_what_a_key_depends_on(changed: dict[str, Any]) -> None:
    assert dataclasses.replace(PHASE, **changed).key != PHASE.key


def test_the_version_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainPhase, "version", TrainPhase.version + 1)
    assert dataclasses.replace(PHASE).key != PHASE.key


def test_a_new_field_at_its_default_leaves_keys_unchanged() -> None:
    class Later(Train):
        invented: float = 0.5

    class LaterFull(Full):
        invented: int = 3

    assert dataclasses.replace(PHASE, settings=Later(lr=0.0003, epochs=5)).key == PHASE.key
    assert dataclasses.replace(PHASE, settings=Later(lr=0.0003, epochs=5, invented=0.6)).key != PHASE.key
    full = dataclasses.replace(PHASE, method=Full())
    assert dataclasses.replace(PHASE, method=LaterFull()).key == full.key


def test_whole_and_real_numbers_of_a_study_are_the_same(make: Callable[..., Plan]) -> None:
    train = {"epochs": 2, "batch_size": 8, "max_length": 48, "dev_examples": 12}
    one = make(train={"lr": 1, "clip": 2, **train}, methods=[{"kind": "lora", "alpha": 4}])
    other = make(train={**train, "clip": 2.0, "lr": 1.0}, methods=[{"alpha": 4.0, "kind": "lora"}])
    assert set(one.phases) == set(other.phases)


def test_keys_hold_no_paths(make: Callable[..., Plan], data_root: Path, tiny: Path, tmp_path: Path) -> None:
    """The same data and model elsewhere, under other names, give the same keys; so does another store."""
    here = make()
    data = shutil.copytree(data_root, tmp_path / "moved ä" / "data")
    model = shutil.copytree(tiny, tmp_path / "moved ä" / "renamed")
    there = make(root=data, store="another", model=str(model), name="renamed")
    assert set(there.phases) == set(here.phases)
    text = json.dumps([phase.spec for phase in here.phases.values()])
    assert str(tiny) not in text
    assert str(data_root) not in text
    assert "/" not in text


def test_keys_follow_content(make: Callable[..., Plan], data_root: Path, tmp_path: Path) -> None:
    """Other bytes in one test set change the phases that read it, and no other."""
    here = make(methods=["lora"], swap="off")
    data = shutil.copytree(data_root, tmp_path / "data")
    german = data / "google/xtreme/udpos.German"
    shutil.copyfile(next(german.glob("validation-*")), next(german.glob("test-*")))
    there = make(root=data, store="another", methods=["lora"], swap="off")
    new = [there.phases[key] for key in set(there.phases) - set(here.phases)]
    assert {(phase.kind, phase.task) for phase in new} == {("evaluate", "udpos")}
    assert len(new) == 3


def test_the_version_of_a_task_is_in_the_key(make: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptstilts import tasks

    here = make(methods=["lora"], swap="off", targets=["udpos"], intermediates=["none"])
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    tasks.add(dataclasses.replace(tasks.get("udpos"), version=2))
    there = make(methods=["lora"], swap="off", targets=["udpos"], intermediates=["none"])
    assert not set(there.phases) & set(here.phases)


def defaults(model: type[StrictModel] | type[methods.Method]) -> dict[str, Any]:
    """Default of every field, as JSON has it."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        found[name] = list(field.default) if isinstance(field.default, tuple) else field.default
    return found


METHODS: dict[str, dict[str, Any]] = {
    "full": {"kind": "full", "freeze_embeddings": False, "freeze_layers": 0},
    "head": {"kind": "head", "over": None},
    "ia3": {"kind": "ia3", "leave_out": []},
    "bitfit": {"kind": "bitfit", "leave_out": []},
    "layernorm": {"kind": "layernorm", "leave_out": []},
    "compacter": {"kind": "compacter", "placement": "seq", "reduction": 32, "leave_out": []},
    "prefix": {"kind": "prefix", "length": 30, "inner": 512, "leave_out": []},
    "bottleneck": {"kind": "bottleneck", "placement": "seq", "reduction": 16, "leave_out": [], "invertible": False},
    "lora": {
        "kind": "lora",
        "rank": 8,
        "alpha": 16.0,
        "targets": ["query", "value"],
        "leave_out": [],
        "rank_stabilized": False,
        "dora": False,
    },
}
DEFAULTS: dict[tuple[str, int], dict[str, Any]] = {
    ("train", 1): {
        "examples": None,
        "epochs": 3,
        "max_steps": None,
        "steps": None,
        "batch_size": 32,
        "max_length": 128,
        "lr": None,
        "warmup": 0.1,
        "warmup_steps": None,
        "warmup_rule": "trainer",
        "weight_decay": 0.01,
        "clip": 1.0,
        "dev_examples": 500,
        "eval_every": None,
        "patience": None,
        "keep": "best",
        "precision": "auto",
        "padding": "bucket",
        "micro_tokens": 8192,
        "cache": False,
    },
    ("evaluate", 1): {"split": "test", "examples": None, "max_length": None, "precision": "fp32"},
    ("retrieve", 1): {
        "layer": None,
        "max_length": 256,
        "precision": "auto",
        "layers": None,
        "pooling": "mean",
        "centering": False,
        "margin": "ratio",
        "k": 4,
        "retrieval": "max",
        "batch_tokens": None,
        "backend": "auto",
        "prefix": "",
        "foreign_prefix": None,
        "english_prefix": None,
    },
}


VERSIONS = {phase.kind: phase.version for phase in (TrainPhase, EvaluatePhase, RetrievePhase)}


@pytest.mark.parametrize(("kind", "model"), [("train", Train), ("evaluate", Evaluate), ("retrieve", Retrieve)])
def test_a_changed_default_needs_a_new_version(kind: str, model: type[StrictModel]) -> None:
    """Defaults are left out of keys, so an old key would mean something new.

    A new field belongs into the table above as it is; a changed default belongs there under a raised ``version``.
    """
    version = (kind, VERSIONS[kind])
    assert version in DEFAULTS, f"the version of {kind} was raised: add its defaults to the table"
    assert defaults(model) == DEFAULTS[version]


@pytest.mark.parametrize("kind", sorted(METHODS))
def test_a_changed_default_of_a_method_needs_a_new_version(kind: str) -> None:
    """As above; a method has no version of its own, so the one of ``train`` is raised."""
    assert TrainPhase.version == 1, "the version was raised: bring this table up to date"
    assert defaults(methods.get(kind)) == METHODS[kind]


def test_every_method_of_the_package_is_in_the_table() -> None:
    assert set(methods.known()) == set(METHODS)


# Refusals


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"methods": ["full"], "swap": "all"}, "swap: full fine-tuning has no intermediate adapter"),
        ({"intermediates": ["mnli"], "swap": "all"}, "swap: needs two or more intermediates"),
        ({"compositions": ["none"], "swap": "all"}, "swap: needs two or more intermediates"),
        ({"methods": [{"kind": "lora", "leave_out": [4]}]}, "the model has no layer 4"),
        ({"methods": [{"kind": "lora", "leave_out": [-1]}]}, "the model has no layer -1"),
        ({"methods": [{"kind": "lora", "leave_out": [0, 1, 2, 3]}]}, "leaves out every layer"),
        ({"methods": [{"kind": "bottleneck", "leave_out": [3, 2, 1, 0]}]}, "leaves out every layer"),
        ({"methods": ["lora", "lora"]}, "is listed twice"),
        ({"methods": ["lora", {"kind": "lora", "rank": 8}]}, "is listed twice"),
        ({"targets": ["xnli", "xnli"]}, "is listed twice"),
        ({"intermediates": ["none", "mnli", "none"]}, "is listed twice"),
        ({"seeds": [1, 1]}, "is listed twice"),
        ({"train": {"max_length": 129}}, "max_length 129 is more than the 128 positions"),
        ({"retrieve": {"max_length": 129}}, "max_length 129 is more than the 128 positions"),
        ({"evaluate": {"max_length": 129}}, "max_length 129 is more than the 128 positions"),
        ({"targets": [{"task": "xnli", "train": {"max_length": 500}}]}, "max_length 500"),
        ({"retrieve": {"layer": 5, "max_length": 48}}, "hidden states 0 to 4"),
        ({"languages": ["xx-unknown"]}, "unknown language 'xx-unknown'"),
        ({"languages": ["no"]}, "ambiguous"),
        ({"languages": ["eo"]}, "no target of this study has 'eo'"),
        ({"targets": ["udpos"], "languages": ["qu"]}, "no target of this study has 'qu'"),
        ({"targets": ["udpos", "xcopa"], "languages": ["de"]}, "xcopa has none of the languages de"),
        ({"intermediates": ["tatoeba"]}, "tatoeba (bitext) cannot be an intermediate task"),
        ({"targets": ["none"]}, "none is not a target task"),
        ({"targets": ["tatoeba"], "intermediates": ["none", "udpos"]}, "cannot be an intermediate task"),
    ],
)
def test_refused_at_plan_time(make: Callable[..., Plan], changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**changed)
    assert words in str(caught.value)


def test_the_longest_sequence_that_fits(make: Callable[..., Plan]) -> None:
    made = make(train={"max_length": 128}, retrieve={"max_length": 128}, evaluate={"max_length": 128})
    assert len(made.phases) > 0


def test_a_missing_language_is_an_error_unless_skipped(make: Callable[..., Plan]) -> None:
    with pytest.raises(DataError) as caught:
        make(missing="error", targets=["udpos"])
    assert "udpos: no test rows for af, ar, bg" in str(caught.value)
    assert "missing=skip" in str(caught.value)
    made = make(missing="skip", targets=["udpos"])
    (cell, *_) = made.cells
    phase = made.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase)
    assert phase.languages == tuple(phase.data) == ("de", "en")
    assert len(cell.missing) == 31
    assert set(cell.missing).isdisjoint({"de", "en"})


def test_languages_named_are_languages_read(make: Callable[..., Plan]) -> None:
    made = make(missing="error", targets=["xnli", "tatoeba"], languages=["German", "zh-CN"])
    for cell in made.cells:
        phase = made.phases[cell.phase]
        assert isinstance(phase, EvaluatePhase | RetrievePhase)
        assert phase.languages == ("de", "zh")
        assert cell.missing == ()
    same = make(missing="error", targets=["xnli", "tatoeba"], languages=["zh", "deu"])
    assert set(same.phases) == set(made.phases)


def test_no_language_at_all_is_an_error_even_when_skipping(make: Callable[..., Plan]) -> None:
    with pytest.raises(DataError, match="no test rows for fr"):
        make(missing="skip", targets=["udpos"], languages=["fr"])


def test_missing_training_data_is_a_data_error(make: Callable[..., Plan], data_root: Path, tmp_path: Path) -> None:
    data = shutil.copytree(data_root, tmp_path / "data")
    shutil.rmtree(data / "nyu-mll")
    with pytest.raises(DataError, match="nyu-mll/glue"):
        make(root=data)


def test_a_model_that_is_not_there(make: Callable[..., Plan], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither the folder of a model nor a hub id"):
        make(model=str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="config"):
        make(model=str(tmp_path / "empty"))


def test_a_plan_writes_nothing_but_its_caches(make: Callable[..., Plan], tmp_path: Path) -> None:
    make()
    assert {path.name for path in (tmp_path / "store").iterdir()} <= {"cache", "pins"}


def test_two_thousand_phases(make: Callable[..., Plan]) -> None:
    seeds = list(range(1, 21))
    made = make(seeds=seeds)
    assert kinds(made) == {"train": 39 * 20, "evaluate": 63 * 20, "retrieve": 6 * 20 + 1}
    assert len(made.order()) == len(made.phases) == 2161
    assert {cell.seed for cell in made.cells} == set(seeds)


def test_a_head_stays_on_the_encoder_under_it(make: Callable[..., Plan]) -> None:
    """Also where sentences are encoded after a head was trained: it leaves no encoder of its own."""
    head = {"kind": "head", "over": "lora"}
    made = make(methods=[head], targets=["tatoeba_r"], intermediates=["none", "mnli"], swap="off")
    for phase in made.phases.values():
        if isinstance(phase, RetrievePhase):
            assert phase.base is None
            assert len(phase.stack) == (2 if "mnli" in phase.title else 1)
