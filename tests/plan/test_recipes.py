"""Reference studies train as the benchmarks' own scripts do, and a study that does not is told so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.shipped import OVERRIDES, ROOT

from adaptstilts import cli, study, tasks
from adaptstilts.cli.settings_text import difference_lines, settings_lines
from adaptstilts.errors import ConfigError
from adaptstilts.plan.expand import expand_each
from adaptstilts.plan.outline import Outline
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.plan.recipes import Training, trainings
from adaptstilts.study import Study, Train

FILES = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if "pretrain" not in path.parts)
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

# Rate, epochs, rows of a step (and how the source makes them up), tokens, warm-up, decay, weights kept, steps between
# evaluations, patience. Read in google-research/xtreme at 838c13b, for XLM-R large.
XTREME = {
    "xnli (mnli)": (3e-5, 5, 2 * 16, 128, 0.0, 0.0, "best", 100, None),  # train_xnli.sh, run_classify.py
    "xcopa (social_i_qa)": (3e-5, 5, 2 * 16, 128, 0.0, 0.0, "last", None, None),  # train_xcopa.sh, run_xcopa.py
    "xcopa (copa)": (3e-5, 5, 2 * 16, 128, 0.0, 0.0, "last", None, None),  # the same
    "udpos": (2e-5, 10, 2 * 16, 128, 0.0, 0.0, "best", 500, None),  # train_udpos.sh, run_tag.py
    "panx": (2e-5, 10, 2 * 16, 128, 0.0, 0.0, "best", 1000, None),  # train_panx.sh, run_tag.py
    "xquad (squad)": (3e-5, 3, 4 * 8, 384, 500, 1e-4, "last", None, None),  # train_qa.sh, predict_qa.sh
    "mlqa (squad)": (3e-5, 3, 4 * 8, 384, 500, 1e-4, "last", None, None),
    "tydiqa": (3e-5, 3, 4 * 8, 384, 500, 1e-4, "last", None, None),
    "tatoeba_r (squad)": (3e-5, 3, 4 * 8, 384, 500, 1e-4, "last", None, None),  # run_tatoeba.sh, train_qa.sh
    "lareqa": (2e-5, 3, 4 * 4, 352 - 96, 0.0, 0.0, "best", 1000, None),  # train_lareqa.sh, run_eval_lareqa.sh
    "mewsli_x": (1e-5, 2, 8 * 4, 64, 0.0, 0.0, "last", None, None),  # train_mewslix.sh
}
XTREME_LOWER = {
    "mnli": XTREME["xnli (mnli)"],
    "squad": XTREME["xquad (squad)"],
    "hellaswag": (2e-5, 5, 32, 128, 0.0, 0.0, "last", None, None),  # no script
}
# Read in nyu-mll/jiant: guides/projects/xstilts.md with the defaults of jiant/proj/simple/runscript.py; for targets
# d_write_configs.sh, c_tokenize_and_cache.sh and e_run_models.sh of its scripts for XTREME.
_STILTS = (1e-5, 3, 4, 256, 0.1, 0.01, "last", None, None)
STILTS_LOWER = dict.fromkeys(
    "anli_plus mnli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa multi".split(), _STILTS
)
STILTS = {
    "xnli (mnli)": (1e-5, 2, 4 * 8, 256, 0.1, 0.01, "best", 1000, 30),
    "paws_x": (1e-5, 5, 4 * 8, 256, 0.1, 0.01, "best", 1000, 30),
    "udpos": (1e-5, 10, 4 * 8, 256, 0.1, 0.01, "best", 1000, 30),
    "panx": (1e-5, 10, 4 * 8, 256, 0.1, 0.01, "best", 1000, 30),
    "xquad (squad)": (1e-5, 2, 4 * 4, 384, 0.1, 0.01, "best", 1000, 30),
    "mlqa (squad)": (1e-5, 2, 4 * 4, 384, 0.1, 0.01, "best", 1000, 30),
    "tydiqa": (1e-5, 2, 4 * 4, 384, 0.1, 0.01, "best", 1000, 30),
}


def load(name: str, *overrides: str) -> Study:
    return study.load(ROOT / name, [*OVERRIDES.get(name, []), *overrides])


def row(settings: Train) -> tuple[Any, ...]:
    """Return the settings in the order of the tables above."""
    rise = settings.warmup_steps or settings.warmup
    budget = (settings.lr, settings.epochs, settings.batch_size, settings.max_length, rise, settings.weight_decay)
    return (*budget, settings.keep, settings.eval_every, settings.patience)


def table(loaded: Study, method: str, is_target: bool) -> dict[str, tuple[Any, ...]]:
    return {
        training.label: row(training.settings)
        for training in trainings(loaded)
        if (training.method.split()[0], training.is_target) == (method, is_target)
    }


@pytest.mark.parametrize(
    ("name", "lower", "targets"),
    [
        ("configs/xstilts/xtreme-r.yaml", XTREME_LOWER, XTREME),
        ("configs/xstilts/xlmr-large.yaml", STILTS_LOWER, STILTS),
    ],
)
def test_reference_studies_train_as_the_scripts_do(name: str, lower: dict[str, Any], targets: dict[str, Any]) -> None:
    loaded = load(name)
    assert table(loaded, "full", is_target=False) == lower
    assert table(loaded, "full", is_target=True) == targets
    with_its_rate = {label: (1e-4, *values[1:]) for label, values in targets.items()}
    assert table(loaded, "bottleneck", is_target=True) == with_its_rate
    assert {t.settings.dev_examples for t in trainings(loaded) if t.recipe} == {None if "xtreme" in name else 500}
    assert tasks.get("lareqa").query_length == 96
    assert (loaded.retrieve.layer, loaded.retrieve.max_length) == (14, 512)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_the_settings_that_are_trained_with(name: str, tmp_path: Path) -> None:
    """What is listed from the study alone is what its plan has."""
    loaded = load(name)
    planned: set[str] = set()
    for plan in expand_each(loaded, Outline(tmp_path / "store")):
        planned |= {repr(p.settings) for p in plan.phases.values() if isinstance(p, TrainPhase)}
    assert {repr(training.settings) for training in trainings(loaded)} == planned


def test_every_recipe_states_training_settings_and_their_source() -> None:
    recipes = {(task.name, name): recipe for task in tasks.known().values() for name, recipe in task.recipes.items()}
    assert len(recipes) > 25
    for recipe in recipes.values():
        settings = Train.model_validate(dict(recipe.settings))
        assert settings.lr
        assert recipe.source.startswith(("google-research/xtreme 838c13b scripts/", "nyu-mll/jiant daa5a25 "))
        assert {"lr", "epochs", "batch_size", "max_length", "weight_decay", "keep", "dev_examples"} <= set(
            recipe.settings
        )


@pytest.mark.parametrize(
    "name", ["configs/xstilts/xtreme-r.yaml", "configs/xstilts/xlmr-large.yaml", "configs/quickstart.yaml"]
)
def test_nothing_is_said_where_nothing_differs(name: str) -> None:
    assert [*difference_lines(load(name))] == []


def test_a_study_without_a_recipe_is_told_in_one_line() -> None:
    (line,) = difference_lines(load("configs/mini.yaml"))
    assert line.startswith("not trained as in XTREME's own scripts: ")
    assert line.endswith("; --settings shows how")


def test_what_a_study_overrides_is_told_for_each_task() -> None:
    loaded = load("configs/xstilts/xtreme-r.yaml", "train.epochs=3", "targets=[udpos, xquad]", "intermediates=[none]")
    assert [*difference_lines(loaded)] == [
        "differs from xtreme: udpos (full): epochs 3 (10)",
        "differs from xtreme: udpos (bottleneck): epochs 3 (10)",
    ]
    changed = "{warmup: 0.1, examples: 400, lr: 1.0e-3, keep: best, warmup_rule: earlier, clip: 2.0}"
    loaded = load(
        "configs/xstilts/xtreme-r.yaml", f"targets=[{{task: xquad, train: {changed}}}]", "intermediates=[none]"
    )
    first, second = difference_lines(loaded)
    assert first == (
        "differs from xtreme: xquad (squad) (full): lr 0.001 (3e-05), warm-up 10 % (500 steps), keep best (last),"
        " rows 400 (all), clip 2 (1), rule earlier (trainer)"
    )
    assert "lr" not in second.partition(": xquad")[2]


def test_the_recipe_comes_before_the_study_and_after_the_task() -> None:
    text = "{name: t, model: m, recipe: xtreme, targets: [xquad, udpos], methods: [full, lora], train: {batch_size: 8}}"
    loaded = study.parse(text)
    of: dict[tuple[str, str], Training] = {(t.label, t.method): t for t in trainings(loaded)}
    assert row(of["xquad (squad)", "full"].settings)[:4] == (3e-5, 3, 8, 384)
    assert of["xquad (squad)", "lora"].settings.lr == 3e-4, "the method's own"
    assert row(of["udpos", "full"].settings)[:4] == (2e-5, 10, 8, 128)


def test_a_mixture_takes_what_its_tasks_share() -> None:
    def multi(*names: str) -> Training:
        text = f"[{{task: multi, mixture: {{tasks: [{', '.join(names)}]}}}}]"
        loaded = study.parse(
            f"{{name: t, model: m, recipe: x-stilts, targets: [sample_nli], methods: [full], intermediates: {text}}}"
        )
        return next(training for training in trainings(loaded) if training.label == "multi")

    assert multi("mnli", "squad").settings.batch_size == 4
    assert multi("mnli", "rte").recipe is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("xtrem", "recipe: unknown recipe 'xtrem'; did you mean xtreme?"), ("3", "recipe: expected text, found 3")],
)
def test_an_unknown_recipe_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        study.parse(f"{{name: t, model: m, recipe: {text}, targets: [sample_nli], methods: [full]}}")
    assert message in str(caught.value)


@pytest.fixture
def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[str]]:
    """Run ``adaptstilts plan`` and return what it prints."""

    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(
            sys, "argv", ["adaptstilts", "plan", *arguments, "--store", str(tmp_path / "store"), "--offline"]
        )
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code in (0, None)
        return capsys.readouterr().out.splitlines()

    return run


def test_plan_prints_the_table_without_data_or_a_store(printed: Callable[..., list[str]], tmp_path: Path) -> None:
    name = str(ROOT / "configs" / "xstilts" / "xtreme-r.yaml")
    lines = printed(name, "--settings")
    assert lines == [*settings_lines(study.load(name))]
    (ours,) = [
        number for number, line in enumerate(lines) if line.split()[:4] == ["target", "xquad", "(squad)", "full"]
    ]
    assert lines[ours].split()[4:] == "3e-05 3 32 384 500 steps 0.0001 last epoch - all all -".split()
    assert lines[ours + 1].split() == (
        "xtreme 3e-05 3 32 384 500 steps 0.0001 last all google-research/xtreme 838c13b scripts/train_qa.sh".split()
    )
    assert not (tmp_path / "store").exists()


def test_plan_says_what_differs(printed: Callable[..., list[str]]) -> None:
    name = str(ROOT / "configs" / "xstilts" / "xtreme-r.yaml")
    options = ("targets=[udpos]", "intermediates=[none]", "methods=[full]", "seeds=[1]", "--outline")
    assert not [line for line in printed(name, *options) if "differs" in line]
    lines = printed(name, *options, "train.epochs=3")
    assert "differs from xtreme: udpos (full): epochs 3 (10)" in lines
