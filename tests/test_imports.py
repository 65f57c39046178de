"""Which module may import which, what starts without torch, and calls that have no place in the package."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import adaptstilts

ROOT = Path(adaptstilts.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# From the bottom up. A module may import from lower rows and from its own part, and nothing from higher rows.
LAYERS = """
errors xtreme
files
digests languages answers sentences strictyaml
metrics transferability
sample
leases tasks methods
store
adopted config data
models.source
interop.tensorfile interop.fetch
interop.adapterhub interop.peft
interop.adapters
spec workspace
imports graph checks compositions
trainings
plan pretrain.recipe
outline
scores swap
choose
summary
tables
sweep
report studies
retrieval.index
retrieval.sealed
retrieval.search
retrieval.rounded
retrieval.onepass
retrieval.mutual
retrieval.margin
retrieval.bucc
kinds models.tokenizer
models
pretrain
phases retrieval
interop inventory
run
exchange
terminal
cli
__main__
"""
RANK = {name: row for row, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}
# Read lazily or for types only, against the order above: who -> what, and why it is no circle.
ALLOWED = {
    ("phases", "retrieval"),
    ("retrieval", "phases"),
}
HEAVY = {"torch", "transformers", "adapters", "peft", "accelerate", "datasets", "faiss", "tokenizers", "safetensors"}
TORCH_FREE = [
    "adaptstilts",
    "config",
    "plan",
    "store",
    "tasks",
    "methods",
    "workspace",
    "data.sources",
    "run",
    "scores",
    "tables",
    "swap",
    "imports",
    "exchange",
    "sweep",
    "terminal",
    "cli",
]
LIGHT_PARTS = {
    *"errors digests languages metrics strictyaml sample store tasks methods config data files leases".split(),
    *"models.source spec workspace plan pretrain.recipe scores swap summary tables report studies run".split(),
    *"sweep terminal cli __main__".split(),
    *"imports exchange interop.adapters interop.adapterhub interop.peft interop.fetch interop.tensorfile".split(),
}


def module(path: Path) -> str:
    """Dotted name below the package; empty for the package itself."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def part(name: str) -> str:
    """The row of the table above that a module belongs to."""
    while name and name not in RANK:
        name = name.rpartition(".")[0]
    return name


def imports(path: Path, top: bool = False) -> set[str]:
    """Absolute names that a file imports; with ``top`` only those that run when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                below = ROOT.joinpath(*str(node.module).split(".")[1:], alias.name)
                inside = str(node.module).split(".")[0] == "adaptstilts"
                is_module = inside and (below.is_dir() or below.with_suffix(".py").is_file())
                found.add(f"{node.module}.{alias.name}" if is_module else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.mark.parametrize("path", FILES, ids=module)
def test_every_module_has_a_place(path: Path) -> None:
    assert module(path) == "" or part(module(path)), f"give {module(path)} a place in LAYERS"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_downwards(path: Path) -> None:
    here = part(module(path))
    wrong = []
    for name in sorted(imports(path)):
        if name.startswith("adaptstilts."):
            there = part(name.removeprefix("adaptstilts."))
            if there != here and RANK[there] >= RANK.get(here, len(FILES)) and (here, there) not in ALLOWED:
                wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("path", [p for p in FILES if part(module(p)) in LIGHT_PARTS], ids=module)
def test_heavy_libraries_are_not_imported_at_the_top(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(path, top=True)} & HEAVY == set()


def test_the_tables_are_right() -> None:
    assert set(RANK) >= LIGHT_PARTS
    assert {part(module(path)) for path in FILES} - {""} <= set(RANK)


CHILD = """
import importlib, sys
loaded = importlib.import_module(sys.argv[1])
if sys.argv[1] == "adaptstilts.tasks":
    loaded.known()
if sys.argv[1] == "adaptstilts.methods":
    loaded.known()
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("name", TORCH_FREE)
def test_starts_without_torch(name: str) -> None:
    full = "adaptstilts" if name == "adaptstilts" else f"adaptstilts.{name}"
    base = ROOT.joinpath(*name.split("."))
    if name != "adaptstilts" and not (base.is_dir() or base.with_suffix(".py").is_file()):
        pytest.skip(f"{full} is not there yet")
    done = subprocess.run([sys.executable, "-c", CHILD, full], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "adaptstilts" in done.stdout.split()
    assert set(done.stdout.split()) & HEAVY == set()


def test_planning_needs_no_torch(study_file: object, data_root: Path, tmp_path: Path) -> None:
    """Not only importing: reading a study and expanding it."""
    body = f"""
import sys
from adaptstilts import config, plan
from adaptstilts.workspace import Workspace
made = plan.expand(config.load({str(study_file())!r}), Workspace({str(tmp_path / "s")!r}, {str(data_root)!r}))  # noqa
print(len(made.phases), "torch" in sys.modules, "transformers" in sys.modules, "datasets" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["109", "False", "False", "False"]


# Calls that have no place here: (file, what) of those that were looked at.
REFUSED = [
    "pickle", "torch.load", "eval(", "exec(", "extractall", "trust_remote_code", "shell=True", "allow_pickle",
    "yaml.load(", "os.system", "marshal", "__import__", "weights_only=False", "verify=False",
]  # fmt: skip
LOOKED_AT = {
    ("data/sources.py", "yaml.load("),  # a safe loader, the C one where it exists
    ("interop/tensorfile.py", "torch.load"),  # weights_only=True, and what it gives is checked again
}


def code(path: Path) -> str:
    """A file's tokens without comments and strings, joined as they are written."""
    text = path.read_text(encoding="utf-8")
    drop = (tokenize.COMMENT, tokenize.STRING, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    words = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in drop]
    joined = " ".join(["", *words])
    return re.sub(r" ?([=.]) ", r"\1", joined).replace(" (", "(")


def uses(path: Path, word: str) -> bool:
    """Whether a file's code has a refused word; ``model.eval()`` is another thing than ``eval()``."""
    before = r"(?<![.\w])" if word in ("eval(", "exec(") else ""
    return re.search(before + re.escape(word), code(path)) is not None


@pytest.mark.parametrize("word", REFUSED)
def test_no_code_from_data(word: str) -> None:
    found = {(path.relative_to(ROOT).as_posix(), word) for path in FILES if uses(path, word)}
    assert found == {pair for pair in LOOKED_AT if pair[1] == word}


def test_the_gate_sees_what_it_looks_for(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text('import pickle\nx = eval("1")\nyaml . load(f)\nrun(a, shell = True)  # exec(\n"exec("\n')
    assert {word for word in REFUSED if uses(path, word)} == {"pickle", "eval(", "yaml.load(", "shell=True"}
    path.write_text("model.eval()\nre_eval(3)\n")
    assert {word for word in REFUSED if uses(path, word)} == set()


def test_the_safe_loader_is_the_one_used() -> None:
    text = (ROOT / "data/sources.py").read_text(encoding="utf-8")
    assert 'loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)' in text
    assert text.count("yaml.load(") == text.count("Loader=loader)") == 1
