"""Task declarations: each is consistent in itself, and finds its languages in the real data."""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path

import pytest

from adaptstilts import kinds, tasks
from adaptstilts import study as config
from adaptstilts.data.sources import Sources
from adaptstilts.errors import ConfigError
from adaptstilts.languages import LANGUAGES
from adaptstilts.study import Train
from adaptstilts.tasks import Source, Task, kind_specs
from adaptstilts.tasks.base import NOT_STATED

EVERY = sorted(tasks.known().items())
IDS = [name for name, _ in EVERY]


def sources(task: Task) -> list[Source]:
    return [source for source in (task.train, task.dev, task.test) if source is not None]


def test_the_tasks() -> None:
    intermediate = "anli_plus mnli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa"
    more = "social_i_qa copa snli anli paws mrpc rte sst2 cola stsb qnli"
    xtreme = "xnli paws_x udpos panx xquad mlqa tydiqa bucc tatoeba"
    xtreme_r = "xnli xcopa udpos panx xquad mlqa tydiqa tatoeba_r lareqa mewsli_x"
    every = {name for names in (intermediate, more, xtreme, xtreme_r) for name in names.split()}
    assert every <= set(tasks.known())
    assert {name for name in f"{intermediate} {more}".split() if not tasks.get(name).intermediate} == set()
    assert all(name == task.name for name, task in EVERY)


@pytest.mark.parametrize("task", [task for _, task in EVERY], ids=IDS)
def test_languages_resolve(task: Task) -> None:
    assert task.languages
    assert len(set(task.languages)) == len(task.languages)
    assert set(task.languages) <= set(LANGUAGES)


@pytest.mark.parametrize("task", [task for _, task in EVERY], ids=IDS)
def test_sources_format(task: Task) -> None:
    assert task.test is not None
    for source in sources(task):
        places = [source.at(LANGUAGES[code], text) for code in task.languages for text in task.sets.values() or [""]]
        assert not any("{" in str(place) or "{" in str(place.where) for place in places)
        for place in (source, *source.mirrors, *source.more):
            owner, _, name = place.repo.partition("/")
            allowed = set(string.ascii_letters + string.digits + "._-")
            assert owner
            assert name
            assert set(owner + name) <= allowed
    reads = {place for code in task.languages for place in task.reads("test", LANGUAGES[code]).items()}
    assert len({name for name, _ in reads}) == len({source for _, source in reads}) == len(reads)


def test_what_a_score_is_made_from() -> None:
    """Keys of tasks with one table a split are as they always were; those with row sets name every file of both."""
    german = LANGUAGES["de"]
    assert tasks.get("tatoeba").reads("test", german) == {
        "de": Source("google/xtreme", "tatoeba.deu", "validation"),
    }
    assert tasks.get("ntrex_mining").reads("test", german) == {
        f"de.{part}.{name}": Source("local/ntrex-bucc", f"de-en.{config}", split)
        for part, split in (("dev", "train"), ("test", "test"))
        for name, config in (("foreign", "de"), ("english", "en"), ("gold", "gold"))
    }
    with pytest.raises(ConfigError, match="tatoeba has no dev rows"):
        tasks.get("tatoeba").reads("dev", german)
    alone = dataclasses.replace(tasks.get("ntrex_mining"), dev=None).reads("test", german)
    assert set(alone) == {f"de.test.{name}" for name in ("foreign", "english", "gold")}


@pytest.mark.parametrize("task", [task for _, task in EVERY], ids=IDS)
def test_the_kind_is_there_and_its_fields_are_given(task: Task) -> None:
    kind, spec = kinds.get(task.kind), kind_specs.get(task.kind)
    assert kind.name == task.kind
    fields = {
        "classification": {"text_a", "label"},
        "choice": {"context", "choices", "label"},
        "span": {"id", "question", "context", "answers"},
        "tagging": {"tokens", "tags"},
        "entities": {"text", "starts", "ends", "labels"},
        "bitext": {"foreign", "english"},
        "mining": {"id", "text", "foreign", "english"},
        "regression": {"text_a", "label"},
        "ranking": {"id", "query", "candidate", "text"},
    }
    assert set(task.columns) >= fields[task.kind]
    assert (len(task.labels) > 1 or task.open_labels) == (task.kind in ("classification", "tagging", "entities"))
    assert len(set(task.labels)) == len(task.labels)
    assert set(spec.required_fields) == fields[task.kind]
    assert spec.problems(task) == []
    assert spec.searches == task.retrieval
    if task.retrieval:
        assert set(spec.row_sets) == set(task.sets)
        assert all(set(task.row_set(name).columns) == set(held) for name, held in spec.row_sets.items())
    else:
        assert not task.sets


