"""The sample suite that ships with the package: four tasks with English training sets, and retrieval, in ten languages.

No learning rate is set, as each method has its own. Sequences are short, and there are many epochs because the training
sets are small.
"""

from adaptstilts.sample.grammar import UPOS
from adaptstilts.tasks.base import Source, Task

_REPO = "adaptstilts/sample"
_LANGUAGES = tuple("en de es fr ru ar hi sw tr zh".split())
_DEFAULTS = {"epochs": 8, "batch_size": 16, "max_length": 96, "dev_examples": 200}
_LICENCE = "Apache-2.0"
_CITATION = "made for this package; see adaptstilts/sample/README.md"


sample_nli = Task(
    name="sample_nli",
    kind="classification",
    languages=_LANGUAGES,
    columns={"text_a": "premise", "text_b": "hypothesis", "label": "label"},
    labels=("entailment", "neutral", "contradiction"),
    train=Source(_REPO, "nli.en", "train"),
    dev=Source(_REPO, "nli.en", "validation"),
    test=Source(_REPO, "nli.{code}", "test"),
    intermediate=True,
    parallel=True,
    equal_columns=("label",),
    defaults=_DEFAULTS,
    licence=_LICENCE,
    citation=_CITATION,
)

sample_choice = Task(
    name="sample_choice",
    kind="choice",
    languages=_LANGUAGES,
    columns={"context": "context", "choices": "choices", "label": "label"},
    choices=2,
    train=Source(_REPO, "choice.en", "train"),
    train_languages=Source(_REPO, "choice.{code}", "validation"),
    dev=Source(_REPO, "choice.en", "validation"),
    test=Source(_REPO, "choice.{code}", "test"),
    intermediate=True,
    parallel=True,
    equal_columns=("label",),
    defaults=_DEFAULTS,
    licence=_LICENCE,
    citation=_CITATION,
)

sample_qa = Task(
    name="sample_qa",
    kind="span",
    languages=_LANGUAGES,
    columns={"id": "id", "question": "question", "context": "context", "answers": "answers"},
    train=Source(_REPO, "qa.en", "train"),
    dev=Source(_REPO, "qa.en", "validation"),
    test=Source(_REPO, "qa.{code}", "test"),
    intermediate=True,
    parallel=True,
    defaults={**_DEFAULTS, "max_length": 160},
    licence=_LICENCE,
    citation=_CITATION,
)

sample_tagging = Task(
    name="sample_tagging",
    kind="tagging",
    languages=_LANGUAGES,
    columns={"tokens": "tokens", "tags": "tags"},
    labels=UPOS,
    train=Source(_REPO, "tagging.en", "train"),
    dev=Source(_REPO, "tagging.en", "validation"),
    test=Source(_REPO, "tagging.{code}", "test"),
    intermediate=True,
    parallel=True,
    defaults={**_DEFAULTS, "epochs": 4},
    licence=_LICENCE,
    citation=_CITATION,
)

sample_retrieval = Task(
    name="sample_retrieval",
    kind="bitext",
    languages=_LANGUAGES[1:],
    columns={"foreign": "foreign", "english": "english"},
    test=Source(_REPO, "retrieval.{code}", "test"),
    parallel=True,
    licence=_LICENCE,
    citation=_CITATION,
)
