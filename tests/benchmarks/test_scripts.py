"""The benchmark scripts run, at a size that measures nothing, and write what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(("script", "key"), [("training", "speed"), ("swap", "methods")])
def test_quick(script: str, key: str, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    held = json.loads(out.read_text(encoding="utf-8"))
    assert held["benchmark"] == script
    assert held["quick"] is True
    assert held[key]
    for method in held.get("methods", {}).values():
        assert method["outputs"]["bit_equal"] is True
        assert method["outputs"]["smallest_difference_between_intermediates"] > 0
