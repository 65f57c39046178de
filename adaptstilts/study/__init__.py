"""What a study file says: pydantic models, read from strict YAML, with dotted overrides from the command line."""

from adaptstilts.study.loading import Draft, as_tuples, draft, load, parse, read_text
from adaptstilts.study.messages import explain, near
from adaptstilts.study.overrides import override_key, split_override
from adaptstilts.study.places import FollowUp, Origin, Place, Problems, StudyError
from adaptstilts.study.schema import (
    Arm,
    Chain,
    Composition,
    LanguageAdapters,
    Masked,
    Merge,
    Mixture,
    Part,
    Study,
    TextSource,
    evaluate_settings,
    train_settings,
)
from adaptstilts.study.settings import (
    Evaluate,
    Margin,
    Pooling,
    Precision,
    PredictTransfer,
    Retrieval,
    Retrieve,
    StrictModel,
    Train,
)
from adaptstilts.tasks.base import NAME, REPO

__all__ = [
    "NAME",
    "REPO",
    "Arm",
    "Chain",
    "Composition",
    "Draft",
    "Evaluate",
    "FollowUp",
    "LanguageAdapters",
    "Margin",
    "Masked",
    "Merge",
    "Mixture",
    "Origin",
    "Part",
    "Place",
    "Pooling",
    "Precision",
    "PredictTransfer",
    "Problems",
    "Retrieval",
    "Retrieve",
    "StrictModel",
    "Study",
    "StudyError",
    "TextSource",
    "Train",
    "as_tuples",
    "draft",
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
