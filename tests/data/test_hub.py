"""The hub, spoken to through its own client: a small server on the loopback interface answers in its protocol.

Every use runs in a process of its own, with a cache of its own, so that nothing is remembered but what is on disk.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.loopback_hub import Hub, find

from adaptstilts.data.sources import Sources
from adaptstilts.tasks import Source

NAME = "conf/test-00000-of-00001.parquet"
TEST = {"repo": "owner/name", "config": "conf", "split": "test"}
MIRRORED = {**TEST, "repo": "gone/name", "mirrors": [{**TEST, "repo": "mirror/name"}]}
ABSENT = {"repo": "owner/name", "config": "other", "split": "test"}


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


@pytest.fixture
def use(hub: Hub, tmp_path: Path) -> Any:
    """Finds sources in a new process; what was found, None or the error for each."""

    def used(*sources: dict[str, Any], offline: bool = False, endpoint: str = "") -> list[Any]:
        return find(endpoint or f"http://127.0.0.1:{hub.server_port}", tmp_path, sources or [TEST], offline)

    return used


@pytest.fixture
def local(hub: Hub, tmp_path: Path) -> str:
    """Digest of the same files in a local folder."""
    path = tmp_path / "local" / "owner/name" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(hub.repos["owner/name"][NAME])
    return Sources(tmp_path / "local").get(Source("owner/name", "conf", "test")).digest


def test_the_hub_and_a_folder_give_the_same(hub: Hub, use: Any, local: str) -> None:
    found, absent, mirrored = use(TEST, ABSENT, MIRRORED)
    size = len(hub.repos["owner/name"][NAME])
    assert found == {"digest": local, "sizes": [size], "repos": ["owner/name"], "rows": 200}
    assert absent is None
    assert mirrored["digest"] == local
    assert not any("train" in path for _, path in hub.asked), "only the files of the split are fetched"


@pytest.mark.slow
def test_the_second_use_is_from_the_cache(hub: Hub, use: Any, local: str) -> None:
    use()
    hub.asked.clear()
    assert use()[0]["digest"] == local
    assert hub.asked == [], "what is pinned is asked for no more"


@pytest.mark.slow
def test_offline_works_from_the_cache_and_opens_no_socket(hub: Hub, use: Any, local: str) -> None:
    use()
    hub.asked.clear()
    assert use(offline=True)[0]["digest"] == local
    assert hub.asked == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_changed_content_under_the_same_name_is_an_error(hub: Hub, use: Any, tmp_path: Path) -> None:
    """The pin outlives the cache: another machine's cache, or a cleared one, must give the same bytes."""
    import shutil

    use()
    shutil.rmtree(tmp_path / "home")
    hub.repos["owner/name"][NAME] = parquet(tmp_path, ["other", "rows"])
    (told,) = use()
    assert told["error"] == "DataError"
    assert "is not what it was when it was first loaded" in told["message"]


@pytest.mark.slow
def test_a_download_cut_short_is_retried_or_an_error(hub: Hub, use: Any, local: str) -> None:
    hub.fault = "cut"
    (told,) = use()
    assert told.get("error") == "ResourceError", told
    hub.fault = ""
    assert use()[0]["digest"] == local


@pytest.mark.slow
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
    (told,) = use({**TEST, "mirrors": [{**TEST, "repo": "mirror/name"}]})
    assert told["error"] == "ResourceError"
    assert "owner/name conf test: cannot be fetched from the hub" in told["message"]
    assert "--offline" not in told["message"], "nobody asked for it"


# Revisions


OLD = "d" * 40


@pytest.fixture
def aged(hub: Hub, tmp_path: Path) -> Hub:
    """The repository at an older commit and at a branch, each with other rows; the branch has another layout."""
    hub.others["owner/name", OLD] = {NAME: parquet(tmp_path, ["old"] * 3)}
    hub.others["owner/name", "refs/convert/parquet"] = {"conf/test/0000.parquet": parquet(tmp_path, ["converted"] * 5)}
    return hub


@pytest.mark.slow
def test_a_pinned_revision_is_the_one_read(aged: Hub, use: Any, local: str) -> None:
    now, old, branch = use(TEST, {**TEST, "revision": OLD}, {**TEST, "revision": "refs/convert/parquet"})
    assert (now["digest"], now["rows"]) == (local, 200)
    assert [old["rows"], branch["rows"]] == [3, 5], "each has a pin of its own"
    assert [each["rows"] for each in use({**TEST, "revision": OLD}, TEST, offline=True)] == [3, 200]


