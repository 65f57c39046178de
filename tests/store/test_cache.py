"""Kept hidden states on disk: formats, damage, limits, two processes; what cannot be kept stops nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adaptstilts.data.batches import sorted_runs
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.models.batching import Feature, Features, collate
from adaptstilts.models.encoder import Encoder
from adaptstilts.runtime.inference import TOKENS
from adaptstilts.runtime.layer_cache import FrozenLayers, LowerStates
from adaptstilts.store import cache as trunk_files
from adaptstilts.store.cache import StateCache

FEATURES = Features([Feature(i, ([0, *range(5, 5 + n), 2],) * (1 + i % 2), None) for i, n in enumerate((3, 9, 1, 6))])


def frozen(folder: Path, model: Path, gib: float = 1.0, bf16: bool = False, **changed: Any) -> FrozenLayers:
    encoder = Encoder(model, "adapters")
    encoder.add("a", Bottleneck(reduction=4, leave_out=(0, 1)), 1)
    encoder.compose(["a"])
    cache = StateCache(folder, gib, {"device": "here"})
    held = {
        "cache": cache,
        "encoder": encoder,
        "weights": "t",
        "block": 5,
        "bf16": bf16,
        "exact": False,
        "remark": print,
    }
    return FrozenLayers(**{**held, **changed})


def filled(held: FrozenLayers, features: Features = FEATURES) -> LowerStates:
    return held.fill(features, 1, lambda: False, lambda done, total: None)


def read(lower: LowerStates, rows: list[int]) -> torch.Tensor:
    block, states = lower(rows, collate([FEATURES.items[i] for i in rows], 1, torch.device("cpu")))
    assert block == 5
    return states


@pytest.mark.parametrize("bf16", [False, True])
def test_two_formats(tiny: Path, tmp_path: Path, bf16: bool) -> None:
    held = frozen(tmp_path, tiny, bf16=bf16)
    lower = filled(held)
    (folder,) = tmp_path.iterdir()
    tokens = sum(len(item.sequences) * item.length for item in FEATURES.items)
    assert (folder / "states.bin").stat().st_size == tokens * 32 * (2 if bf16 else 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        batch = collate(FEATURES.items, 1, torch.device("cpu"))
        expected = held.encoder.below(batch.ids, batch.mask, 5)
    found = read(lower, [0, 1, 2, 3])
    assert found.dtype == torch.float32
    mask = batch.mask.bool()
    assert torch.equal(found[mask], expected[mask].bfloat16().float() if bf16 else expected[mask]) or not bf16
    torch.testing.assert_close(found[mask], expected[mask], atol=3e-2 if bf16 else 1e-6, rtol=1e-2 if bf16 else 1e-6)
    assert (found[~mask] == 0).all()
    again = read(lower, [3, 1])
    lengths = [len(sequence) for i in (3, 1) for sequence in FEATURES.items[i].sequences]
    places = [4, 5, 1, 2]
    for row, place, length in zip(again, places, lengths, strict=True):
        assert torch.equal(row[:length], found[place][:length])


def test_what_is_computed_while_writing_is_what_is_read(tiny: Path, tmp_path: Path) -> None:
    for bf16 in (False, True):
        held = frozen(tmp_path / str(bf16), tiny, bf16=bf16)
        (run,) = sorted_runs(FEATURES.sizes, FEATURES.lengths, TOKENS)
        mask = collate([FEATURES.items[i] for i in run], 1, torch.device("cpu")).mask.bool()
        with held.states_of(FEATURES) as lower:
            written = read(lower, run)
        with held.states_of(FEATURES) as lower:
            assert not lower.is_writing
            assert torch.equal(read(lower, run)[mask], written[mask])


def test_a_pass_that_is_not_whole_is_not_kept(tiny: Path, tmp_path: Path) -> None:
    held = frozen(tmp_path, tiny)
    with held.states_of(FEATURES) as lower:
        read(lower, [0, 1, 2])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IndexError), held.states_of(FEATURES) as lower:
        read(lower, [0, 1, 2, 3, 4])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone", "no manifest", "not JSON", "a link"])
def test_a_damaged_set_is_computed_again(tiny: Path, tmp_path: Path, damage: str, capsys: Any) -> None:
    expected = read(filled(frozen(tmp_path, tiny)), [0, 1, 2, 3])
    (folder,) = tmp_path.iterdir()
    path, manifest = folder / "states.bin", folder / "manifest.json"
    whole = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    elif damage == "truncated":
        path.write_bytes(whole[:-5])
    elif damage == "gone":
        path.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "not JSON":
        manifest.write_text("[")
    else:
        path.rename(tmp_path.parent / "elsewhere.bin")
        path.symlink_to(tmp_path.parent / "elsewhere.bin")
    again = filled(frozen(tmp_path, tiny))
    assert torch.equal(read(again, [0, 1, 2, 3]), expected)
    assert "cached hidden states are not used" in capsys.readouterr().out
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([folder], whole)
    assert not path.is_symlink()


def test_hashed_once_in_a_process(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = frozen(tmp_path, tiny)
    filled(held)
    hashed: list[bool] = []
    check = trunk_files.folders.check_files

    def note(folder: Path, manifest: dict[str, Any], hashes: bool) -> None:
        hashed.append(hashes)
        check(folder, manifest, hashes)

    monkeypatch.setattr(trunk_files.folders, "check_files", note)
    filled(held)
    filled(frozen(tmp_path, tiny))
    assert hashed == [False, True]


def other(n: int) -> Features:
    return Features([Feature(0, ([0, *[20 + n] * 30, 2],), None)])


SET = 32 * 32 * 4


def test_the_longest_unused_is_dropped_first(tiny: Path, tmp_path: Path) -> None:
    held = frozen(tmp_path, tiny, gib=3.9 * SET / 2**30)
    keys = []
    for n in range(3):
        keys.append(filled(held, other(n)).key)
        age(tmp_path / keys[-1], 1000 - n)
    filled(held, other(0))  # used again
    keys.append(filled(held, other(3)).key)
    assert {path.name for path in tmp_path.iterdir()} == {keys[0], keys[2], keys[3]}


def age(folder: Path, seconds: float) -> None:
    for path in folder.iterdir():
        stat = path.stat()
        os.utime(path, (stat.st_atime - seconds, stat.st_mtime - seconds))


def test_a_set_larger_than_the_limit_drops_nothing(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    held = frozen(tmp_path, tiny, gib=1.5 * SET / 2**30)
    (kept,) = {filled(held, other(0)).key}
    large = Features([Feature(0, ([0, *[7] * 60, 2],), None)])
    assert filled(held, large).cached is None
    assert "are not cached: no room" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [kept]


def test_an_evaluation_drops_nothing_that_was_used_since_the_run_began(tiny: Path, tmp_path: Path) -> None:
    held = frozen(tmp_path, tiny, gib=2.8 * SET / 2**30, remark=None, exact=True)
    first, second = filled(held, other(0)), filled(held, other(1))
    assert first.cached is not None and second.cached is not None  # noqa: PT018
    assert filled(held, other(2)).cached is None
    age(tmp_path / first.key, 100)
    third = filled(held, other(3))
    assert {path.name for path in tmp_path.iterdir()} == {second.key, third.key}


def test_what_is_dropped_stays_readable(tiny: Path, tmp_path: Path) -> None:
    held = frozen(tmp_path, tiny)
    lower = filled(held)
    expected = read(lower, [0, 1, 2, 3])
    shutil.rmtree(tmp_path / lower.key)
    assert torch.equal(read(lower, [0, 1, 2, 3]), expected)


def test_a_folder_that_cannot_be_written_stops_nothing(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    lower = filled(frozen(tmp_path / "file" / "states", tiny))
    assert lower.cached is None
    assert "hidden states are not cached" in capsys.readouterr().out
    assert read(lower, [0]).shape == (1, 5, 32)


def test_little_free_space_is_left_to_what_is_computed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_files.shutil, "disk_usage", lambda path: SimpleNamespace(free=SET + 1))
    assert filled(frozen(tmp_path, tiny), other(1)).cached is None


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_cache import FEATURES, filled, frozen
lower = filled(frozen(Path(sys.argv[1]), Path(sys.argv[2])))
print(lower.cached is not None, lower.cached[:2].sum())
"""


@pytest.mark.slow
def test_two_processes_at_once(tiny: Path, tmp_path: Path) -> None:
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", CHILD, str(tmp_path / "states"), str(tiny), str(here)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        told = [process.communicate(timeout=120)[0] for process in running]
    assert told[0] == told[1]
    assert told[0].startswith("True ")
    (folder,) = (tmp_path / "states").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "states.bin"]
