"""Step checkpoints: whole or absent, the newest two kept, damaged ones passed over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adaptstilts.runtime.checkpoints import Checkpoints


def tensors(step: int) -> dict[str, torch.Tensor]:
    return {"now/a": torch.full((3, 2), float(step)), "best/a": torch.arange(4.0) + step}


@pytest.fixture
def three(tmp_path: Path) -> Checkpoints:
    """Checkpoints of steps 9, 10 and 100 were saved."""
    found = Checkpoints(tmp_path / "work")
    for step in (9, 10, 100):
        found.save(step, tensors(step), {"step": step, "log": [{"loss": 0.1 + step}]})
    return found


def loaded_step(folder: Path) -> tuple[int | None, int]:
    """The step that loads, and how many were passed over."""
    found = Checkpoints(folder)
    held = found.load()
    if held is None:
        return None, len(found.warnings)
    assert torch.equal(held[0]["now/a"], tensors(held[1]["step"])["now/a"])
    return held[1]["step"], len(found.warnings)


def test_newest_two_are_kept(three: Checkpoints) -> None:
    assert sorted(path.name for path in three.folder.iterdir()) == ["step-00000010", "step-00000100"]


def test_newest_loads_to_the_bit(three: Checkpoints) -> None:
    held = Checkpoints(three.folder).load()
    assert held is not None
    values, state = held
    assert state == {"step": 100, "log": [{"loss": 0.1 + 100}]}
    assert values.keys() == tensors(100).keys()
    assert all(torch.equal(values[key], value) for key, value in tensors(100).items())


def test_nothing_there(tmp_path: Path) -> None:
    assert loaded_step(tmp_path / "absent") == (None, 0)


def test_without_tensors(tmp_path: Path) -> None:
    found = Checkpoints(tmp_path)
    found.save(1, {}, {"en": {"n": 3}})
    assert found.load() == ({}, {"en": {"n": 3}})


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete"])
def test_damaged_one_is_passed_over(three: Checkpoints, name: str, damage: str) -> None:
    path = three.folder / "step-00000100" / name
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "flip":
        content[-2 if name == "manifest.json" else len(content) // 2] ^= 0x10
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncate" else b"")
    assert loaded_step(three.folder) == (10, 1)


ODD = ["[]", "{}", "null", '{"files": []}', '{"files": {"state.json": 3, "tensors.safetensors": null}}']


@pytest.mark.parametrize("text", ODD)
def test_odd_manifest_is_passed_over(three: Checkpoints, text: str) -> None:
    (three.folder / "step-00000100" / "manifest.json").write_text(text, encoding="utf-8")
    assert loaded_step(three.folder) == (10, 1)


def test_pickle_is_passed_over(three: Checkpoints) -> None:
    torch.save(tensors(100), three.folder / "step-00000100" / "tensors.safetensors")
    assert loaded_step(three.folder) == (10, 1)


def test_extra_file_and_link_are_passed_over(three: Checkpoints, tmp_path: Path) -> None:
    (three.folder / "step-00000100" / "more").write_text("x", encoding="utf-8")
    assert loaded_step(three.folder) == (10, 1)
    path = three.folder / "step-00000010" / "state.json"
    (tmp_path / "elsewhere").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert loaded_step(three.folder) == (None, 2)


def test_all_damaged_starts_over_and_says_so(three: Checkpoints) -> None:
    for path in three.folder.glob("step-*/state.json"):
        path.write_text("{}", encoding="utf-8")
    assert loaded_step(three.folder) == (None, 2)


def test_unfinished_one_is_invisible(three: Checkpoints) -> None:
    staging = three.folder / "staging-dead"
    staging.mkdir()
    (staging / "state.json").write_text("{}", encoding="utf-8")
    assert loaded_step(three.folder) == (100, 0)


def test_saving_the_same_step_again_keeps_the_first(three: Checkpoints) -> None:
    three.save(100, tensors(100), {"step": 100, "log": []})
    held = three.load()
    assert held is not None
    assert held[1]["log"] != []
    assert not list(three.folder.glob("staging-*"))


def test_saving_the_same_step_again_replaces_a_damaged_one(three: Checkpoints) -> None:
    (three.folder / "step-00000100" / "state.json").write_text("{}", encoding="utf-8")
    three.save(100, tensors(100), {"step": 100, "log": []})
    assert loaded_step(three.folder) == (100, 0)
    assert sorted(path.name for path in three.folder.iterdir()) == ["step-00000010", "step-00000100"]


def test_values_that_json_does_not_have_are_refused(three: Checkpoints) -> None:
    with pytest.raises(ValueError, match="JSON"):
        three.save(101, {}, {"loss": float("nan")})
    assert loaded_step(three.folder) == (100, 0)
    assert not list(three.folder.glob("staging-*"))


def test_clear(three: Checkpoints) -> None:
    three.clear()
    assert not three.folder.exists()
    three.clear()


SCRIPT = """
import sys
from pathlib import Path
from adaptstilts.runtime.checkpoints import Checkpoints
Checkpoints(Path(sys.argv[1])).save(200, {}, {"step": 200})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "visible"),
    [("commit:before-manifest", 100), ("checkpoint:before-rename", 100), (None, 200)],
)
def test_killed_while_saving(three: Checkpoints, point: str | None, visible: int) -> None:
    environment = {**os.environ, **({"ADAPTSTILTS_FAILPOINT": point} if point else {})}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(three.folder)], env=environment, check=False)
    assert done.returncode == (-signal.SIGKILL if point else 0)
    held = Checkpoints(three.folder).load()
    assert held is not None
    assert held[1]["step"] == visible
