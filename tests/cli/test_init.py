"""Study files that ship with the package: listed, copied out, and in the wheel."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command_line import call

from adaptstilts import pretrain, study

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "configs").rglob("*.yaml"))
NAMES = [path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in FILES]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line in an empty folder; returns the exit code and both outputs."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = call(*arguments)
        output, errors = capsys.readouterr()
        return code, output, errors

    return run


def test_the_list_has_a_line_for_every_file(in_empty_folder: Call) -> None:
    code, output, _ = in_empty_folder("init")
    lines = output.splitlines()
    assert code == 0
    assert sorted(line.split()[0] for line in lines) == NAMES
    assert all(len(line) <= 80 and line.endswith(".") for line in lines)


@pytest.mark.parametrize(("name", "source"), zip(NAMES, FILES, strict=True))
def test_a_copy_is_readable_and_says_how_to_run_it(
    name: str, source: Path, in_empty_folder: Call, tmp_path: Path
) -> None:
    code, output, _ = in_empty_folder("init", name)
    copy = tmp_path / source.name
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == f"wrote {copy.name}"
    assert lines[1].startswith("next: adaptstilts ")
    assert all(f" {copy.name}" in line and "configs/" not in line for line in lines[1:])
    if name.startswith("pretrain/"):
        assert pretrain.load(copy) == pretrain.load(source)
    else:
        overrides = ["model=builtin:nano"]
        assert study.load(copy, overrides) == study.load(source, overrides)


@pytest.mark.parametrize("name", ["mini.yaml", "mini.yml", "configs/mini.yaml"])
def test_a_name_may_have_the_ending_and_folder_of_a_file(name: str, in_empty_folder: Call) -> None:
    assert in_empty_folder("init", name)[1].startswith("wrote mini.yaml\n")


def test_an_existing_file_is_kept(in_empty_folder: Call, tmp_path: Path) -> None:
    (tmp_path / "mini.yaml").write_text("mine", encoding="utf-8")
    code, _, errors = in_empty_folder("init", "mini")
    assert (code, errors) == (
        2,
        "error: mini.yaml: the file exists; choose another path (--out), or overwrite it (--force)\n",
    )
    assert (tmp_path / "mini.yaml").read_text(encoding="utf-8") == "mine"
    assert in_empty_folder("init", "mini", "--out", "other.yaml")[0] == 0
    assert (tmp_path / "mini.yaml").read_text(encoding="utf-8") == "mine"
    assert in_empty_folder("init", "mini", "--force")[0] == 0
    assert "name: mini" in (tmp_path / "mini.yaml").read_text(encoding="utf-8")
    (tmp_path / "studies").mkdir()
    assert in_empty_folder("init", "mini.yaml", "--out", "studies")[1].startswith("wrote studies/mini.yaml\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quickstrat",), "error: unknown study file 'quickstrat'; did you mean quickstart?"),
        (("../pyproject",), "error: unknown study file '../pyproject'; "),
        (("mini", "--out", "absent/mini.yaml"), "error: absent/mini.yaml: expected a file name in an existing folder"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, in_empty_folder: Call, tmp_path: Path) -> None:
    code, output, errors = in_empty_folder("init", *arguments)
    assert (code, output) == (2, "")
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_installed_wheel_has_them(tmp_path: Path) -> None:
    """Built from a copy of the checkout, installed elsewhere, and run with no ``configs/`` beside it."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("adaptstilts", "configs"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    templates = tmp_path / "site" / "adaptstilts" / "reports" / "page" / "templates"
    assert sorted(path.name for path in templates.iterdir()) == ["page.html", "script.js", "style.css"]
    shutil.rmtree(source)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "work").mkdir()

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "adaptstilts", *arguments]
        options = {"cwd": tmp_path / "work", "env": environment, "capture_output": True, "text": True, "timeout": 60}
        return str(subprocess.run(command, check=True, **options).stdout)  # type: ignore[call-overload]

    assert sorted(line.split()[0] for line in run("init").splitlines()) == NAMES
    assert run("init", "quickstart").startswith("wrote quickstart.yaml\n")
    assert study.load(tmp_path / "work" / "quickstart.yaml") == study.load(ROOT / "configs" / "quickstart.yaml")


def test_a_folder_that_cannot_be_entered(in_empty_folder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        """Refuse what is in the folder, as the system does for users; root may enter any."""
        if os.fspath(path).endswith("closed/mini.yaml"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, **options)

    os.mkdir("closed")
    monkeypatch.setattr(os, "stat", stat)
    expected = "error: closed/mini.yaml: cannot be written: Permission denied\n"
    assert in_empty_folder("init", "mini", "--out", "closed") == (2, "", expected)
