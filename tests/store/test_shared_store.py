"""A store that somebody else may read and not write: its results are read without a trace."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptstilts import study
from adaptstilts.plan.expand import expand
from adaptstilts.reports.records import records
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

EARLIER = Path(__file__).with_name("earlier")
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def as_nobody(work: Callable[[], str]) -> str:
    """Do some work in a process of another user and return what it returns, or its error."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = work()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


def test_somebody_else_reads_the_results(open_folder: Path) -> None:
    earlier, before = Store(EARLIER / "store"), os.umask(0o022)
    folders = list(map(earlier.entry_folder, earlier.keys()))
    try:
        for name in ("ours", "theirs"):
            copied = Store(open_folder / name)
            for folder in folders:
                copied.adopt(folder)
    finally:
        os.umask(before)
    asked = study.load(EARLIER / "study.yaml")

    def means(store: str) -> str:
        workspace = Workspace(Store.open_existing(open_folder / store), offline=True)
        plan = expand(asked, workspace)
        problems = [problem for _, problem in workspace.store.verify() if problem]
        return repr(([record.mean for record in records(plan, workspace.store)], problems))

    expected = means("ours")  # imports all that the other process, which may read no more of the disk, needs
    shutil.rmtree(open_folder / "ours")
    paths = sorted((open_folder / "theirs").rglob("*"))
    assert as_nobody(lambda: means("theirs")) == expected
    assert sorted((open_folder / "theirs").rglob("*")) == paths
    assert all(stat.S_IMODE(path.stat().st_mode) in (0o644, 0o755) for path in paths)


def test_the_other_user_cannot_write(open_folder: Path) -> None:
    """Otherwise the test above would show nothing."""
    assert as_nobody(lambda: (open_folder / "a").write_text("x") and "").startswith("PermissionError")
