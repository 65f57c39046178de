"""The application: its help, its version, options that verbs share, and a verb that is added."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer
from support.command_line import call

import adaptstilts
from adaptstilts import cli
from adaptstilts.cli import options
from adaptstilts.cli.app import VERBS, command_name

NAMES = [command_name(verb) for verbs in VERBS.values() for verb in verbs]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_help_lists_every_verb_under_a_heading(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    for heading, verbs in VERBS.items():
        start = lines.index(f"{heading}:") + 1
        listed = [line.split()[0] for line in lines[start : start + len(verbs)]]
        assert listed == [command_name(verb) for verb in verbs]
    assert len(NAMES) == len(set(NAMES))


def test_no_verb_is_cut_short_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    call("--help")
    assert "..." not in capsys.readouterr().out.partition("--help ")[2]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_help_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    printed = capsys.readouterr().out
    assert "--debug" in printed
    (verb,) = (verb for verbs in VERBS.values() for verb in verbs if command_name(verb) == name)
    parameters = inspect.signature(options.with_shared_options(verb)).parameters.values()
    for parameter in parameters:
        (info,) = parameter.annotation.__metadata__
        assert info.help.endswith((".", ").")), f"{name}, {parameter.name}: {info.help}"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"adaptstilts {adaptstilts.__version__}\n"


CALLS: list[tuple[object, ...]] = []


def greet(
    places: options.WorkspaceOptions,
    name: Annotated[str, typer.Argument(help="Whom to greet.")],
    times: Annotated[int, typer.Option(help="How often.")] = 1,
) -> None:
    """Greet somebody."""
    CALLS.append((places, name, times))


@pytest.fixture
def greeting() -> Iterator[None]:
    cli.app.command("greet")(options.with_shared_options(greet))
    yield
    cli.app.registered_commands.pop()
    CALLS.clear()


@pytest.mark.usefixtures("greeting")
def test_a_verb_gets_groups_of_options_as_one_value() -> None:
    assert call("greet", "Ada", "--times", "2", "--store", "elsewhere", "--offline", "--debug") == 0
    expected = options.WorkspaceOptions(store=Path("elsewhere"), data_root=None, offline=True)
    assert [(expected, "Ada", 2)] == CALLS


@pytest.mark.usefixtures("greeting")
def test_options_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADAPTSTILTS_STORE", str(tmp_path))
    assert call("greet", "Ada") == 0
    assert [(options.WorkspaceOptions(store=tmp_path), "Ada", 1)] == CALLS


def test_arguments_come_first_and_shared_options_last() -> None:
    assert [*inspect.signature(options.with_shared_options(greet)).parameters] == [
        "name", "times", "store", "data_root", "offline", "debug",
    ]  # fmt: skip
