"""Compositions, chains, merges and language adapters in studies: what is planned, what is refused, what runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY, make_data, write_split

from adaptstilts import study as config
from adaptstilts.data.sources import Split
from adaptstilts.errors import ConfigError
from adaptstilts.models.locate import Model
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import EvaluatePhase, MergePhase, TrainPhase
from adaptstilts.plan.validation import blends_adapters
from adaptstilts.study import Study
from adaptstilts.workspace import Workspace

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
LORA: dict[str, Any] = {"kind": "lora", "rank": 2}
TEXT = {code: [{"repo": "local/lines", "config": code}] for code in ("en", "de")}
LANGUAGES: dict[str, Any] = {"text": TEXT, "train": {"max_steps": 2}}
ON = {**SEQ, "language_adapters": True}
BOTH = ["mnli", "squad"]

Make = Callable[..., Plan]


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data with text in two languages."""
    root = make_data(tmp_path_factory.mktemp("lines"))
    for code, text in (("en", "the old dog sees a red bird"), ("de", "a good house of stone not a tree")):
        write_split(root, "local/lines", code, "train", [{"text": text}] * 12)
    return root


@pytest.fixture
def make(tiny: Path, lines: Path, tmp_path: Path) -> Make:
    """Expands the toy study, one target and two intermediates of it, with some keys changed."""

    def expanded(**changed: Any) -> Plan:
        small = {"model": str(tiny), "intermediates": BOTH, "targets": ["udpos"], "swap": "off", "methods": [SEQ]}
        study = config.parse(json.dumps({**STUDY, **small, **changed}))
        return expand.expand(study, Workspace(tmp_path / "store", lines))

    return expanded


def trained(made: Plan, task: str = "udpos") -> list[TrainPhase]:
    return [phase for phase in made.phases.values() if isinstance(phase, TrainPhase) and phase.task == task]


def one(made: Plan, task: str = "udpos") -> TrainPhase:
    (phase,) = trained(made, task)
    return phase


def merges(made: Plan) -> list[MergePhase]:
    return [phase for phase in made.phases.values() if isinstance(phase, MergePhase)]


def result(made: Plan, trained_on: str, over: str = "") -> EvaluatePhase:
    (cell,) = [cell for cell in made.cells if (cell.trained_on, cell.over) == (trained_on, over or trained_on)]
    phase = made.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase)
    return phase


# Keys of what there was before.

PINNED = {
    "train mnli (full), seed 1": "dbccdef9aab77b02",
    "train xnli (full) over mnli, seed 1": "e9583ce7dd66a25c",
    "train udpos (bottleneck reduction=4) over social_i_qa, seed 1": "4d44a029d4b44c64",
    "train mnli (lora rank=2), seed 1": "8ff51a08e25b9ac1",
    "evaluate xnli (bottleneck reduction=4) over mnli, swapped from none, seed 1": "1210ba6edfc0f8cf",
    "retrieve tatoeba, mnli (full), seed 1": "b50961d314cfab80",
}
ALL = "89be0b8d832f16a7f9637eb309f7a5f3f8d91530d35f827a565b2d44dbc22595"


def test_keys_of_plain_studies_are_what_they_were(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, lines: Path, tmp_path: Path
) -> None:
    """Identities of data and model are made constant, as their files differ with the libraries that write them."""
    located = Workspace.model

    def model(self: Workspace, study: Study) -> Model:
        found = located(self, study)
        shape = '{"heads":4,"hidden":32,"intermediate":64,"layers":4,"positions":130,"vocabulary":54}'
        fixed = dataclasses.replace(found.fingerprint, tokenizer="t", weights="w", shape=shape, settings="")
        return dataclasses.replace(found, fingerprint=fixed)

    def identity(self: Split, version: int) -> str:
        return f"{self.source.repo}/{self.source.config}/{self.source.split} {version}"

    monkeypatch.setattr(Workspace, "model", model)
    monkeypatch.setattr(Split, "identity", identity)
    for more in ({}, {"compositions": ["stack"], "language_adapters": None}):
        train = {**STUDY["train"], "warmup_rule": "earlier"}  # the one of the version that the keys are of
        study = config.parse(json.dumps({**STUDY, "model": str(tiny), **more, "train": train}))
        made = expand.expand(study, Workspace(tmp_path / "store", lines))
        keys = {phase.title: phase.key for phase in made.phases.values()}
        assert {title: keys[title][:16] for title in PINNED} == PINNED
        assert len(keys) == 109
        assert hashlib.sha256("\n".join(sorted(keys.values())).encode()).hexdigest() == ALL


