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

# From the bottom up: a folder (or module at the root) imports only from those before it, lazily or not.
LAYERS = """
errors registry languages io metrics sample tasks methods study data models store formats search workspace plan kinds
runtime retrieval pretrain phases run reports questions interop guide cli __main__
""".split()
HEAVY = {
    "torch",
    "transformers",
    "adapters",
    "peft",
    "accelerate",
    "datasets",
    "faiss",
    "tokenizers",
    "safetensors",
    "matplotlib",
}
TORCH_FREE = """
study plan.expand plan.swap store.store tasks methods search workspace data.sources run reports.records reports.tables
reports.retrieval_sweep questions questions.rehearse reports.page.study reports.page.html interop.adapters cli
cli.progress cli.plan_text
cli.listings
""".split()
# Folders and modules whose import never loads a heavy library, at any place of theirs.
LIGHT = """
errors registry languages io metrics sample tasks methods study data store formats models.locate models.architectures
workspace plan
runtime.loggers pretrain.recipe pretrain.loading pretrain.plan run reports questions cli __main__
""".split()


def module(path: Path) -> str:
    """Dotted name below the package; empty for the package itself."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def layer(name: str) -> str:
    """The folder, or the module at the root, that a dotted name below the package lies in."""
    return name.partition(".")[0]


def is_light(name: str) -> bool:
    return any(name == light or name.startswith(f"{light}.") for light in LIGHT)


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


def test_every_module_lies_in_a_layer() -> None:
    assert {layer(module(path)) for path in FILES} - {""} <= set(LAYERS)


@pytest.mark.parametrize("path", [path for path in FILES if module(path)], ids=module)
def test_imports_point_downwards(path: Path) -> None:
    here = LAYERS.index(layer(module(path)))
    above = {f"adaptstilts.{name}" for name in LAYERS[here + 1 :]}
    wrong = {name for name in imports(path) if any(name == up or name.startswith(f"{up}.") for up in above)}
    assert wrong == set()


@pytest.mark.parametrize("path", [path for path in FILES if is_light(module(path))], ids=module)
def test_heavy_libraries_are_not_imported_at_the_top(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(path, top=True)} & HEAVY == set()


CHILD = """
import importlib, sys
loaded = importlib.import_module(sys.argv[1])
if sys.argv[1] == "adaptstilts.tasks":
    loaded.known()
if sys.argv[1] in ("adaptstilts.methods", "adaptstilts.search"):
    loaded.known()
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("name", ["", *TORCH_FREE])
def test_starts_without_torch(name: str) -> None:
    full = f"adaptstilts.{name}".rstrip(".")
    done = subprocess.run([sys.executable, "-c", CHILD, full], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "adaptstilts" in done.stdout.split()
    assert set(done.stdout.split()) & HEAVY == set()


def test_planning_needs_no_torch(study_file: object, data_root: Path, tmp_path: Path) -> None:
    """Not only importing: reading a study and expanding it."""
    body = f"""
import sys
from adaptstilts import study as config
from adaptstilts.plan import expand as plan
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
    ("data/cards.py", "yaml.load("),  # a safe loader, the C one where it exists
    ("models/restricted.py", "torch.load"),  # weights_only=True, and what it gives is checked again
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
    text = (ROOT / "data/cards.py").read_text(encoding="utf-8")
    assert 'loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)' in text
    assert text.count("yaml.load(") == text.count("Loader=loader)") == 1
