"""Every code block of README and guide: run if it is cheap and needs no network, else parsed.

A comment before a block says what is special about it: ``<!-- not run: REASON -->`` has it parsed only, ``<!-- file:
NAME -->`` saves it under that name beside the blocks that follow. All blocks of a document share one folder.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from support.outside_architectures import make_outside_encoder

import adaptstilts
from adaptstilts import guide, methods, search, study, tasks
from adaptstilts.cli.app import app
from adaptstilts.models import architectures
from adaptstilts.plan import phases
from adaptstilts.plan.expand import expand_each
from adaptstilts.plan.outline import Outline
from adaptstilts.registry import Registry
from adaptstilts.reports import formats
from adaptstilts.runtime import loggers
from adaptstilts.study import Study
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(guide.FOLDER.glob("*.md"))]
LANGUAGES = {"bash", "python", "yaml", "toml", "text", ""}
REGISTRIES: tuple[Registry[Any], ...] = (
    tasks.REGISTRY,
    kind_specs.REGISTRY,
    methods.REGISTRY,
    architectures.REGISTRY,
    phases.REGISTRY,
    search.REGISTRY,
    loggers.REGISTRY,
    formats.REGISTRY,
)
SMALLER = ("evaluate.examples=8", "languages=[en, de]", "train.max_steps=2")  # of the quickstart in Python blocks
_BLOCK = re.compile(r"(?P<marks>(?:^<!--[^\n]*-->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_MARK = re.compile(r"<!-- (?P<name>[a-z ]+): (?P<value>.+?) -->")


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        place: file and line, for messages.
        language: the word after the backticks.
        text: the code.
        marks: what the comments before it say, by name.
    """

    place: str
    language: str
    text: str
    marks: dict[str, str]

    @property
    def is_run(self) -> bool:
        return "not run" not in self.marks


def blocks(path: Path) -> list[Block]:
    """Return the code blocks of a document, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text[: match.start("language")].count("\n") + 1
        marks = {mark["name"]: mark["value"] for mark in _MARK.finditer(match["marks"])}
        found.append(Block(f"{path.name}:{line}", match["language"], match["text"], marks))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the blocks of a document run, with registries of its own and ``adaptstilts`` on the path."""

    def load_smaller(path: str, overrides: Sequence[str] = ()) -> Study:
        return study.load(path, [*overrides, *(SMALLER if Path(path).name == "quickstart.yaml" else ())])

    monkeypatch.setattr(adaptstilts, "load_study", load_smaller, raising=False)
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_added", dict(registry._added))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    program = tmp_path / "bin" / "adaptstilts"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m adaptstilts "$@"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_blocks_of_a_document_run(document: Path, folder: Path) -> None:
    if document.stem == "extending":
        make_outside_encoder(folder / "my-ernie")  # the folder that the chapter supposes
    names: dict[str, Any] = {"__name__": document.stem}
    for block in blocks(document):
        assert block.language in LANGUAGES, block.place
        if "file" in block.marks:
            (folder / block.marks["file"]).write_text(block.text, encoding="utf-8")
        if not block.is_run:
            continue
        if block.language == "bash":
            run_bash(block, folder)
        elif block.language == "python" and "file" not in block.marks:
            exec(compile(block.text, block.place, "exec"), names)
        elif block.language == "yaml":
            plan_study(block, folder)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_blocks_of_a_document_can_be_parsed(document: Path) -> None:
    """Also those that are not run: verbs, options and keys exist."""
    for block in blocks(document):
        if block.language == "bash":
            for arguments in commands(block):
                check_command(arguments, block)
        elif block.language == "python":
            compile(block.text, block.place, "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "yaml" and "file" not in block.marks:
            read_study(block)


@pytest.mark.slow
def test_the_plug_in_of_the_guide_can_be_installed(tmp_path: Path) -> None:
    """Built without the network; then every command knows its task, and its modules are in the package."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for block in blocks(guide.FOLDER / "extending.md"):
        if "file" in block.marks:
            (source / block.marks["file"]).write_text(block.text, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]
    run_quietly([*pip, "--no-build-isolation", "--target", str(site), str(source)], tmp_path)
    assert sorted(path.name for path in site.glob("*.py")) == [
        "my_backend.py",
        "my_kind.py",
        "my_method.py",
        "my_task.py",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}"}
    for verb, name in (("tasks", "reviews"), ("methods", "offsets")):
        printed = run_quietly([sys.executable, "-m", "adaptstilts", verb], tmp_path, environment)
        assert re.search(rf"^{name}\b", printed, re.M), printed


def run_quietly(call: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program that must succeed, and return what it prints."""
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_marks_give_a_reason() -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            assert set(block.marks) <= {"not run", "file"}, block.place
            assert len(block.marks.get("not run", "enough")) > 5, block.place


def run_bash(block: Block, folder: Path) -> None:
    """Run a block in a shell that stops at the first error."""
    call = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{block.place}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the arguments of every call of the command line in a block."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        for command in line.split("&&"):
            words = shlex.split(command, comments=True)
            if words and words[0].rpartition("/")[2] == "adaptstilts":
                yield words[1:]


def check_command(arguments: list[str], block: Block) -> None:
    """Raise unless a call has a verb, options that it knows, and overrides of keys that its study file has."""
    group: Any = typer.main.get_command(app)
    if arguments in (["--version"], ["--help"]):
        return
    command = group.commands.get(arguments[0])
    assert command is not None, f"{block.place}: no verb {arguments[0]}"
    try:
        context = command.make_context(arguments[0], arguments[1:])
    except Exception as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        raise AssertionError(f"{block.place}: {message}") from None
    overrides = context.params.get("overrides") or ()
    shipped = {path.name: path for path in (ROOT / "configs").rglob("*.yaml")}
    config = shipped.get(Path(str(context.params.get("config"))).name)
    if config is not None and config.parent.name != "pretrain":
        given = [override for override in overrides if not override.startswith("model=")]
        study.load(config, ["model=builtin:nano", *given])


def read_study(block: Block) -> Study:
    """Return the study that a block contains."""
    return study.parse(block.text, block.place)


def plan_study(block: Block, folder: Path) -> None:
    """Plan a study, with its data if they ship with the package, else from published sizes."""
    parsed = read_study(block)
    names = [part.task for part in (*parsed.intermediates, *parsed.targets)]
    ships = parsed.model.startswith("builtin:") and all(
        name.startswith("sample_") or name not in tasks.known() for name in names
    )
    store = folder / "planned"
    plans = expand_each(parsed, Workspace(store, offline=True) if ships else Outline(store))
    assert all(plan.cells for plan in plans), block.place