# What each composition adds.


def test_continue_starts_as_the_intermediate(make: Make) -> None:
    made = make(compositions=[{"kind": "continue", "of": ["mnli"]}])
    assert (one(made).start, one(made).stack, one(made).init) == (one(made, "mnli").key, (), None)
    assert one(made).parents == (one(made, "mnli").key,)
    assert result(made, "mnli (continue)").stack == ()
    assert [cell.composition for cell in made.cells] == ["continue"]


def test_fuse_is_over_all_of_them_in_order(make: Make) -> None:
    made = make(compositions=[{"kind": "fuse", "of": ["squad", "mnli"]}])
    assert one(made).fuse == (one(made, "squad").key, one(made, "mnli").key)
    assert result(made, "squad+mnli (fuse)").stack == ()
    assert one(made).trainable(made.model.shape) == 4 * (3 * 32 * 32 + 2 * 32)
    other = make(compositions=["fuse"])
    assert one(other).fuse == (one(other, "mnli").key, one(other, "squad").key)


@pytest.mark.parametrize("method", [SEQ, LORA, "ia3", "bitfit", "layernorm", "full"])
def test_merge_sums_what_was_trained_alone(make: Make, method: Any) -> None:
    made = make(methods=[method], compositions=["none", "merge", {"kind": "merge", "of": ["mnli"], "weights": [1, -2]}])
    alone = one(made)
    assert (alone.stack, alone.base, alone.start) == ((), None, None)
    assert [(phase.of, phase.weights) for phase in merges(made)] == [
        ((one(made, "mnli").key, alone.key), (0.5, 0.5)),
        ((one(made, "squad").key, alone.key), (0.5, 0.5)),
        ((one(made, "mnli").key, alone.key), (1.0, -2.0)),
    ]
    names = ["none", "mnli (merge)", "squad (merge)", "mnli (merge: 1, -2)"]
    assert [(cell.trained_on, cell.composition) for cell in made.cells] == [
        (name, "none" if name == "none" else "merge") for name in names
    ]
    assert result(made, "mnli (merge)").target == merges(made)[0].key
    assert all(phase.task == "udpos" for phase in merges(made))
    assert all(cell.training == (alone.key,) for cell in made.cells)


def test_merge_then_stack_stands_on_the_sum(make: Make) -> None:
    made = make(compositions=[{"kind": "merge_then_stack", "weights": [0.25, 0.75]}])
    (sum_,) = merges(made)
    assert sum_.of == (one(made, "mnli").key, one(made, "squad").key)
    assert one(made).stack == (sum_.key,) == result(made, "mnli+squad (merge_then_stack: 0.25, 0.75)").stack
    full = make(methods=["full"], compositions=["merge_then_stack"])
    assert one(full).base == merges(full)[0].key
    assert merges(full)[0].weights == (0.5, 0.5)


def test_the_same_phases_are_planned_once(make: Make) -> None:
    kinds = ["stack", "continue", "fuse", "merge", "merge_then_stack", "none"]
    made = make(compositions=kinds, targets=["udpos", "xnli"])
    assert len(trained(made, "mnli")) == len(trained(made, "squad")) == 1
    # over either, from either, fused, alone, and on the sum
    assert len(trained(made)) == len(trained(made, "xnli")) == 2 + 2 + 1 + 1 + 1
    assert len(merges(made)) == 2 * 2 + 1
    assert len(made.cells) == 2 * (2 + 2 + 1 + 2 + 1 + 1)
    assert len({(cell.task, cell.trained_on, cell.over) for cell in made.cells}) == len(made.cells)
    order = [phase.key for phase in made.order()]
    assert len(order) == len(made.phases)
    for phase in made.order():
        assert all(order.index(parent) < order.index(phase.key) for parent in phase.parents)


def test_methods_may_have_compositions_of_their_own(make: Make) -> None:
    made = make(methods=[{**SEQ, "compositions": ["fuse"]}, LORA], compositions=["continue"])
    told = [(cell.method, cell.composition) for cell in made.cells]
    assert told == [("bottleneck reduction=4", "fuse"), ("lora rank=2", "continue"), ("lora rank=2", "continue")]


def test_full_fine_tuning_is_continued_as_it_is(make: Make) -> None:
    made = make(methods=["full"], compositions=["stack", "continue"])
    assert [cell.trained_on for cell in made.cells] == BOTH
    assert {phase.base for phase in trained(made)} == {one(made, name).key for name in BOTH}


# Chains and merges among the intermediates.


