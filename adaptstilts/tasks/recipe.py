"""Published hyper-parameters of tasks: what a benchmark's own scripts train XLM-R large with, and where they say so.

A recipe is declared with its task. A study that names one (``recipe: xtreme``) takes its settings; ``plan`` compares
every study with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

XTREME = "xtreme"  # google-research/xtreme at 838c13b, whose scripts serve XTREME and XTREME-R
X_STILTS = "x-stilts"  # the recipe of Phang et al. (2020) in nyu-mll/jiant at daa5a25


@dataclass(frozen=True)
class Recipe:
    """Training settings that somebody published.

    Attributes:
        settings: training settings by name; those that are not here are not stated. ``lr`` is that of full fine-tuning.
        source: the files that state them.
    """

    settings: Mapping[str, Any]
    source: str


def xtreme(script: str, **settings: Any) -> Recipe:
    """Return what a script of XTREME trains with.

    Its programs have no warm-up and no decay unless the script asks for them, and choose on all dev rows.

    Args:
        script: name of the script.
        settings: what it asks for.
    """
    warmup = {} if "warmup_steps" in settings else {"warmup": 0.0}
    common = {**warmup, "weight_decay": 0.0, "dev_examples": None}
    return Recipe({**common, **settings}, f"google-research/xtreme 838c13b scripts/{script}")


# jiant decays its heads by 0.005 and rounds the warm-up down, which is one step at most.
_JIANT = "nyu-mll/jiant daa5a25"
_JIANT_COMMON = {"lr": 1e-5, "warmup": 0.1, "weight_decay": 0.01, "dev_examples": 500}

# One run has one length: the command of the guide leaves it at 256, for question answering too.
STILTS_INTERMEDIATE = Recipe(
    {**_JIANT_COMMON, "epochs": 3, "batch_size": 4, "max_length": 256, "keep": "last"},
    f"{_JIANT} guides/projects/xstilts.md, jiant/proj/simple/runscript.py",
)


def stilts_target(epochs: int, batch_size: int = 32, max_length: int = 256) -> Recipe:
    """Return what the authors' scripts train a target of XTREME with.

    Args:
        epochs: passes over the rows.
        batch_size: rows of a step.
        max_length: tokens of a sequence.
    """
    budget = {"epochs": epochs, "batch_size": batch_size, "max_length": max_length}
    selection = {"keep": "best", "eval_every": 1000, "patience": 30}
    files = "d_write_configs.sh, c_tokenize_and_cache.sh, e_run_models.sh"
    return Recipe(
        {**_JIANT_COMMON, **budget, **selection}, f"{_JIANT} jiant/scripts/benchmarks/xtreme/subscripts/{files}"
    )
