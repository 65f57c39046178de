"""The benchmark scripts run, at a size that measures nothing, and write what they promise."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_what_a_script_imports_from_the_package_exists(script: str) -> None:
    tree = ast.parse((SCRIPTS / script).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("adaptstilts"):
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "key"),
    [
        ("training", "speed"),
        ("swap", "methods"),
        ("retrieval", "mining"),
        ("encoding", "speed"),
        ("methods", "steps"),
        ("conformance", "cells"),
    ],
)
def test_quick(script: str, key: str, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    held = json.loads(out.read_text(encoding="utf-8"))
    assert held["benchmark"] == script
    assert held["quick"] is True
    assert held[key]
    assert all(size["equal"] for size in held.get("mining", {}).values())
    assert held.get("shared", {"equal": True})["equal"] is True
    for method in held.get("methods", {}).values():
        assert method["outputs"]["bit_equal"] is True
        assert method["outputs"]["smallest_difference_between_intermediates"] > 0


@pytest.mark.slow
def test_encoders_quick(data_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPTS / "encoders.py"), "--quick", "--out", str(out), "--encoder", "nano"]
    done = subprocess.run([*command, "--data-root", str(data_root)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "no baseline of singular vectors" in done.stdout  # the toy data has no text to pretrain on
    held = json.loads(out.read_text(encoding="utf-8"))
    assert held["tatoeba"]["builtin:nano"]["own_languages"] == 2
    assert set(held["transfer"]) >= {"udpos", "xnli"}
    assert set(held["transfer"]["udpos"]["others"]) == {"trained", "untrained"}
    assert len(held["retention"]["builtin:nano"]) == 8
    assert held["sample"]["sample_choice"]["majority"]["own"] == pytest.approx(50, abs=1)