def chain(composition: str, *tasks: str) -> dict[str, Any]:
    return {"task": "two", "chain": {"tasks": list(tasks or BOTH), "composition": composition}}


def test_a_chain_continues_one_adapter(make: Make) -> None:
    made = make(intermediates=["mnli", chain("continue")])
    first, second = one(made, "mnli"), one(made, "squad")
    assert (second.start, second.init, second.stack) == (first.key, None, ())
    assert {phase.stack for phase in trained(made)} == {(first.key,), (second.key,)}
    assert result(made, "two").stack == (second.key,)


def test_a_chain_stacks_adapters(make: Make) -> None:
    made = make(intermediates=["mnli", chain("stack")], compositions=["stack", "continue"])
    first, second = one(made, "mnli"), one(made, "squad")
    assert second.stack == (first.key,)
    assert result(made, "two").stack == (first.key, second.key)
    on = {(phase.stack, phase.start) for phase in trained(made)}
    assert ((first.key, second.key), None) in on
    assert ((first.key,), second.key) in on


@pytest.mark.parametrize("composition", ["continue", "stack"])
def test_a_chain_of_full_fine_tuning(make: Make, composition: str) -> None:
    made = make(methods=["full"], intermediates=[chain(composition)])
    assert one(made, "squad").base == one(made, "mnli").key
    assert one(made).base == one(made, "squad").key


def test_a_merge_is_an_intermediate_and_may_be_swapped_only(make: Make) -> None:
    soup = {"task": "soup", "merge": {"of": BOTH, "weights": [1, -0.5], "leave_out": [0]}}
    made = make(intermediates=["none", soup, *BOTH], swap="all")
    (sum_,) = merges(made)
    assert (sum_.weights, sum_.method.label) == ((1.0, -0.5), "bottleneck reduction=4 leave_out=[0]")
    assert (sum_.key,) in {phase.stack for phase in trained(made)}
    assert result(made, "none", "soup").stack == (sum_.key,)
    assert result(made, "soup", "mnli").stack == (one(made, "mnli").key,)
    only = make(intermediates=["none", {**soup, "swap_only": True}, *BOTH], swap="all")
    assert not any(sum_.key in phase.stack for phase in trained(only))
    assert "soup" not in {cell.trained_on for cell in only.cells}
    assert {cell.trained_on for cell in only.cells if cell.over == "soup"} == {"none", "mnli", "squad"}


def test_what_is_fused_continued_or_merged_is_not_swapped(make: Make) -> None:
    made = make(swap="all", compositions=["stack", "continue", "fuse", "merge", "merge_then_stack"])
    swapped = {(cell.trained_on, cell.over) for cell in made.cells if cell.swapped}
    total = "mnli+squad (merge_then_stack)"
    assert swapped == {("mnli", "squad"), ("squad", "mnli"), (total, "mnli"), (total, "squad")}


# Language adapters.


def test_language_adapters_are_under_everything(make: Make) -> None:
    made = make(methods=[ON, SEQ], language_adapters=LANGUAGES, languages=["en", "de"], intermediates=["none", *BOTH])
    english, german = one(made, "language-en"), one(made, "language-de")
    assert (english.stack, english.method.label) == ((), "bottleneck reduction=2 invertible=True")
    assert english.settings.max_steps == 2
    on = [cell for cell in made.cells if cell.method == "bottleneck reduction=4 on language adapters"]
    assert len(on) == 3
    for cell in made.cells:
        phase = made.phases[cell.phase]
        assert isinstance(phase, EvaluatePhase)
        target = made.phases[phase.target]
        assert isinstance(target, TrainPhase)
        floor = (english.key,) if cell in on else ()
        assert target.stack == (*floor, *phase.stack)
        assert dict(phase.below) == ({"en": english.key, "de": german.key} if cell in on else {})
        assert set(phase.below.values()) <= set(phase.parents)
    assert {phase.stack for phase in trained(made, "mnli")} == {(english.key,), ()}


def test_a_language_without_text_has_englishs(make: Make) -> None:
    held = {"text": {"en": TEXT["en"]}}
    made = make(methods=[ON], language_adapters=held, languages=["en", "de"])
    assert set(result(made, "mnli").below.values()) == {one(made, "language-en").key}


def test_language_adapters_are_shared_by_methods_and_not_by_seeds(make: Make) -> None:
    head = {"kind": "head", "over": SEQ, "language_adapters": True}
    made = make(methods=[ON, head], language_adapters=LANGUAGES, languages=["en", "de"], seeds=[1, 2])
    assert len(trained(made, "language-en")) == len(trained(made, "language-de")) == 2
    assert len(trained(made, "mnli")) == 2