@pytest.mark.slow
def test_a_branch_that_moves_on_is_read_as_it_was(aged: Hub, use: Any, tmp_path: Path) -> None:
    asked = {**TEST, "revision": "refs/convert/parquet"}
    first = use(asked)
    aged.others["owner/name", "refs/convert/parquet"] = {"conf/test/0000.parquet": parquet(tmp_path, ["later"])}
    assert use(asked) == first


@pytest.mark.parametrize("mirrors", [[], [{**TEST, "repo": "mirror/name"}]])
def test_a_wrong_revision_is_an_error_and_never_a_mirror(use: Any, mirrors: list[Any]) -> None:
    (told,) = use({**TEST, "revision": "a" * 40, "mirrors": mirrors})
    assert told["error"] == "DataError"
    assert f"owner/name conf test: owner/name has no revision {'a' * 40!r} on the hub" in told["message"]
    assert "--data-root" in told["message"]
    assert "\n" not in told["message"]


@pytest.mark.slow
def test_a_revision_that_went_away_names_the_pin(hub: Hub, use: Any, tmp_path: Path) -> None:
    """As after a history that was rewritten, on a machine whose cache was cleared."""
    use()
    (pin,) = (tmp_path / "pins").rglob("*.json")
    pin.write_text(json.dumps({**json.loads(pin.read_text()), "revision": "e" * 40}))
    (told,) = use()
    assert told["error"] == "DataError"
    assert f"no revision {'e' * 40!r}" in told["message"]
    assert f"delete {pin}" in told["message"]


# Other places


@pytest.mark.slow
def test_a_mirror_with_another_layout(hub: Hub, use: Any, tmp_path: Path) -> None:
    path = tmp_path / "mixed.parquet"
    pq.write_table(pa.table({"id": ["english-1", "english-2", "korean-1"]}), path)
    hub.repos["mirror/mixed"] = {"all/data-0.parquet": path.read_bytes()}
    hub.others["mirror/mixed", OLD] = {"all/data-0.parquet": path.read_bytes()}
    mirror = {"repo": "mirror/mixed", "config": "all", "split": "data", "where": ["id", "english-*"], "revision": OLD}
    (found,) = use({**TEST, "repo": "gone/name", "mirrors": [mirror]})
    assert (found["repos"], found["rows"]) == (["mirror/mixed"], 2)
    assert use({**TEST, "repo": "gone/name", "mirrors": [{**mirror, "where": ["id", "thai-*"]}]}) == [None]


@pytest.mark.slow
def test_a_union_over_two_repositories(hub: Hub, use: Any, local: str) -> None:
    second = {**TEST, "repo": "mirror/name"}
    found, other, absent = use(
        {**TEST, "more": [second]},
        {**second, "more": [TEST]},
        {**TEST, "more": [second, {**TEST, "repo": "gone/name"}]},
    )
    assert (found["repos"], found["rows"]) == (["owner/name", "mirror/name"], 400)
    assert found["digest"] == other["digest"] != local, "the two have the same content here"
    assert absent is None
    assert use({**TEST, "more": [second]}, offline=True) == [found]


def test_a_repository_behind_terms(hub: Hub, use: Any, local: str) -> None:
    hub.gated.add("owner/name")
    told, mirrored = use(TEST, {**TEST, "mirrors": [{**TEST, "repo": "mirror/name"}]})
    assert told["error"] == "ResourceError"
    assert "owner/name conf test: the repository is gated" in told["message"]
    assert mirrored["digest"] == local


# Text


def test_a_tsv_file(hub: Hub, use: Any, tmp_path: Path) -> None:
    hub.repos["owner/name"]["conf/test-0.tsv"] = b'a\tN\nein "b\tN V\n'
    asked = {**TEST, "format": "tsv"}
    (found,) = use(asked)
    assert found["rows"] == 2
    path = tmp_path / "local" / "owner/name/conf/test-0.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(hub.repos["owner/name"]["conf/test-0.tsv"])
    assert found["digest"] == Sources(tmp_path / "local").get(Source(**asked)).digest
    assert use(asked, offline=True) == [found]


def test_a_tsv_file_cut_short(hub: Hub, use: Any) -> None:
    hub.repos["owner/name"]["conf/test-0.tsv"] = b"a\tb\n" * 1000
    hub.fault = "cut"
    (told,) = use({**TEST, "format": "tsv"})
    assert told.get("error") == "ResourceError", told
