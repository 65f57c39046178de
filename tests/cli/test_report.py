"""The verb ``report`` on a small study with two seeds: finished, in parts, with hostile text, and without its extra."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from support.command_line import call

from adaptstilts import Workspace, expand, load_study, records, tasks
from adaptstilts.reports.page import drawing
from adaptstilts.store.store import Store

STUDY = {
    "name": "toy",
    "intermediates": ["none", "mnli"],
    "targets": ["xnli", "tatoeba"],
    "methods": [{"kind": "full"}, {"kind": "bottleneck", "reduction": 4}],
    "seeds": [1, 2],
    "swap": "all",
    "missing": "skip",
    "languages": ["en", "de", "zh"],
    "train": {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.001, "dev_examples": 12},
    "retrieve": {"max_length": 48},
}

Options = tuple[object, ...]

pytestmark = pytest.mark.slow  # the study that all of them read


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path) -> tuple[Path, Options]:
    """A study that ran, and the options that name its store and data."""
    folder = tmp_path_factory.mktemp("report")
    config = folder / "study.yaml"
    comment = "# </pre><script>alert(1)</script>\n"
    config.write_text(comment + json.dumps({**STUDY, "model": str(tiny)}), encoding="utf-8")
    options = ("--store", folder / "store", "--data-root", data_root, "--offline")
    assert call("run", config, *options) == 0
    return config, options


@pytest.fixture(scope="module")
def text(finished: tuple[Path, Options]) -> str:
    """The report of the finished study."""
    config, options = finished
    out = config.parent / "r.html"
    assert call("report", config, "-o", out, *options) == 0
    return out.read_text(encoding="utf-8")


def test_a_finished_study(text: str) -> None:
    assert len(text.encode()) <= 300 * 1024
    assert "Does training on mnli first change the scores of xnli and tatoeba?" in text
    for heading in ("Can I trust it?", "By language", "Swapped adapters", "Learning curves", "Costs", "Checks"):
        assert heading in text
    assert re.search(r"<b>(\d+) of \1 done</b>", text)
    assert re.findall("Left out to|are left out to", text) == []
    for task in ("mnli", "xnli", "tatoeba"):
        assert html.escape(tasks.get(task).licence) in text


def test_a_comment_of_the_study_file_does_nothing(text: str) -> None:
    assert text.count("<script") == 1
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_numbers_are_those_of_the_results(finished: tuple[Path, Options], text: str, data_root: Path) -> None:
    config, _ = finished
    workspace = Workspace(config.parent / "store", data_root, offline=True)
    shown = records(expand(load_study(config), workspace), workspace.store)
    plain = [record for record in shown if record.over == record.trained_on]
    assert len(plain) == 8
    for record in plain:
        assert f"{record.mean:.1f} ± {record.spread:.1f}" in text
        assert f'<a href="#key-{record.phases[0][:12]}">' in text


def test_the_same_store_gives_the_same_bytes(
    finished: tuple[Path, Options], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    out = tmp_path / "r.html"
    assert call("report", config, "-o", out, *options) == 0
    assert out.read_text(encoding="utf-8") == text
    assert re.fullmatch(rf"{re.escape(str(out))}: \d+\.\d KiB, 9 figures\n", capsys.readouterr().out)


def test_commands_of_the_page_check_the_entries(
    finished: tuple[Path, Options], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = re.findall(r'xnli, full, on mnli</th><td class="command"><code>(.*?)</code>', text)
    command = re.sub(r"<[^>]*>", "", cell).split()
    assert command[:4] == ["adaptstilts", "verify", "--store", str(finished[0].parent / "store")]
    assert call(*command[1:]) == 0
    assert capsys.readouterr().out == "6 of 6 entries verified\n"  # two seeds: evaluation, target, intermediate


def test_verify_finds_damage_below_a_number(
    finished: tuple[Path, Options], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0].parent / "store", tmp_path / "store")
    store = Store(tmp_path / "store")
    entries = [store.peek(key) for key in store.keys()]  # noqa: SIM118
    (evaluation, *_) = [entry for entry in entries if entry.spec["kind"] == "evaluate"]
    damaged = store.entry_folder(evaluation.spec["target"]) / "log.jsonl"
    content = bytearray(damaged.read_bytes())
    content[0] ^= 1
    damaged.write_bytes(content)
    capsys.readouterr()
    assert call("verify", evaluation.key[:12], "--store", store.folder) == 4
    assert evaluation.spec["target"][:12] in capsys.readouterr().err


def test_verify_refuses_a_key_that_no_entry_has(
    finished: tuple[Path, Options], capsys: pytest.CaptureFixture[str]
) -> None:
    store = finished[0].parent / "store"
    assert call("verify", "zzzz", "--store", store) == 2
    expected = f"error: 'zzzz': no such entry; expected the beginning of the key of one in {store}\n"
    assert capsys.readouterr().err == expected


def test_a_study_in_parts_names_its_holes(finished: tuple[Path, Options], tmp_path: Path) -> None:
    config, options = finished
    store = tmp_path / "store"
    shutil.copytree(config.parent / "store", store)
    removed = []
    for key in Store(store).keys():  # noqa: SIM118
        entry = Store(store).peek(key)
        if entry.spec["kind"] == "evaluate" and "full" in str(entry.spec["method"]):
            removed.append(entry.manifest["title"])
            shutil.rmtree(entry.folder)
    out = tmp_path / "r.html"
    assert len(removed) == 4
    assert call("report", config, "-o", out, "--store", store, *options[2:]) == 0
    text = out.read_text(encoding="utf-8")
    assert all(title in text for title in removed)
    assert "Missing, whether they failed or were never run" in text
    assert text.count("<td>not computed</td>") == 2
    assert "2 of 10 results are not computed" in text


def test_nothing_computed_yet(finished: tuple[Path, Options], tmp_path: Path) -> None:
    config, options = finished
    (tmp_path / "store").mkdir()
    shutil.copy(config.parent / "store" / "format", tmp_path / "store")
    out = tmp_path / "r.html"
    assert call("report", config, "-o", out, "--store", tmp_path / "store", *options[2:]) == 0
    text = out.read_text(encoding="utf-8")
    assert "Nothing is computed yet." in text
    assert '<span class="chip">not resolved</span>' in text


def test_one_seed_claims_nothing(finished: tuple[Path, Options], tmp_path: Path) -> None:
    config, options = finished
    out = tmp_path / "r.html"
    assert call("report", config, "seeds=[1]", "-o", out, *options) == 0
    text = out.read_text(encoding="utf-8")
    assert '<span class="chip">not resolved</span>' in text
    assert "With one seed, training noise is unknown" in text
    assert "one seed: examples only" in text
    assert "Lines show only how much other examples would change" in text
    assert "% interval" not in text
    assert "<code>seeds=[1]</code>" in text


def test_the_margin_decides_what_does_not_matter(finished: tuple[Path, Options], tmp_path: Path) -> None:
    config, options = finished
    out = tmp_path / "r.html"
    assert call("report", config, "--margin", "1000", "-o", out, *options) == 0
    text = out.read_text(encoding="utf-8")
    assert '<span class="chip">no effect within the margin</span>' in text
    assert "all of it within ±1000" in text


def test_figures_as_files(finished: tuple[Path, Options], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, options = finished
    assert call("report", config, "-o", tmp_path / "r.html", "--figures", "pdf,png", *options) == 0
    assert f"{tmp_path / 'r-figures'}: 18 files\n" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "r-figures").iterdir()}
    assert {"changes.pdf", "changes.png", "swaps.pdf", "loss.png"} <= names
    assert len(names) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--figures", "pdf,gif"), "'gif': expected one or more of pdf, png, svg"),
        (("-o", "nowhere/r.html"), "nowhere/r.html: expected a file name in an existing folder"),
        (("--margin", "0"), "Invalid value for '--margin'"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...], message: str, finished: tuple[Path, Options], capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    assert call("report", config, *arguments, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_its_extra_it_says_what_to_install(
    finished: tuple[Path, Options], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, options = finished
    monkeypatch.setattr(drawing.importlib.util, "find_spec", lambda name: None)
    assert call("report", config, "-o", tmp_path / "r.html", *options) == 5
    expected = "error: matplotlib and jinja2: not installed; install the extra report: adaptstilts[report]\n"
    assert capsys.readouterr().err == expected
    assert list(tmp_path.iterdir()) == []


def test_the_study_file_is_not_overwritten(finished: tuple[Path, Options], capsys: pytest.CaptureFixture[str]) -> None:
    config, options = finished
    before = config.read_bytes()
    assert call("report", config, "-o", config, *options) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert config.read_bytes() == before
