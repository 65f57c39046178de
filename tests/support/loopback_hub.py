"""A hub on the loopback interface, which answers in the Hugging Face hub's protocol, and a process that asks it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

COMMIT = "c" * 40
DATA = (".parquet", ".tsv", ".safetensors")
LARGE = (".parquet", ".safetensors", ".bin")  # those that the hub names by their sha256


class Hub(ThreadingHTTPServer):
    """Repositories as {repo: {path: bytes}}, and faults to be asked for.

    Attributes:
        repos: what each repository has at ``main``, whose commit is ``COMMIT``.
        others: what it has at other commits and branches: (repo, revision) -> files.
        gated: repositories whose files are for those who accepted something.
        fault: ``cut`` sends half of a file, ``corrupt`` other bytes of the same size, ``html`` an error page with
            status 200, ``busy`` status 429.
        asked: (method, path) of every request.
        token: what may write; anything else is refused with 401, ``reader`` with 403.
        uploads: what was committed: {repo: {path: bytes}}.
        private: repositories that were made private.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.others: dict[tuple[str, str], dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.fault = ""
        self.faults_left = 1_000_000
        self.asked: list[tuple[str, str]] = []
        self.token = "writer"
        self.uploads: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()

    def at(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | str:
        """Return the commit and files of a revision, or the code of the error."""
        if repo not in self.repos:
            return "RepoNotFound"
        if revision in ("", "main", COMMIT):
            return COMMIT, self.repos[repo]
        for (of, name), files in self.others.items():
            commit = hashlib.sha1(name.encode()).hexdigest() if len(name) < 40 else name
            if of == repo and revision in (name, commit):
                return commit, files
        return "RevisionNotFound"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        """Answer with a listing, a file or an error."""
        self.server.asked.append((self.command, self.path))
        path = unquote(self.path.partition("?")[0].lstrip("/"))
        if path.startswith(("api/datasets/", "api/models/")):
            repo, _, revision = path.removeprefix("api/datasets/").removeprefix("api/models/").partition("/revision/")
            snapshot = self.server.at(repo, revision)
            if isinstance(snapshot, str):
                self.send(404, b"{}", body, {"X-Error-Code": snapshot})
                return
            info = {"id": repo, "sha": snapshot[0], "siblings": [{"rfilename": name} for name in sorted(snapshot[1])]}
            self.send(200, json.dumps(info).encode(), body, {"Content-Type": "application/json"})
            return
        repo, _, rest = path.removeprefix("datasets/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        snapshot = self.server.at(repo, revision)
        if isinstance(snapshot, str) or name not in snapshot[1]:
            self.send(404, b"", body, {"X-Error-Code": snapshot if isinstance(snapshot, str) else "EntryNotFound"})
        elif repo in self.server.gated:
            self.send(403, b"", body, {"X-Error-Code": "GatedRepo"})
        else:
            self.file(name, snapshot[1][name], snapshot[0], body)

    def do_POST(self) -> None:
        """Answer the requests of an upload."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path))
        path = unquote(self.path.partition("?")[0].lstrip("/"))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != self.server.token:
            self.send(403 if token == "reader" else 401, b'{"error": "no"}', True, {})
        elif path == "api/repos/create":
            self.create(json.loads(content))
        elif path == "api/validate-yaml":
            front = json.loads(content)["content"].split("---")[1]
            good = isinstance(yaml.safe_load(front), dict)
            self.reply({"warnings": [], "errors": [] if good else [{"message": "no metadata"}]}, 200 if good else 400)
        elif "/preupload/" in path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(content)["files"]
            ]
            self.reply({"files": files})
        else:
            self.commit(path.removeprefix("api/models/").partition("/commit/")[0], content)

    def create(self, asked: dict[str, Any]) -> None:
        """Create a repository, unless it exists."""
        repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"someone/{asked['name']}"
        if repo in self.server.uploads:
            self.reply({"error": "it is there"}, 409)
            return
        self.server.uploads[repo] = {}
        if asked.get("private"):
            self.server.private.add(repo)
        self.reply({"url": f"http://{self.headers['Host']}/{repo}", "id": repo})

    def commit(self, repo: str, lines: bytes) -> None:
        """Store the files of one commit, given as one JSON object per line."""
        for line in lines.decode().splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                self.server.uploads[repo][item["value"]["path"]] = base64.b64decode(item["value"]["content"])
        host = f"http://{self.headers['Host']}/{repo}"
        self.reply({"success": True, "commitOid": COMMIT, "commitUrl": f"{host}/commit/{COMMIT}", "hookOutput": ""})

    def reply(self, value: dict[str, Any], status: int = 200) -> None:
        """Answer with JSON."""
        self.send(status, json.dumps(value).encode(), True, {"Content-Type": "application/json"})

    def file(self, name: str, data: bytes, commit: str, body: bool) -> None:
        """Answer with a file, or with what the fault makes of it."""
        digest = hashlib.sha256(data).hexdigest() if name.endswith(LARGE) else hashlib.sha1(data).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        fault = self.server.fault if name.endswith(DATA) and self.server.faults_left > 0 else ""
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


CHILD = """
import json, sys
from pathlib import Path
request = json.loads(sys.argv[1])
if request["offline"]:
    def refuse(event, args):
        if event in ("socket.connect", "socket.getaddrinfo"):
            print("SOCKET", args, flush=True)
            raise SystemExit(9)
    sys.addaudithook(refuse)
from adaptstilts.data.sources import Sources, row_count
from adaptstilts.errors import AdaptstiltsError
from adaptstilts.tasks import Source
def source_of(request):
    parts = {name: tuple(map(source_of, request.get(name, ()))) for name in ("mirrors", "more")}
    return Source(**{**request, **parts, "where": tuple(request.get("where") or ()) or None})
answers = []
sources = Sources(None, request["offline"], Path(request["pins"]))
for source in request["sources"]:
    try:
        split = sources.find(source_of(source))
        sizes = split and [path.stat().st_size for part in split.parts for path in part.files]
        repos = split and [part.source.repo for part in split.parts]
        answers.append(split and {"digest": split.digest, "sizes": sizes, "repos": repos, "rows": row_count(split)})
    except AdaptstiltsError as error:
        answers.append({"error": type(error).__name__, "message": str(error)})
print(json.dumps(answers))
"""


def find(endpoint: str, folder: Path, sources: Sequence[dict[str, Any]], offline: bool = False) -> list[Any]:
    """Find sources in a new process, whose pins and cache are in a folder.

    Returns:
        For each what was found (digest, sizes, repositories and number of rows), None, or the error.
    """
    request = {"sources": list(sources), "offline": offline, "pins": str(folder / "pins")}
    names = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in names if name in os.environ}
    env |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "home"),
        "HOME": str(folder / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "5",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(request)], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))
