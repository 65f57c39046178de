"""Bad input and bad weather from the command line: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import call
from support.inputs import make_data, make_encoder

from adaptstilts.store.store import Store

StudyFile = Callable[..., Path]
SMALL = {
    "intermediates": ["none", "mnli"],
    "targets": ["xnli"],
    "methods": [{"kind": "bottleneck", "reduction": 4}],
    "train": {"max_steps": 4, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
    "swap": "off",
}
CODE = "import sys; sys.argv = ['adaptstilts', *sys.argv[1:]]; from adaptstilts.cli import main; main()"


def adaptstilts(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in the process of the tests."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = call(*arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def alone(*arguments: object, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with a largest file size if ``limit`` is given (bytes)."""

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=small_files if limit else None,
        env={**os.environ, "NO_COLOR": "1"},
        timeout=300,
    )


def one_line(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The exit code, and an error that says all the parts and is no traceback."""
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors, done.stderr
    for part in parts:
        assert part in "\n".join(errors)
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A small study."""
    path = tmp_path_factory.mktemp("trained") / "study.yaml"
    held = {"name": "toy", "model": str(tiny), "missing": "skip", **SMALL}
    path.write_text(json.dumps(held), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(config: Path, data_root: Path) -> tuple[Path, Path]:
    """A small study and the store in which it ran."""
    store = config.parent / "store"
    assert call("run", config, "--store", store, "--data-root", data_root) == 0
    return config, store


def copied(trained: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Store]:
    shutil.copytree(trained[1], tmp_path / "store")
    return trained[0], Store(tmp_path / "store")


def adapter(store: Store, task: str) -> Path:
    """Folder of the training entry of a task."""
    entries = [store.peek(key) for key in store.keys()]  # noqa: SIM118
    return next(e.folder for e in entries if e.spec["kind"] == "train" and e.spec["task"] == task)


def drop_evaluations(store: Store) -> None:
    """Forget the evaluations, so that the next run reads the adapters."""
    for key in store.keys():  # noqa: SIM118
        if store.peek(key).spec["kind"] == "evaluate":
            shutil.rmtree(store.entry_folder(key))


def test_typo_in_a_key(study_file: StudyFile) -> None:
    done = adaptstilts("run", study_file(targts=["xnli"]))
    one_line(done, 2, "study0.yaml:", "targts", "did you mean targets?")


def test_unknown_language(study_file: StudyFile, data_root: Path, tmp_path: Path) -> None:
    done = adaptstilts("plan", study_file(), "languages=[en, xx]", "--data-root", data_root, "--store", tmp_path)
    one_line(done, 2, "unknown language 'xx'")


def test_missing_language_names_the_ways_out(study_file: StudyFile, data_root: Path, tmp_path: Path) -> None:
    done = adaptstilts("run", study_file(missing="error"), "--data-root", data_root, "--store", tmp_path / "s")
    one_line(done, 3, "no test rows for", "missing=skip")
    assert not (tmp_path / "s" / "entries").exists()


@pytest.mark.slow
def test_adapter_of_another_base_model(trained: tuple[Path, Path], tmp_path: Path, tiny: Path, data_root: Path) -> None:
    config, store = copied(trained, tmp_path)
    other = make_encoder(tmp_path / "other", seed=2)
    options = ("--store", tmp_path / "new", "--data-root", data_root)
    assert adaptstilts("run", config, f"model={other}", *options).returncode == 0
    done = adaptstilts("swap", config, f"model={other}", "--over", adapter(store, "mnli"), *options)
    one_line(done, 4, "belongs to another base model", "weights")


@pytest.mark.slow
def test_flipped_bit_in_an_adapter(trained: tuple[Path, Path], tmp_path: Path, data_root: Path) -> None:
    config, store = copied(trained, tmp_path)
    drop_evaluations(store)
    path = adapter(store, "mnli") / "adapter" / "adapter.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    options = ("--store", store.folder, "--data-root", data_root)
    done = adaptstilts("run", config, *options)
    one_line(done, 4, "adapter.safetensors", "sha256", "quarantine", "run again")
    again = adaptstilts("run", config, *options)
    assert again.returncode == 0, again.stderr
    verified = adaptstilts("verify", "--store", store.folder)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.slow
def test_verify_finds_a_flipped_bit(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _, store = copied(trained, tmp_path)
    path = adapter(store, "xnli") / "head" / "head.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 128
    path.write_bytes(content)
    one_line(adaptstilts("verify", "--store", store.folder), 4, "1 damaged entry set aside")


class Marker:
    """Pickled, this would run code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.slow
def test_pickle_in_place_of_weights(
    config: Path, tmp_path: Path, tiny: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    (model / "model.safetensors").write_bytes(pickle.dumps(Marker(tmp_path / "ran"), protocol=2))
    options = ("--store", tmp_path / "s", "--data-root", data_root)
    one_line(alone("run", config, f"model={model}", *options), 4, "model.safetensors", "pickles")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    told = alone("run", config, f"model={model}", *options)
    one_line(told, 4, "pytorch_model.bin: refused", "calls posix.mkdir")
    assert not (tmp_path / "ran").exists()


def test_model_that_asks_for_code(config: Path, tmp_path: Path, tiny: Path, data_root: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    settings["auto_map"] = {"AutoModel": "evil.Model"}
    (model / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    done = adaptstilts("run", config, f"model={model}", "--store", tmp_path / "s", "--data-root", data_root)
    one_line(done, 4, "auto_map")


def test_truncated_parquet(config: Path, tmp_path: Path) -> None:
    root = make_data(tmp_path / "hub")
    path = root / "nyu-mll/glue/mnli/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    done = adaptstilts("run", config, "--store", tmp_path / "s", "--data-root", root)
    one_line(done, 3, str(path), "parquet")
    assert not (tmp_path / "s" / "entries").exists()


@pytest.mark.slow
def test_labels_that_do_not_match(config: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = make_data(tmp_path / "hub")
    path = root / "nyu-mll/glue/mnli/train-00000-of-00001.parquet"
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        row["label"] = "maybe" if row["idx"] == 7 else "neutral"
    pq.write_table(pa.Table.from_pylist(rows), path)
    done = adaptstilts("run", config, "--store", tmp_path / "s", "--data-root", root)
    one_line(done, 3, str(path), "row 7", "label", "entailment, neutral, contradiction", "'maybe'")


@pytest.mark.slow
def test_changed_data_is_not_another_result(config: Path, tmp_path: Path) -> None:
    root = make_data(tmp_path / "hub")
    options = ("--store", tmp_path / "s", "--data-root", root)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "format").write_text(
        "adaptstilts-store 1\n", encoding="utf-8"
    )  # in a new store plan writes nothing
    assert alone("plan", config, *options).returncode == 0
    make_data(tmp_path / "hub", seed=2)
    one_line(alone("plan", config, *options), 3, "not what it was when it was first loaded", "delete")


@pytest.mark.slow
def test_two_runs_of_one_plan(config: Path, tmp_path: Path, data_root: Path) -> None:
    command = [sys.executable, "-c", CODE, "run", str(config), "--store", str(tmp_path / "s")]
    command += ["--data-root", str(data_root)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    done = [int(re.search(r"^(\d+) phases? done now", out, re.MULTILINE)[1]) for out, _ in told]  # type: ignore[index]
    assert sum(done) == 5
    assert all(problem is None for _, problem in Store(tmp_path / "s").verify())


@pytest.mark.slow
def test_disk_full(config: Path, tmp_path: Path, data_root: Path) -> None:
    options = ("--store", tmp_path / "s", "--data-root", data_root)
    assert adaptstilts("plan", config, *options).returncode == 0
    one_line(alone("run", config, *options, limit=6000), 5, "cannot be written")
    assert list((tmp_path / "s" / "staging").iterdir()) == []
    assert Store(tmp_path / "s").keys() == []
    assert adaptstilts("run", config, *options).returncode == 0


def test_store_is_a_file(config: Path, tmp_path: Path, data_root: Path) -> None:
    (tmp_path / "s").write_text("", encoding="utf-8")
    done = adaptstilts("run", config, "--store", tmp_path / "s", "--data-root", data_root)
    one_line(done, 5, "must be a folder")


@pytest.mark.slow
def test_divergence_names_step_and_rows(config: Path, tmp_path: Path, data_root: Path) -> None:
    options = ("--store", tmp_path / "s", "--data-root", data_root)
    done = adaptstilts("run", config, "train.lr=1e30", "train.warmup=0", "train.epochs=9", *options)
    one_line(done, 6, "step", "rows", "lower train.lr")


def test_offline_without_the_data(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    done = alone("run", config, "--offline", "--store", tmp_path / "s")
    one_line(done, 5, "nyu-mll/glue mnli", "--offline")


@pytest.mark.parametrize("name", ["../x", "/abs", "a b", "-x", "x" * 200, "a\\b"])
def test_names_cannot_leave_their_folder(name: str, study_file: StudyFile) -> None:
    one_line(adaptstilts("plan", study_file(name=name)), 2, "name")