@pytest.mark.parametrize("kind", ["continue", "fuse", "merge", "merge_then_stack", "none"])
def test_every_composition_stands_on_a_language_adapter(make: Make, kind: str) -> None:
    made = make(methods=[ON], language_adapters=LANGUAGES, languages=["en", "de"], compositions=[kind])
    floor = one(made, "language-en").key
    assert all(phase.stack[0] == floor for phase in trained(made))
    for cell in made.cells:
        phase = made.phases[cell.phase]
        assert isinstance(phase, EvaluatePhase)
        assert floor not in phase.stack  # it is among those below, by language
        assert set(phase.below) == {"en", "de"}


# What is refused.

MERGE = {"task": "soup", "merge": {"of": BOTH}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"compositions": ["stak"]}, "compositions.0.kind: expected one of"),
        ({"compositions": [{"kind": "stack", "off": []}]}, "unknown key; did you mean of"),
        ({"compositions": [{"kind": "stack", "of": ["mnlj"]}]}, r"mnlj is not an intermediate.*did you mean mnli"),
        ({"compositions": [{"kind": "merge", "of": ["mnlj"]}]}, "mnlj is not an intermediate of this study"),
        ({"compositions": [{"kind": "stack", "weights": [1]}]}, "compositions.0.weights: stack takes no weights"),
        ({"compositions": [{"kind": "none", "of": ["mnli"]}]}, "none uses no intermediate"),
        ({"compositions": [{"kind": "merge", "weights": [1]}]}, r"mnli \(merge: 1\): 1 weight for 2 adapters"),
        ({"compositions": [{"kind": "merge_then_stack", "weights": [1, 2, 3]}]}, "3 weights for 2 adapters"),
        ({"compositions": [{"kind": "fuse", "of": ["mnli"]}]}, r"cannot be fused \(mnli \(fuse\)\): two or more"),
        ({"compositions": ["fuse"], "methods": [LORA]}, "method lora rank=2: cannot be fused .*it attends over"),
        ({"compositions": ["fuse"], "intermediates": ["none"]}, "compositions.0: fuse needs an intermediate"),
        ({"compositions": ["continue"], "intermediates": ["none"]}, "compositions.0: continue needs an intermediate"),
        ({"compositions": ["merge"], "intermediates": ["none"]}, "compositions.0: merge needs an intermediate"),
        ({"compositions": ["merge_then_stack"], "intermediates": ["none"]}, "merge_then_stack needs an intermediate"),
        ({"compositions": ["merge"], "methods": ["prefix"]}, r"prefix: cannot be merged \(mnli \(merge\)\): a network"),
        ({"compositions": ["merge"], "methods": [{"kind": "compacter", "reduction": 4}]}, "its weights are products"),
        ({"compositions": ["merge"], "methods": [{**LORA, "dora": True}]}, "cannot be merged .*DoRA"),
        (
            {"compositions": ["continue"], "methods": [{"kind": "head", "over": SEQ}]},
            "it trains no adapter, so none",
        ),
        (
            {"intermediates": [*BOTH, {"task": "soup", "merge": {"of": ["mnlj"]}}]},
            "merge.of.0: mnlj is not an",
        ),
        ({"intermediates": ["none", {"task": "s", "merge": {"of": ["none"]}}]}, "s: none is not a single adapter"),
        ({"intermediates": [*BOTH, {"task": "s", "merge": {"of": BOTH, "weights": [1]}}]}, "s: 1 weight for 2"),
        ({"intermediates": [chain("stack"), {"task": "s", "merge": {"of": ["two"]}}]}, "two is not a single adapter"),
        (
            {"intermediates": [chain("stack"), "mnli"], "compositions": ["fuse"]},
            "two is not a single adapter, so it cannot be",
        ),
        ({"intermediates": [*BOTH, {"task": "s", "merge": {"of": BOTH, "leave_out": [4]}}]}, "layers are 0 to 3"),
        ({"intermediates": [*BOTH, {"task": "s", "merge": {"of": BOTH, "leave_out": [0, 1, 2, 3]}}]}, "must be left"),
        (
            {"intermediates": [*BOTH, {"task": "s", "merge": {"of": BOTH, "leave_out": [0]}}], "methods": ["full"]},
            "s: leave_out: full has no layers to leave out",
        ),
        ({"intermediates": [*BOTH, MERGE], "methods": [LORA], "compositions": ["continue"]}, "that one is lora rank=4"),
        (
            {"intermediates": [chain("stack")], "methods": [{"kind": "bottleneck", "invertible": True}]},
            "in a stack, only the lowest adapter's invertible part acts",
        ),
        ({"methods": [{**LORA, "dora": True}], "compositions": ["none"], "swap": "all"}, "swap: needs two or more"),
        ({"methods": [ON]}, "this study has no language_adapters"),
        (
            {"methods": [ON], "language_adapters": {"text": {"de": TEXT["de"]}}},
            r"language_adapters.text: en is missing,",
        ),
        ({"methods": [ON], "language_adapters": {"text": {}}}, "language_adapters.text"),
        ({"methods": [ON], "language_adapters": {"text": {**TEXT, "German": TEXT["de"]}}}, "write German as de"),
        ({"methods": [ON], "language_adapters": {"text": {**TEXT, "xq": TEXT["de"]}}}, "unknown language 'xq'"),
        (
            {"methods": [{**LORA, "language_adapters": True}], "language_adapters": LANGUAGES},
            r"cannot be trained over language adapters: they are of another kind \(bottleneck\)",
        ),
        (
            {"methods": [{**SEQ, "invertible": True, "language_adapters": True}], "language_adapters": LANGUAGES},
            "cannot be trained over language adapters: in a stack, only the lowest",
        ),
        (
            {"methods": [ON], "language_adapters": {**LANGUAGES, "method": {"placement": "parallel"}}},
            "cannot be trained over language adapters: the library runs only the top one",
        ),
        ({"methods": [ON], "language_adapters": LANGUAGES, "targets": ["tatoeba"]}, "with language adapters"),
        ({"language_adapters": {**LANGUAGES, "method": {"kind": "lora"}}}, "language_adapters.method.kind"),
    ],
)
def test_what_cannot_be_meant_is_one_line(make: Make, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        make(**changed)
    assert len(str(refused.value).splitlines()) == 1


MIXED = {"tasks": BOTH}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"task": "x", "mixture": MIXED, "chain": MIXED}, "chain: cannot be combined with mixture"),
        ({"task": "x", "chain": MIXED, "merge": {"of": ["mnli"]}}, "merge: cannot be combined with chain"),
        ({"task": "x", "chain": MIXED, "masked": {"text": TEXT["en"]}}, "chain: cannot be combined with masked"),
        ({"task": "x", "merge": {"of": ["mnli"]}, "masked": {"text": TEXT["en"]}}, "cannot be combined with masked"),
        ({"task": "mnli", "chain": MIXED}, "mnli is a task; give the chain a name of its own"),
        ({"task": "mnli", "merge": {"of": ["squad"]}}, "mnli is a task; give the merge a name of its own"),
        ({"task": "x", "chain": {"tasks": ["mnli"]}}, "chain.tasks"),
        ({"task": "x", "chain": {"tasks": ["mnli", "mnli"]}}, "has the same task twice"),
        ({"task": "x", "chain": {"tasks": ["mnli", "none"]}}, "none is not a task"),
        ({"task": "x", "chain": {"tasks": ["mnli", "tatoeba"]}}, "tatoeba .*cannot be an intermediate task"),
        ({"task": "x", "chain": {**MIXED, "composition": "fuse"}}, "chain.composition"),
        ({"task": "x", "merge": {"of": []}}, "merge.of"),
        ({"task": "none", "swap_only": True}, "swap_only: only an intermediate task can have it"),
    ],
)
def test_parts_that_cannot_be_meant(make: Make, part: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        make(intermediates=["mnli", "squad", part] if part["task"] != "mnli" else [part])
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["chain", "merge", "swap_only"])
def test_targets_have_none_of_it(make: Make, key: str) -> None:
    value: Any = {"chain": MIXED, "merge": {"of": ["mnli"]}, "swap_only": True}[key]
    with pytest.raises(ConfigError, match=f"{key}: only an intermediate task can have it"):
        make(targets=[{"task": "udpos" if key == "swap_only" else "x", key: value}])


@pytest.mark.parametrize(("own", "found"), [(["stack"], False), (["continue"], True), (["stack", "merge"], True)])
def test_a_methods_own_compositions_are_what_its_adapters_must_fit(own: list[str], found: bool) -> None:
    """Somebody else's adapter is compared with the method where it is to be continued or summed."""
    arm = {"kind": "bottleneck", "compositions": own}
    study = {"name": "s", "model": "m", "intermediates": ["mnli"], "targets": ["xnli"], "methods": [arm]}
    assert blends_adapters(config.parse(json.dumps(study))) is found
