"""What ``import adaptstilts`` offers, and what it does not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import adaptstilts


def test_the_import_loads_nothing_else() -> None:
    code = (
        "import sys, adaptstilts\n"
        "print([name for name in sys.modules if name.startswith('adaptstilts.')], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[0] == "[] False"


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING, the table of modules and ``__all__`` have the same names."""
    tree = ast.parse(Path(adaptstilts.__file__).read_text(encoding="utf-8"))
    places = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                places[alias.asname or alias.name] = (node.module, alias.name)
    del places["TYPE_CHECKING"], places["Any"]
    assert places == adaptstilts._PLACES
    assert sorted(places) == sorted(adaptstilts.__all__)


@pytest.mark.parametrize("name", adaptstilts.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(adaptstilts, name) is not None
    assert name in dir(adaptstilts)


def test_earlier_names_are_the_same_functions() -> None:
    assert adaptstilts.load is adaptstilts.load_study
    assert adaptstilts.execute is adaptstilts.run_plan
    assert adaptstilts.swaps is adaptstilts.swap


def test_submodules_are_attributes() -> None:
    code = "import adaptstilts; print(adaptstilts.tasks.get('xnli').name, adaptstilts.methods.get('lora').__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "xnli Lora\n"


@pytest.mark.parametrize("name", ["load_studies", "_hidden", "tests"])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'adaptstilts' has no attribute '{name}'"):
        getattr(adaptstilts, name)


@pytest.mark.parametrize("arguments", [["--version"], ["models"]])
def test_it_runs_as_a_module(arguments: list[str]) -> None:
    call = [sys.executable, "-m", "adaptstilts", *arguments]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
    expected = {"--version": f"adaptstilts {adaptstilts.__version__}\n", "models": "name "}
    assert done.stdout.startswith(expected[arguments[0]])
