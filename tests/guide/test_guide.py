"""The manual: its chapters, how they are printed, and the chapter that is generated."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from adaptstilts import guide, methods, tasks
from adaptstilts.cli import init
from adaptstilts.cli.app import app
from adaptstilts.errors import ConfigError
from adaptstilts.guide import study_file

CHAPTERS = sorted(guide.topics())


def test_every_chapter_has_a_place_in_the_order() -> None:
    assert set(CHAPTERS) <= set(guide.ORDER)


def test_the_study_file_chapter_is_what_the_models_say() -> None:
    """``python -m adaptstilts.guide.study_file`` writes it anew."""
    assert study_file.PATH.read_text(encoding="utf-8") == study_file.text()


def test_every_key_of_a_study_is_in_it() -> None:
    for _, _, model in study_file.SECTIONS:
        for key in model.model_fields:
            assert f"| `{key}` |" in study_file.text() or key == "method"


def test_every_setting_of_every_method_is_in_the_study_file_chapter() -> None:
    text = study_file.text()
    for kind, method in methods.known().items():
        section = text.partition(f"### `{kind}`\n")[2].partition("\n#")[0]
        keys = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert keys == [name for name in method.model_fields if name != "kind"], kind
    assert "| `targets` | list of `query`, `key`, `value`, `attention_output`, `intermediate`, `output` |" in text
    assert "| `rank` | whole number at least 1 and at most 1024 | `8` |" in text


@pytest.mark.parametrize("topic", CHAPTERS)
def test_a_chapter_begins_with_its_title_and_has_short_paragraphs(topic: str) -> None:
    text = guide.chapter(topic)
    assert text.startswith("# ")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    paragraphs = [part for part in prose.split("\n\n") if not part.lstrip().startswith(("|", "#", "-", "1.", "<!--"))]
    assert max((len(part.split()) for part in paragraphs), default=0) <= 70


def test_the_readme_is_short() -> None:
    text = (guide.FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    assert len(prose.split()) <= 900


def test_every_task_is_in_the_tasks_chapter() -> None:
    """By its id in one row of the first table, and no other id is there."""
    table = guide.chapter("tasks").partition("| role | ids |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(\w+)`", table)
    assert sorted(listed) == sorted(tasks.known())


def test_every_study_file_is_in_the_first_chapter() -> None:
    table = guide.chapter("first-study").partition("## The study files of the package")[2]
    names = [path.relative_to(init.folder()).with_suffix("").as_posix() for path in init._files()]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([^`]+)`", " ".join(cells))) == sorted(names)


def test_the_guide_names_no_file_that_only_a_checkout_has() -> None:
    for topic in CHAPTERS:
        assert "tests/" not in guide.chapter(topic), topic


def test_topics_are_listed_and_printed_without_comments() -> None:
    listed = CliRunner().invoke(app, ["guide"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()[: len(CHAPTERS)]] == list(guide.topics())
    printed = CliRunner().invoke(app, ["guide", "first-study"])
    assert printed.stdout.startswith("# A first study")
    assert "<!--" not in printed.stdout


def test_an_unknown_topic_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown topic 'metods'; did you mean methods"):
        guide.chapter("metods")
