"""adaptstilts: intermediate-task training with adapters, zero-shot cross-lingual transfer, swapping and retrieval.

The command line and this interface call the same functions::

    workspace = Workspace("store", data_root="data")
    study = load("configs/mini.yaml", ["model=encoder"])
    plan = expand(study, workspace)
    run_plan(plan, workspace)
    print(render(records(plan, workspace.store), "md"))

Importing it does not import torch.
"""

from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.swap import swap
from adaptstilts.reports.records import Record, records
from adaptstilts.reports.tables import render
from adaptstilts.run import run_plan
from adaptstilts.store.store import Store
from adaptstilts.study import Study, load
from adaptstilts.workspace import Workspace

__version__ = "0.1.0"

execute, swaps = run_plan, swap  # as these functions were called in 0.1.0

__all__ = [
    "Plan",
    "Record",
    "Store",
    "Study",
    "Workspace",
    "execute",
    "expand",
    "load",
    "records",
    "render",
    "run_plan",
    "swap",
    "swaps",
]
