"""Adapters from and to a hub on the loopback interface; every use in a process of its own, with its own cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback_hub import COMMIT, Hub

REFUSE = """
import sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print("SOCKET", args, flush=True)
        raise SystemExit(9)
if "--offline" in sys.argv:
    sys.addaudithook(refuse)
"""
CLI = REFUSE + "from adaptstilts.cli import main\nmain()\n"
LOCATE = (
    REFUSE
    + """
import json
from pathlib import Path
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.formats import locate
told = []
for place in json.loads(sys.argv[1]):
    try:
        found = locate.locate(place, "--offline" in sys.argv)
        names = sorted(p.relative_to(found.folder).as_posix() for p in found.folder.rglob("*") if p.is_file())
        told.append([names, found.revision])
    except AdaptstiltsError as error:
        told.append(f"{type(error).__name__}: {error}")
assert "torch" not in sys.modules
print(json.dumps(told))
"""
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def use(hub: Hub, tmp_path: Path) -> Run:
    """Runs a program; returns its exit code and what it printed on both streams."""

    def used(program: str, *arguments: object, **environment: str) -> tuple[int, str, str]:
        names = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        env = {name: os.environ[name] for name in names if name in os.environ}
        env |= {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HOME": str(tmp_path / "home"),
            "HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        command = [sys.executable, "-c", program, *map(str, arguments)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    return used


def located(use: Run, *places: str, offline: bool = False, **environment: str) -> list[Any]:
    code, out, err = use(LOCATE, json.dumps(places), *(["--offline"] if offline else []), **environment)
    assert code == 0, out + err
    return list(json.loads(out.splitlines()[-1]))


FILES = {
    "adapter_config.json": b"{}",
    "adapter.safetensors": b"weights",
    "pytorch_adapter.bin": b"others",
    "head_config.json": b"{}",
    "pytorch_model_head.bin": b"a head",
    "README.md": b"# card",
    "optimizer.pt": b"not needed",
    "de/adapter_config.json": b"{}",
    "de/adapter_model.safetensors": b"weights",
}


def test_only_what_is_needed_is_fetched(hub: Hub, use: Run) -> None:
    hub.repos["owner/name"] = FILES
    hub.others["owner/name", "v1"] = {"adapter_config.json": b"{}"}
    hub.repos["owner/data"] = {"de/adapter_config.json": b"{}", "sw/adapter_config.json": b"{}"}
    hub.repos["owner/shut"] = {"adapter_config.json": b"{}"}
    hub.gated.add("owner/shut")
    places = ("owner/name", "owner/name:de", "owner/name@v1", "owner/data", "owner/name@v2", "gone/name", "owner/shut")
    whole, below, old, none, revision, gone, shut = located(use, *places, "owner/name:../x", "/nowhere/at/all")[:7]
    kept = ["adapter.safetensors", "adapter_config.json", "head_config.json", "pytorch_adapter.bin"]
    assert whole == [kept, COMMIT]
    assert below == [["adapter_config.json", "adapter_model.safetensors"], COMMIT]
    assert old[0] == ["adapter_config.json"]
    assert old[1] != COMMIT
    assert none.startswith("ArtifactError: adapter owner/data: no adapter_config.json there; folders in it that have")
    assert "de, sw; name one of them" in none
    assert revision.startswith("ConfigError: ")
    assert "no revision 'v2'" in revision
    assert gone.startswith("ConfigError: ")
    assert "no repository gone/name" in gone
    assert shut.startswith("ResourceError: ")
    assert "accept its terms" in shut
    assert not any("optimizer" in path or "model_head" in path for _, path in hub.asked)


def test_places_that_are_none(use: Run, hub: Hub) -> None:
    told = located(use, "owner/name:../x", "/nowhere/at/all", "name", "a/b/c", "owner/name@../../etc", "..")
    assert [line.partition(":")[0] for line in told] == ["ConfigError"] * 5 + ["ArtifactError"]
    assert hub.asked == []


def test_offline(hub: Hub, use: Run) -> None:
    """Nothing is asked for; what was fetched before is there."""
    hub.repos["owner/name"] = FILES
    (never,) = located(use, "owner/name", offline=True)
    assert never.startswith("ResourceError: ")
    assert "--offline forbids fetching it" in never
    assert hub.asked == []
    online = located(use, "owner/name")
    asked = len(hub.asked)
    assert located(use, "owner/name", offline=True) == online
    assert len(hub.asked) == asked
    (away,) = located(use, "owner/other", HF_ENDPOINT="http://127.0.0.1:9")
    assert away.startswith("ResourceError: ")
    assert "the hub cannot be reached" in away


def test_a_damaged_download(hub: Hub, use: Run) -> None:
    hub.repos["owner/name"] = {**FILES, "adapter.safetensors": b"hello" * 1000}
    hub.fault = "corrupt"
    (told,) = located(use, "owner/name")
    assert told.startswith("ResourceError: ")
    assert "damaged and was removed" in told
    hub.fault = ""
    (found,) = located(use, "owner/name")
    assert "adapter.safetensors" in found[0]


def lora(tiny: Path, folder: Path) -> dict[str, bytes]:
    """A LoRA as plain peft writes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import XLMRobertaModel

    model = XLMRobertaModel.from_pretrained(str(tiny), add_pooling_layer=False)
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["query", "value"]))
    with torch.no_grad():
        for key, value in wrapped.named_parameters():
            if "lora_" in key:
                value.normal_(generator=torch.Generator().manual_seed(3))
    wrapped.save_pretrained(str(folder))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_from_the_hub_and_back(hub: Hub, use: Run, tiny: Path, tmp_path: Path) -> None:
    """Import by hub id with the command line, export, push, and the pushed folder is what was exported."""
    hub.repos["owner/lora"] = lora(tiny, tmp_path / "theirs")
    store = ("--store", tmp_path / "store")
    code, out, err = use(CLI, "import-adapter", "owner/lora", "--model", tiny, "--task", "my-mnli", *store)
    assert code == 0, out + err
    assert "my-mnli: lora" in out
    assert "checked: format peft, 16 tensors of adapter_model.safetensors" in out
    assert "cannot be checked; the folder names" in out
    asked = len(hub.asked)
    code, again, err = use(
        CLI, "import-adapter", "owner/lora", "--model", tiny, "--task", "my-mnli", *store, "--offline"
    )
    assert (code, again, len(hub.asked)) == (0, out, asked), err
    folder = tmp_path / "out"
    exported(tiny, tmp_path, folder)
    code, out, err = use(CLI, "push-adapter", folder, "someone/mine", "--private", HF_TOKEN="writer")
    assert code == 0, out + err
    assert out.strip().endswith(f"/someone/mine/commit/{COMMIT}")
    assert hub.private == {"someone/mine"}
    held = {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.suffix != ".tmp" and p.is_file()
    }
    assert hub.uploads["someone/mine"] == held
    hub.repos["someone/mine"] = hub.uploads["someone/mine"]
    code, out, err = use(CLI, "import-adapter", "someone/mine", "--model", tiny, "--store", tmp_path / "fresh")
    assert code == 0, out + err
    assert "cannot be checked" not in out


