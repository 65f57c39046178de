"""Intermediate-task training with adapters: zero-shot cross-lingual transfer, adapter swapping and retrieval.

The command line and these functions run the same code::

    from adaptstilts import Workspace, expand, load_study, records, render, run_plan

    workspace = Workspace("store", data_root="data")
    study = load_study("configs/mini.yaml", ["model=builtin:small"])
    plan = expand(study, workspace)
    run_plan(plan, workspace)
    print(render(records(plan, workspace.store), "md"))

Every name is imported when it is first used, so that ``import adaptstilts`` loads no other module.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptstilts.cli.progress import Progress
    from adaptstilts.errors import (
        AdaptstiltsError,
        ArtifactError,
        ConfigError,
        DataError,
        DivergedError,
        Interrupted,
        PhasesFailed,
        ResourceError,
    )
    from adaptstilts.methods import Method
    from adaptstilts.plan.expand import Plan, expand, expand_each
    from adaptstilts.plan.swap import swap
    from adaptstilts.plan.swap import swap as swaps
    from adaptstilts.reports.choose import choose
    from adaptstilts.reports.records import Record, records, row_records
    from adaptstilts.reports.retrieval_sweep import retrieve
    from adaptstilts.reports.tables import render
    from adaptstilts.retrieval.mine import MiningSettings, mine
    from adaptstilts.run import run_plan
    from adaptstilts.run import run_plan as execute
    from adaptstilts.store.store import Store
    from adaptstilts.study import Retrieve, Study
    from adaptstilts.study import load as load
    from adaptstilts.study import load as load_study
    from adaptstilts.tasks import Source, Task
    from adaptstilts.workspace import Workspace

__version__ = "0.2.0.dev0"

__all__ = [
    "AdaptstiltsError",
    "ArtifactError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "Method",
    "MiningSettings",
    "PhasesFailed",
    "Plan",
    "Progress",
    "Record",
    "ResourceError",
    "Retrieve",
    "Source",
    "Store",
    "Study",
    "Task",
    "Workspace",
    "choose",
    "execute",
    "expand",
    "expand_each",
    "load",
    "load_study",
    "mine",
    "records",
    "render",
    "retrieve",
    "row_records",
    "run_plan",
    "swap",
    "swaps",
]

_MODULES = {  # module -> its public names
    "adaptstilts.cli.progress": "Progress",
    "adaptstilts.errors": (
        "AdaptstiltsError ArtifactError ConfigError DataError DivergedError Interrupted PhasesFailed ResourceError"
    ),
    "adaptstilts.methods": "Method",
    "adaptstilts.plan.expand": "Plan expand expand_each",
    "adaptstilts.plan.swap": "swap",
    "adaptstilts.reports.choose": "choose",
    "adaptstilts.reports.records": "Record records row_records",
    "adaptstilts.reports.retrieval_sweep": "retrieve",
    "adaptstilts.reports.tables": "render",
    "adaptstilts.retrieval.mine": "MiningSettings mine",
    "adaptstilts.run": "run_plan",
    "adaptstilts.store.store": "Store",
    "adaptstilts.study": "Retrieve Study load",
    "adaptstilts.tasks": "Source Task",
    "adaptstilts.workspace": "Workspace",
}
_RENAMED = {  # public name -> module and its name there; load, execute and swaps are the names of 0.1.0
    "execute": ("adaptstilts.run", "run_plan"),
    "load_study": ("adaptstilts.study", "load"),
    "swaps": ("adaptstilts.plan.swap", "swap"),
}
_PLACES = {name: (module, name) for module, names in _MODULES.items() for name in names.split()} | _RENAMED


def __getattr__(name: str) -> Any:
    """Import a public name from its module, or a submodule such as ``tasks``."""
    if name in _PLACES:
        module, attribute = _PLACES[name]
        value = getattr(importlib.import_module(module), attribute)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, also those not imported yet."""
    return sorted({*globals(), *__all__})
