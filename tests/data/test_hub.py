"""The hub, spoken to through its own client: a small server on the loopback interface answers in its protocol.

Every use runs in a process of its own, with a cache of its own, so that nothing is remembered but what is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptstilts.data.sources import Sources
from adaptstilts.tasks import Source

COMMIT = "c" * 40
NAME = "conf/test-00000-of-00001.parquet"


class Hub(ThreadingHTTPServer):
    """Repositories as {repo: {path: bytes}}, and faults to be asked for.

    Attributes:
        fault: ``cut`` sends half of a file, ``corrupt`` other bytes of the same size, ``html`` an error page with
            status 200, ``busy`` status 429.
        asked: (method, path) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.fault = ""
        self.faults_left = 1_000_000
        self.asked: list[tuple[str, str]] = []


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.server.asked.append((self.command, self.path))
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith("api/datasets/"):
            repo, _, revision = path.removeprefix("api/datasets/").partition("/revision/")
            if repo in self.server.repos and revision in ("", "main", COMMIT):
                names = sorted(self.server.repos[repo])
                info = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                self.send(200, json.dumps(info).encode(), body, {"Content-Type": "application/json"})
            else:
                self.send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})
            return
        repo, _, rest = path.removeprefix("datasets/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        data = self.server.repos.get(repo, {}).get(name)
        if data is None:
            self.send(
                404, b"", body, {"X-Error-Code": "EntryNotFound" if repo in self.server.repos else "RepoNotFound"}
            )
            return
        digest = hashlib.sha256(data).hexdigest() if name.endswith(".parquet") else hashlib.sha1(data).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        fault = self.server.fault if name.endswith(".parquet") and self.server.faults_left > 0 else ""
        if fault and body:
            self.server.faults_left -= 1
        if fault == "busy":
            self.send(429, b"", body, {})
        elif fault == "cut" and body:
            self.send(200, data, body, headers, sent=len(data) // 2)
            self.close_connection = True
        elif fault == "corrupt" and body:
            self.send(200, data.replace(b"hello", b"jello"), body, headers)
        elif fault == "html" and body:
            self.send(200, b"<html>Please log in</html>", body, headers)
        else:
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.send(206 if start else 200, data[start:], body, headers)

    def send(self, status: int, data: bytes, body: bool, headers: dict[str, str], sent: int | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data[:sent])


def parquet(tmp_path: Path, texts: list[str]) -> bytes:
    """Bytes of a parquet file."""
    path = tmp_path / "made.parquet"
    pq.write_table(pa.table({"text": texts}), path, compression="none", use_dictionary=False)
    return path.read_bytes()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with one repository, its mirror under another name, and one other data set."""
    server = Hub()
    rows = parquet(tmp_path, [f"hello {i}" for i in range(200)])
    server.repos["owner/name"] = {NAME: rows, "README.md": b"# a card", "conf/train-00000-of-00001.parquet": rows[::-1]}
    server.repos["mirror/name"] = {NAME: rows}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


CHILD = """
import json, sys
from pathlib import Path
given = json.loads(sys.argv[1])
if given["offline"]:
    def refuse(event, args):
        if event in ("socket.connect", "socket.getaddrinfo"):
            print("SOCKET", args, flush=True)
            raise SystemExit(9)
    sys.addaudithook(refuse)
from adaptstilts.data.sources import Sources
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.tasks import Source
told = []
sources = Sources(None, given["offline"], Path(given["pins"]) if given["pins"] else None)
for source in given["sources"]:
    try:
        split = sources.find(Source(**{**source, "mirrors": tuple(source.get("mirrors", ()))}))
        told.append(split and {"digest": split.digest, "sizes": [p.stat().st_size for p in split.files]})
    except AdaptstiltsError as error:
        told.append({"error": type(error).__name__, "message": str(error)})
print(json.dumps(told))
"""


@pytest.fixture
def use(hub: Hub, tmp_path: Path) -> Any:
    """Finds sources in a new process; returns digest and sizes, None or the error for each."""

    def used(*sources: dict[str, Any], offline: bool = False, pins: bool = True, endpoint: str = "") -> list[Any]:
        wanted = list(sources) or [{"repo": "owner/name", "config": "conf", "split": "test"}]
        given = {"sources": wanted, "offline": offline, "pins": str(tmp_path / "pins") if pins else None}
        names = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        env = {name: os.environ[name] for name in names if name in os.environ}
        env |= {
            "HF_ENDPOINT": endpoint or f"http://127.0.0.1:{hub.server_port}",
            "HF_HOME": str(tmp_path / "home"),
            "HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(given)], env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return list(json.loads(done.stdout.splitlines()[-1]))

    return used


@pytest.fixture
def local(hub: Hub, tmp_path: Path) -> str:
    """Digest of the same files in a local folder."""
    path = tmp_path / "local" / "owner/name" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(hub.repos["owner/name"][NAME])
    return Sources(tmp_path / "local").get(Source("owner/name", "conf", "test")).digest


TEST = {"repo": "owner/name", "config": "conf", "split": "test"}
MIRRORED = {"repo": "gone/name", "config": "conf", "split": "test", "mirrors": ["mirror/name"]}
ABSENT = {"repo": "owner/name", "config": "other", "split": "test"}


def test_the_hub_and_a_folder_give_the_same(hub: Hub, use: Any, local: str) -> None:
    found, absent, mirrored = use(TEST, ABSENT, MIRRORED)
    assert found == {"digest": local, "sizes": [len(hub.repos["owner/name"][NAME])]}
    assert absent is None
    assert mirrored["digest"] == local
    assert not any("train" in path for _, path in hub.asked), "only the files of the split are fetched"


def test_the_second_use_is_from_the_cache(hub: Hub, use: Any, local: str) -> None:
    use()
    hub.asked.clear()
    assert use()[0]["digest"] == local
    assert hub.asked == [], "what is pinned is asked for no more"


def test_offline_works_from_the_cache_and_opens_no_socket(hub: Hub, use: Any, local: str) -> None:
    use()
    hub.asked.clear()
    assert use(offline=True)[0]["digest"] == local
    assert hub.asked == []


def test_offline_a_mirror_that_was_used_is_used_again(hub: Hub, use: Any, local: str) -> None:
    assert use(MIRRORED)[0]["digest"] == local
    assert use(MIRRORED, offline=True)[0].get("digest") == local


def test_offline_without_a_cache_is_an_error_that_says_what_to_do(hub: Hub, use: Any) -> None:
    (told,) = use(offline=True)
    assert told["error"] == "ResourceError"
    assert "owner/name conf test: not in the local cache, and --offline forbids fetching it" in told["message"]
    assert hub.asked == []


def test_no_server(hub: Hub, use: Any) -> None:
    (told,) = use(endpoint="http://127.0.0.1:9")
    assert told["error"] == "ResourceError"
    assert "cannot be fetched from the hub" in told["message"]
    assert "--data-root" in told["message"]


def test_a_repository_that_nobody_has(use: Any) -> None:
    assert use({**TEST, "repo": "gone/name"}) == [None]


def test_the_card_says_where_files_are(hub: Hub, use: Any, local: str) -> None:
    card = b"---\nconfigs:\n- config_name: conf\n  data_files:\n  - split: test\n    path: odd/*.parquet\n---\n"
    hub.repos["owner/name"] = {"odd/x.parquet": hub.repos["owner/name"][NAME], "README.md": card}
    assert use()[0]["digest"] == local


def test_changed_content_under_the_same_name_is_an_error(hub: Hub, use: Any, tmp_path: Path) -> None:
    """The pin outlives the cache: another machine's cache, or a cleared one, must give the same bytes."""
    import shutil

    use()
    shutil.rmtree(tmp_path / "home")
    hub.repos["owner/name"][NAME] = parquet(tmp_path, ["other", "rows"])
    (told,) = use()
    assert told["error"] == "DataError"
    assert "is not what it was when it was first loaded" in told["message"]


def test_a_download_cut_short_is_retried_or_an_error(hub: Hub, use: Any, local: str) -> None:
    hub.fault = "cut"
    (told,) = use()
    assert told.get("error") == "ResourceError", told
    hub.fault = ""
    assert use()[0]["digest"] == local


@pytest.mark.parametrize("fault", ["corrupt", "html"])
def test_a_wrong_download_is_an_error_and_never_a_split(hub: Hub, use: Any, local: str, fault: str) -> None:
    """Also when its size is right, as after a page of text that was continued: the hub names the sha256."""
    hub.fault = fault
    (told,) = use()
    assert told.get("error") in ("ResourceError", "DataError"), told
    hub.fault = ""
    again = [use()[0] for _ in range(2)]
    assert again[-1].get("digest") == local
    assert "error" in again[0] or again[0]["digest"] == local


def test_a_busy_server_is_an_error_and_not_an_absent_split(hub: Hub, use: Any) -> None:
    hub.fault = "busy"
    (told,) = use({**TEST, "mirrors": ["mirror/name"]})
    assert told["error"] == "ResourceError"
    assert "owner/name conf test: cannot be fetched from the hub" in told["message"]
    assert "--offline" not in told["message"], "nobody asked for it"