def exported(tiny: Path, tmp_path: Path, folder: Path) -> None:
    from adaptstilts.interop import export
    from adaptstilts.models.locate import locate
    from adaptstilts.store.store import Store

    store = Store(tmp_path / "store")
    (key,) = store.keys()
    export.write(store.entry(key), store, locate(str(tiny)), "peft", folder)
    (folder / "left.tmp").write_text("never uploaded")


PUSH = """
import json, os, sys
from pathlib import Path
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.interop.push import push
for token, folder, repo, offline in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    try:
        print(json.dumps(push(Path(folder), repo, offline=offline)))
    except AdaptstiltsError as error:
        print(json.dumps(f"{error.exit_code} {error}"))
assert "torch" not in sys.modules
"""


def test_pushes_that_are_refused(hub: Hub, use: Run, tmp_path: Path) -> None:
    folder, bare = tmp_path / "out", tmp_path / "bare"
    for path in (folder, bare):
        path.mkdir()
        (path / "adapter_config.json").write_text("{}")
    (folder / "README.md").write_text("---\ntags: [x]\n---\n# card\n")
    cases = {
        "no README.md; push a folder": ("writer", bare, "someone/mine", False),
        "expected a hub id of the form owner/name": ("writer", folder, "mine", False),
        "no hub token; set HF_TOKEN": ("", folder, "someone/mine", False),
        "--offline forbids uploading": ("writer", folder, "someone/mine", True),
        "does not accept the token": ("stranger", folder, "someone/mine", False),
        "may not write there": ("reader", folder, "someone/mine", False),
    }
    given = [(token, str(path), repo, offline) for token, path, repo, offline in cases.values()]
    code, out, err = use(PUSH, json.dumps(given))
    assert code == 0, out + err
    lines = [json.loads(line) for line in out.splitlines()]
    for line, told, exit_code in zip(lines, cases, "225555", strict=True):
        assert told in line
        assert line.startswith(exit_code)
        assert "\n" not in line
        assert "stranger" not in line
        assert "reader" not in line
    assert hub.uploads == {}
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "writer"}
    code, out, err = use(CLI, "push-adapter", folder, "someone/mine", **away)
    assert (code, err.count("\n")) == (5, 1)
    assert "the hub cannot be reached" in err
