"""Packages that are absent or broken: one line with what installs them, never an internal error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ABSENT = """\
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
STUDY = "{name: toy, model: 'builtin:nano', targets: [sample_nli], methods: [lora]}"


def adaptstilts(folder: Path, package: str, *arguments: str) -> tuple[int, list[str]]:
    """Run the program where a package is absent; return the exit code and the lines of its errors."""
    (folder / "sitecustomize.py").write_text(ABSENT.format(package=package), encoding="utf-8")
    (folder / "toy.yaml").write_text(STUDY, encoding="utf-8")
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "adaptstilts", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("package", "arguments", "remedy"),
    [
        ("pyarrow", ("plan", "toy.yaml"), "adaptstilts again"),
        ("torch", ("doctor",), "adaptstilts again"),
        ("torch", ("run", "toy.yaml"), "adaptstilts again"),
        pytest.param("peft", ("run", "toy.yaml"), "adaptstilts again", marks=pytest.mark.slow),
    ],
)
def test_a_package_that_is_absent(tmp_path: Path, package: str, arguments: tuple[str, ...], remedy: str) -> None:
    code, lines = adaptstilts(tmp_path, package, *arguments)
    assert code == 5
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert line == f"error: {package}: cannot be imported (No module named '{package}'); install {remedy}"
    assert "Traceback" not in "\n".join(lines)
    assert list(tmp_path.glob("store/entries/*/*")) == []


@pytest.mark.parametrize(
    ("package", "extra"),
    [("matplotlib", "report"), ("jinja2", "report"), ("sentencepiece", "pretrain"), ("ray", "ray")],
)
def test_an_optional_package_is_installed_with_its_extra(package: str, extra: str) -> None:
    from adaptstilts.cli import _unimportable

    error = ImportError("broken: no libx\nsecond line", name=f"{package}.part")
    expected = f"{package}: cannot be imported (broken: no libx second line); install adaptstilts[{extra}]"
    assert _unimportable(error) == expected


@pytest.mark.slow
def test_verbs_that_need_no_torch_run_without_it(tmp_path: Path) -> None:
    for arguments in (("plan", "toy.yaml"), ("tasks",), ("methods",), ("models",), ("guide",), ("init",)):
        assert adaptstilts(tmp_path, "torch", *arguments) == (0, []), arguments
