"""Values of options and arguments that can mean nothing: an empty text, a path of no file, an infinite number."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import call

LONG = "x" * 300


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("init", "mini", "-o", "{}"), "'--out' / '-o'"),
        (("doctor", "--store", "{}"), "'--store'"),
        (("verify", "--store", "{}"), "'--store'"),
        (("plan", "{}"), "'config'"),
        (("plan", "a.yaml", "--data-root", "{}"), "'--data-root'"),
        (("results", "a.yaml", "--out", "{}"), "'--out'"),
        (("mine", "{}", "b", "-o", "c"), "'foreign'"),
    ],
)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "expected a path, found an empty one."),
        (LONG, f"{LONG}: File name too long; give"),
        ("a\nb", r"'a\nb': has a line break or control character; rename it."),
        ("a\udcffb", r"'a\udcffb': not UTF-8 text (character 2); rename the file or folder."),
    ],
)
def test_a_path_of_no_file(
    arguments: tuple[str, ...], option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*(argument.format(value) for argument in arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: Invalid value for {option}")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("init", ""),
        ("plan", "a.yaml", ""),
        ("results", "a.yaml", "--format", ""),
        ("run", "a.yaml", "--track", ""),
        ("run", "a.yaml", "--device", ""),
        ("retrieve", "--model", "", "--task", "tatoeba"),
        ("import-adapter", "", "--model", "builtin:nano"),
    ],
)
def test_an_empty_text(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: Invalid value for ")
    assert "expected a value, found an empty one." in printed


@pytest.mark.parametrize(
    "arguments",
    [("init", "{}"), ("plan", "a.yaml", "name={}"), ("run", "a.yaml", "--track", "{}"), ("import-adapter", "{}")],
)
def test_a_text_that_is_not_utf8(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """As Python has the bytes of a file name in another encoding."""
    assert call(*(argument.format("b\udcffd") for argument in arguments)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: Invalid value for ")
    assert "d': not UTF-8 text (character " in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("arguments", [("plan", "a.yaml", "--gflops"), ("mine", "a", "b", "-o", "c", "--threshold")])
def test_a_number_that_is_not_finite(
    arguments: tuple[str, ...], value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments, value) == 2
    assert f"error: Invalid value for '{arguments[-1]}': " in capsys.readouterr().err


def test_the_doctor_refuses_a_file_as_its_store(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("", encoding="utf-8")
    assert call("doctor", "--store", "file") == 5
    assert capsys.readouterr() == ("", "error: file: the store must be a folder, found a file\n")