@pytest.mark.parametrize("task", [task for _, task in EVERY], ids=IDS)
def test_training_rows_come_from_somewhere(task: Task) -> None:
    trained = not task.retrieval
    for name in task.train_from:
        giver = tasks.get(name)
        assert giver.train is not None
        assert giver.dev is not None
        assert giver.train_from == (), "a chain of one step"
        assert not trained or (giver.kind, giver.labels) == (task.kind, task.labels)
    if not trained:
        assert task.train is None
        assert (task.dev is None) == (not task.sets or task.metrics == ("oracle_f1",)), "dev gives the threshold"
        assert not task.intermediate
        return
    assert (task.train is None) == bool(task.train_from)
    assert task.dev is not None or task.train_from
    if task.intermediate:
        assert task.train is not None
        assert "en" in task.languages


@pytest.mark.parametrize("task", [task for _, task in EVERY], ids=IDS)
def test_defaults_are_training_settings(task: Task) -> None:
    Train.model_validate(dict(task.defaults))
    assert task.licence not in ("", NOT_STATED)
    assert task.citation
    assert task.version >= 1


def test_names_are_those_that_study_files_can_say() -> None:
    for name, _ in EVERY:
        assert name.isidentifier()
        assert name == name.lower()
        assert name != "none"


def test_an_unknown_task_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown task 'xnly'; did you mean xnli"):
        tasks.get("xnly")
    with pytest.raises(ConfigError, match=r"unknown task '.\*\?'; `adaptstilts tasks` lists them"):
        tasks.get("§*?")


@pytest.mark.parametrize("name", ["absent", "os", "../x", "base.__class__", ""])
def test_an_unknown_kind(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown task kind"):
        kinds.get(name)


def test_declarations_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tasks.get("xnli").name = "other"  # type: ignore[misc]


def test_a_task_from_outside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    test = Source("someone/mine", "{code}", "test")
    mine = dataclasses.replace(tasks.get("mnli"), name="mine", languages=("en", "de"), test=test)
    tasks.add(mine)
    assert tasks.get("mine") is mine
    study = config.parse("name: a\nmodel: m\nintermediates: [mine]\ntargets: [mine]\nmethod: lora\n")
    assert study.targets[0].task == "mine"
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    with pytest.raises(ConfigError, match="unknown task 'mine'"):
        tasks.get("mine")


def test_a_task_from_outside_goes_before_one_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    tasks.add(dataclasses.replace(tasks.get("mnli"), version=7))
    assert tasks.get("mnli").version == 7


@pytest.mark.parametrize(
    ("name", "split", "found", "missing"),
    [
        ("mnli", "test", 1, set()),
        ("copa", "test", 1, set()),
        ("social_i_qa", "test", 1, set()),
        ("commonsense_qa", "test", 1, set()),
        ("squad", "test", 1, set()),
        ("xnli", "test", 15, set()),
        ("udpos", "test", 33, set()),
        ("xquad", "test", 10, None),
        ("xcopa", "test", 9, None),
        ("tatoeba", "test", 36, set()),
        ("panx", "dev", 39, None),
        ("ntrex_mining", "test", 4, set()),
    ],
)
def test_languages_in_the_real_data(shared: Path, name: str, split: str, found: int, missing: set[str] | None) -> None:
    task, here = tasks.get(name), Sources(shared / "hub")
    source = task.test if split == "test" else task.dev
    assert source is not None
    at_hand = [code for code in task.languages if all(map(here.find, task.reads(split, LANGUAGES[code]).values()))]
    assert len(at_hand) == found
    if missing is not None:
        assert set(task.languages) - set(at_hand) == missing
    for more in (task.train, task.dev):
        if more is not None and not task.sets and name != "panx":
            assert here.find(more.at(LANGUAGES["en"])) is not None
