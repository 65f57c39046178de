"""Adapters of the plain libraries come in, stand under a trained target, go out, and load there with the same outputs.

Every test prints the largest difference that it found at each step; run with ``-s`` to see them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.foreign_adapters import CASES, Case, load_plain, states, write
from support.foreign_adapters import IDS as IDS
from support.foreign_adapters import MASK as MASK
from torch import Tensor

from adaptstilts import methods, run
from adaptstilts import study as config
from adaptstilts.errors import AdaptstiltsError, ArtifactError, ConfigError
from adaptstilts.interop import adapters
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.plan.expand import expand
from adaptstilts.plan.swap import swap
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

EXACT, CLOSE = 0.0, 1e-6
WRITTEN = [(case, form) for case in CASES for form in case.files]
Studied = Callable[..., tuple[config.Study, Workspace]]


def ours(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return encoder.states(IDS, MASK)[MASK.bool()]


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def tell(record: Callable[[str, object], None], case: Case, form: str, **steps: float) -> None:
    """Keep the figures in the test report, and print them."""
    for step, value in steps.items():
        record(f"{case.name}/{form}/{step}", value)
        print(f"\nlargest difference: {case.name:16} {form:12} {step:28} {value:.3g}")


def imported(workspace: Workspace, tiny: Path, folder: Path) -> tuple[str, Tensor]:
    """Import a folder; returns the entry's key and the encoder's states with it."""
    entry = adapters.import_adapter(str(folder), str(tiny), workspace)
    resident = AdapterPool(workspace.store, locate(str(tiny)), torch.device("cpu"))
    return entry.key, ours(resident.encoder(None, (entry.key,)))


@pytest.mark.slow
@pytest.mark.parametrize(("case", "form"), WRITTEN, ids=lambda v: v if isinstance(v, str) else v.name)
def test_imported_adapters_compute_the_same(
    tiny: Path, tmp_path: Path, case: Case, form: str, record_property: Callable[[str, object], None]
) -> None:
    expected = write(case, tiny, tmp_path / "theirs", form)
    workspace = Workspace(tmp_path / "store")
    key, found = imported(workspace, tiny, tmp_path / "theirs")
    entry = workspace.store.entry(key)
    assert methods.parse(entry.spec["method"]) == methods.parse(case.method)
    assert apart(ours(Encoder(tiny)), expected) > 1e-3
    difference = apart(found, expected)
    tell(record_property, case, form, imported=difference)
    assert difference <= (CLOSE if case.name == "lora of adapters" else EXACT)
    assert entry.spec["kind"] == "import"
    assert (entry.json("result.json")["file"].endswith(".safetensors")) == (form == "safetensors")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path) -> Studied:
    """Trains XNLI with a method on nothing, once for each method; returns the study and its workspace."""
    folder, made = tmp_path_factory.mktemp("exchange"), {}

    def trained(method: dict[str, object]) -> tuple[config.Study, Workspace]:
        name = json.dumps(method, sort_keys=True)
        if name not in made:
            workspace = Workspace(folder / "store", data_root)
            train = {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.01, "dev_examples": 12}
            held = {"name": "toy", "model": str(tiny), "targets": ["xnli"], "methods": [method], "missing": "skip"}
            study = config.parse(json.dumps({**held, "train": train}))
            run.run_plan(expand(study, workspace), workspace)
            made[name] = study, workspace
        return made[name]

    return trained


STACKED = [case for case in CASES if case.stackable]


@pytest.mark.slow
@pytest.mark.parametrize("case", STACKED, ids=lambda case: case.name)
def test_the_whole_way(
    study: Studied, tiny: Path, tmp_path: Path, case: Case, record_property: Callable[[str, object], None]
) -> None:
    """Import, swap in under a trained target, export both, load both with the plain library."""
    method = {key: value for key, value in case.method.items() if key != "invertible"}
    held, workspace = study(method)
    form = case.files[-1]
    alone = write(case, tiny, tmp_path / "theirs", form, seed=11)
    made = swap(held, workspace, over=[str(tmp_path / "theirs")])
    assert {phase.kind for phase in made.phases.values()} == {"import", "evaluate"}
    run.run_plan(made, workspace)
    (key,) = [phase.key for phase in made.phases.values() if phase.kind == "import"]
    cells = {cell.over: cell for cell in made.cells}
    over = next(name for name in cells if name != "none")
    assert over == f"theirs@{key[:8]}"
    target = workspace.store.entry(cells[over].training[-1])
    library = "peft" if methods.parse(case.method).backend == "peft" else "adapters"
    resident = AdapterPool(workspace.store, locate(str(tiny)), torch.device("cpu"))
    stack = ours(resident.encoder(None, (key, target.key)))
    own = ours(resident.encoder(None, (target.key,)))
    assert apart(stack, own) > 1e-3
    out = exports(workspace, held, tiny, key, tmp_path, "peft" if library == "peft" else "adapterhub")
    again = states(load_plain(tiny, library, [out["import"]]))
    beside = states(load_plain(tiny, library, [out["import"], out["target"]]))
    tell(
        record_property,
        case,
        form,
        **{"exported again": apart(again, alone), "stacked in the library": apart(beside, stack)},
    )
    assert apart(again, alone) <= CLOSE
    assert apart(beside, stack) <= CLOSE
    entry = adapters.import_adapter(str(out["import"]), str(tiny), Workspace(tmp_path / "other"))
    assert ours(
        AdapterPool(Store(tmp_path / "other"), locate(str(tiny)), torch.device("cpu")).encoder(None, (entry.key,))
    ).equal(ours(resident.encoder(None, (key,))))


@pytest.mark.parametrize(
    ("name", "form"),
    [("parallel", "adapterhub"), ("dora", "peft"), ("lora", "adapterhub"), ("lora of adapters", "peft")],
)
def test_one_alone_goes_out_again(
    tiny: Path, tmp_path: Path, name: str, form: str, record_property: Callable[[str, object], None]
) -> None:
    """What cannot be stacked, and LoRA in the format of the library that it did not come from."""
    from adaptstilts.interop import export

    case = next(case for case in CASES if case.name == name)
    expected = write(case, tiny, tmp_path / "theirs")
    workspace = Workspace(tmp_path / "store")
    key, _ = imported(workspace, tiny, tmp_path / "theirs")
    model = locate(str(tiny))
    export.write(workspace.store.entry(key), workspace.store, model, form, tmp_path / "out")
    library = "adapters" if form == "adapterhub" else "peft"
    difference = apart(states(load_plain(tiny, library, [tmp_path / "out"])), expected)
    tell(record_property, case, form, **{"exported alone": difference})
    assert difference <= CLOSE


def exports(workspace: Workspace, held: config.Study, tiny: Path, key: str, folder: Path, form: str) -> dict[str, Path]:
    """Export the imported adapter and the target over it."""
    from adaptstilts.interop import export

    plan = expand(held, workspace)
    adapters.export_adapter(plan, workspace, adapters.AdapterFilter(task="xnli"), form, folder / "target")
    export.write(workspace.store.entry(key), workspace.store, plan.model, form, folder / "again")
    return {"import": folder / "again", "target": folder / "target"}


@pytest.mark.slow
def test_an_import_is_a_parent_like_any_other(study: Studied, tiny: Path, tmp_path: Path) -> None:
    """Named in a study: a target is trained over it, its key is that of its files, and a second run does nothing."""
    case = CASES[0]
    held, workspace = study(case.method)
    write(case, tiny, tmp_path / "theirs")
    part = config.Part(task="my-mnli", adapter=str(tmp_path / "theirs"))
    both = held.model_copy(update={"intermediates": (*held.intermediates, part), "swap": "all"})
    plan = expand(both, workspace)
    outcome = run.run_plan(plan, workspace)
    kinds = [plan.phases[key].kind for key in outcome.done]
    assert sorted(kinds) == ["evaluate", "evaluate", "evaluate", "import", "train"]
    assert {(cell.trained_on, cell.over) for cell in plan.cells} == {
        ("none", "none"), ("none", "my-mnli"), ("my-mnli", "my-mnli"), ("my-mnli", "none"),
    }  # fmt: skip
    assert run.run_plan(expand(both, workspace), workspace).done == []
    (key,) = [phase.key for phase in plan.phases.values() if phase.kind == "import"]
    entry = workspace.store.entry(key)
    assert set(entry.manifest["files"]) == {
        "adapter/adapter.safetensors", "adapter/adapter_config.json", "cost.json", "result.json",
    }  # fmt: skip
    assert str(tmp_path) not in json.dumps(entry.spec)
    moved = tmp_path / "elsewhere"
    (tmp_path / "theirs").rename(moved)
    same = part.model_copy(update={"adapter": str(moved)})
    assert set(expand(both.model_copy(update={"intermediates": (*held.intermediates, same)}), workspace).phases) == set(
        plan.phases
    )
    write(case, tiny, moved, seed=6)
    again = Workspace(workspace.store.folder, workspace.sources.root)
    other = expand(both.model_copy(update={"intermediates": (*held.intermediates, same)}), again)
    assert key not in other.phases


def test_an_exported_target_over_an_import(study: Studied, tiny: Path, tmp_path: Path) -> None:
    """The folder holds what it stands on, and the plain library gets the same states from both."""
    case = next(case for case in CASES if case.name == "lora")
    held, workspace = study(case.method)
    write(case, tiny, tmp_path / "theirs")
    part = config.Part(task="my-mnli", adapter=str(tmp_path / "theirs"))
    both = held.model_copy(update={"intermediates": (*held.intermediates, part)})
    plan = expand(both, workspace)
    run.run_plan(plan, workspace)
    choice = adapters.AdapterFilter(task="xnli", trained_on="my-mnli")
    paths = adapters.export_adapter(plan, workspace, choice, "peft", tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in paths}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "adaptstilts.json", "head/head.json",
        "head/head.safetensors", *(f"below/0-my-mnli/{name}" for name in (
            "adapter_config.json", "adapter_model.safetensors", "adaptstilts.json")),
    }  # fmt: skip
    cell = next(cell for cell in plan.cells if cell.trained_on == "my-mnli")
    resident = AdapterPool(workspace.store, plan.model, torch.device("cpu"))
    target = workspace.store.entry(cell.training[-1])
    expected = ours(resident.encoder(None, (*target.spec["stack"], target.key)))
    folders = [tmp_path / "out" / "below" / "0-my-mnli", tmp_path / "out"]
    assert apart(states(load_plain(tiny, "peft", folders)), expected) <= CLOSE
    assert adapters.export_adapter(
        plan, workspace, adapters.AdapterFilter(intermediate="my-mnli"), "adapterhub", tmp_path / "hub"
    )
    again = adapters.import_adapter(str(tmp_path / "hub"), str(tiny), Workspace(tmp_path / "s"))
    assert methods.parse(again.spec["method"]) == methods.parse(case.method)


@pytest.mark.slow
def test_adapters_of_one_task_under_each_other(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    """XQuAD over SQuAD is an adapter called squad over another one; the library would let one replace the other."""
    workspace = Workspace(tmp_path / "store", data_root)
    train = {"max_steps": 2, "eval_every": 2, "batch_size": 8, "max_length": 48, "lr": 0.01, "dev_examples": 4}
    held = {"name": "toy", "model": str(tiny), "targets": ["xquad"], "intermediates": ["squad"], "missing": "skip"}
    for method, library, form in (("compacter", "adapters", "adapterhub"), ("lora", "peft", "peft")):
        arm = {"kind": method, "reduction": 4} if method == "compacter" else {"kind": method, "rank": 2}
        plan = expand(config.parse(json.dumps({**held, "methods": [arm], "train": train})), workspace)
        run.run_plan(plan, workspace)
        out = tmp_path / method
        adapters.export_adapter(plan, workspace, adapters.AdapterFilter(task="xquad"), form, out)
        target = workspace.store.entry(plan.cells[0].training[-1])
        encoder = AdapterPool(workspace.store, plan.model, torch.device("cpu"))
        expected = ours(encoder.encoder(None, (*target.spec["stack"], target.key)))
        alone = ours(encoder.encoder(None, (target.key,)))
        found = states(load_plain(tiny, library, [out / "below" / "0-squad", out]))
        assert apart(alone, expected) > 100 * CLOSE
        assert apart(found, expected) <= CLOSE
    with pytest.raises(ConfigError, match="does not sum stacked LoRA"):
        adapters.export_adapter(plan, workspace, adapters.AdapterFilter(task="xquad"), "adapterhub", tmp_path / "x")


@pytest.mark.parametrize(
    ("case", "form", "told"),
    [
        (CASES[0], "peft", "formats for it: adapterhub, own"),
        (next(case for case in CASES if case.name == "lora everywhere"), "adapterhub", "formats for it: peft, own"),
        (next(case for case in CASES if case.name == "ia3"), "adapterhub", "formats for it: peft, own"),
    ],
    ids=["bottleneck", "lora", "ia3"],
)
def test_a_format_that_cannot_hold_it(study: Studied, tmp_path: Path, case: Case, form: str, told: str) -> None:
    held, workspace = study(case.method)
    plan = expand(held, workspace)
    with pytest.raises(ConfigError, match=told):
        adapters.export_adapter(plan, workspace, adapters.AdapterFilter(task="xnli"), form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.iterdir()) == []


def test_exports_that_cannot_be_meant(study: Studied, tmp_path: Path) -> None:
    held, workspace = study(CASES[0].method)
    plan = expand(held, workspace)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for choice, out, told in (
        (adapters.AdapterFilter(task="xnli", seed=7), "a", "no adapter of this study fits"),
        (adapters.AdapterFilter(task="xnli"), "full", "exists and is not empty"),
    ):
        with pytest.raises(ConfigError, match=told):
            adapters.export_adapter(plan, workspace, choice, "adapterhub", tmp_path / out)
    two = expand(held.model_copy(update={"seeds": (1, 2)}), workspace)
    with pytest.raises(ConfigError, match=r"2 adapters of this study fit; say which: xnli .* seed 1; xnli"):
        adapters.export_adapter(two, workspace, adapters.AdapterFilter(task="xnli"), "adapterhub", tmp_path / "a")
    with pytest.raises(ConfigError, match="run the study first"):
        adapters.export_adapter(
            two, workspace, adapters.AdapterFilter(task="xnli", seed=2), "adapterhub", tmp_path / "a"
        )


def test_our_own_format(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    """BitFit has no library: it goes out and comes back in our own format, and other base models are refused."""
    from support.inputs import make_encoder

    workspace = Workspace(tmp_path / "store", data_root)
    train = {"max_steps": 2, "batch_size": 8, "max_length": 48, "lr": 0.01, "dev_examples": 12}
    held = {
        "name": "toy",
        "model": str(tiny),
        "targets": ["xnli"],
        "methods": ["bitfit", "full", "head"],
        "missing": "skip",
    }
    plan = expand(config.parse(json.dumps({**held, "train": train})), workspace)
    run.run_plan(plan, workspace)
    choice = adapters.AdapterFilter(task="xnli", method="bitfit")
    adapters.export_adapter(plan, workspace, choice, "own", tmp_path / "own")
    other = Workspace(tmp_path / "other")
    entry = adapters.import_adapter(str(tmp_path / "own"), str(tiny), other, "mine")
    assert (entry.spec["task"], entry.spec["method"], entry.json("result.json")["format"]) == (
        "mine", {"kind": "bitfit"}, "own",
    )  # fmt: skip
    assert entry.json("result.json")["notes"] == []
    before = workspace.store.entry(plan.cells[0].training[-1]).folder / "adapter" / "adapter_model.safetensors"
    assert (entry.folder / "adapter" / "adapter_model.safetensors").read_bytes() == before.read_bytes()
    strange = make_encoder(tmp_path / "strange", seed=2)
    with pytest.raises(ArtifactError, match=r"belongs to another base model: .*weights"):
        adapters.import_adapter(str(tmp_path / "own"), str(strange), other)
    for method, content in (("full", "a whole encoder"), ("head", "a task's head alone")):
        choice = adapters.AdapterFilter(task="xnli", method=method)
        with pytest.raises(ConfigError, match=f"its entry has no adapter; .* is {content}"):
            adapters.export_adapter(plan, workspace, choice, "own", tmp_path / "x")


def test_an_adapter_of_another_kind(study: Studied, tiny: Path, tmp_path: Path) -> None:
    held, workspace = study(CASES[0].method)
    write(next(case for case in CASES if case.name == "lora"), tiny, tmp_path / "theirs")
    part = config.Part(task="my-mnli", adapter=str(tmp_path / "theirs"))
    with pytest.raises(ConfigError, match="is of the kind lora, but the method that uses it is of the kind bottleneck"):
        expand(held.model_copy(update={"intermediates": (part,)}), workspace)
    write(next(case for case in CASES if case.name == "seq head"), tiny, tmp_path / "other")
    part = config.Part(task="my-mnli", adapter=str(tmp_path / "other"))
    compositions = (config.Composition(kind="continue"),)
    with pytest.raises(ConfigError, match="to continue or merge them, both must have the same settings"):
        expand(held.model_copy(update={"intermediates": (part,), "compositions": compositions}), workspace)
    with pytest.raises(ConfigError, match="is not a name for an adapter"):
        adapters.import_adapter(str(tmp_path / "other"), str(tiny), workspace, "../x")
    with pytest.raises(ConfigError, match="fits no target"):
        swap(held, workspace, over=[str(tmp_path / "theirs")])


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"task": "mnli"}, "mnli is a task; give the adapter a name of its own"),
        ({"task": "none"}, "none is a task"),
        ({"train": {"epochs": 2}}, "train: cannot be combined with adapter"),
        ({"mixture": {"tasks": ["mnli", "squad"]}}, "mixture: cannot be combined with adapter"),
        ({"adapter": 5}, "adapter: expected text, found 5"),
    ],
)
def test_study_files(part: dict[str, object], told: str) -> None:
    base = {"name": "toy", "model": "m", "targets": ["xnli"], "methods": ["bottleneck"]}
    whole = {"task": "mine", "adapter": "somewhere", **part}
    with pytest.raises(ConfigError, match=told):
        config.parse(json.dumps({**base, "intermediates": [whole]}))


def test_only_intermediates_can_be_adapters() -> None:
    base = {"name": "toy", "model": "m", "targets": [{"task": "x", "adapter": "y"}], "methods": ["bottleneck"]}
    with pytest.raises(ConfigError, match="only an intermediate can be an adapter"):
        config.parse(json.dumps(base))


def test_a_changed_folder_is_noticed(tiny: Path, tmp_path: Path) -> None:
    """Between planning and running."""
    from adaptstilts.plan.imported import import_phase

    case = CASES[0]
    write(case, tiny, tmp_path / "theirs")
    workspace = Workspace(tmp_path / "store")
    model = locate(str(tiny))
    phase = import_phase(str(tmp_path / "theirs"), None, model, workspace)
    write(case, tiny, tmp_path / "theirs", seed=9)
    with pytest.raises(AdaptstiltsError, match="changed since the plan was made"):
        run.run_plan(adapters._SinglePhasePlan(model, phase), workspace)
    assert workspace.store.keys() == []
