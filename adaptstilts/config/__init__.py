"""What a study file says: pydantic models, read from strict YAML, with dotted overrides from the command line."""

from adaptstilts.config.overrides import near, override_key, split_override
from adaptstilts.config.reading import as_tuples, explain, load, parse, read_text
from adaptstilts.config.settings import Evaluate, Foresee, Frozen, Pooling, Precision, Retrieve, Train
from adaptstilts.config.study import (
    NAME,
    REPO,
    Arm,
    Chain,
    Composition,
    LanguageAdapters,
    Masked,
    Merge,
    Mixture,
    Part,
    Study,
    Text,
    evaluate_settings,
    train_settings,
)

__all__ = [
    "NAME",
    "REPO",
    "Arm",
    "Chain",
    "Composition",
    "Evaluate",
    "Foresee",
    "Frozen",
    "LanguageAdapters",
    "Masked",
    "Merge",
    "Mixture",
    "Part",
    "Pooling",
    "Precision",
    "Retrieve",
    "Study",
    "Text",
    "Train",
    "as_tuples",
    "evaluate_settings",
    "explain",
    "load",
    "near",
    "override_key",
    "parse",
    "read_text",
    "split_override",
    "train_settings",
]
