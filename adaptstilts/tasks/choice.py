"""Multiple choice: HellaSwag, Cosmos QA, Social IQa, CommonsenseQA and COPA; XCOPA in eleven languages.

XCOPA has no training rows of its own: as in XTREME-R, the model is trained on Social IQa and then on English COPA.
The first segment and the choices are built as in jiant, the code of Phang et al. (2020).
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task
from adaptstilts.tasks.recipe import STILTS_INTERMEDIATE, X_STILTS, XTREME, xtreme
from adaptstilts.tasks.row_values import UnfitRow, one_of, text, texts, whole

_XTREME = xtreme("train_xcopa.sh", lr=3e-5, epochs=5, batch_size=32, max_length=128, keep="last")
_CHOICE = {"context": "context", "choices": "choices", "label": "label"}
_COPA_QUESTION = {"cause": "What was the cause?", "effect": "What happened as a result?"}


def _hellaswag(row: Row) -> dict[str, Any]:
    beginning = text(row, "ctx_b")
    choices = [f"{beginning} {ending}".strip() for ending in texts(row, "endings")]
    return {"context": text(row, "ctx_a"), "choices": choices, "label": _hellaswag_label(row)}


def _hellaswag_label(row: Row) -> int:
    """Return the number of the right ending; -1 where it is withheld, which is an empty text in the test split."""
    return -1 if row["label"] == "" else whole(row, "label")


def _cosmos_qa(row: Row) -> dict[str, Any]:
    choices = [text(row, f"answer{number}") for number in range(4)]
    return {"context": f"{text(row, 'context')} {text(row, 'question')}", "choices": choices, "label": row["label"]}


def _social_i_qa(row: Row) -> dict[str, Any]:
    return {
        "context": f"{text(row, 'context')} {text(row, 'question')}",
        "choices": [text(row, f"answer{letter}") for letter in "ABC"],
        "label": whole(row, "label") - 1,
    }


def _commonsense_qa(row: Row) -> dict[str, Any]:
    choices, letters = texts(row, "choices.text"), texts(row, "choices.label")
    if len(choices) != len(letters):
        raise UnfitRow(f"choices: expected a label for each text, found {len(choices)} and {len(letters)}")
    is_withheld = row["answerKey"] in (None, "")
    label = -1 if is_withheld else letters.index(one_of(row, "answerKey", letters))
    return {"context": text(row, "question"), "choices": choices, "label": label}


def _copa(row: Row) -> dict[str, Any]:
    question = _COPA_QUESTION[one_of(row, "question", tuple(_COPA_QUESTION))]
    choices = [text(row, "choice1"), text(row, "choice2")]
    return {"context": f"{text(row, 'premise')} {question}", "choices": choices, "label": row["label"]}


hellaswag = Task(
    name="hellaswag",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    choices=4,
    adapt=_hellaswag,
    no_gold=(-1,),
    train=Source("Rowan/hellaswag", "default", "train"),
    dev=Source("Rowan/hellaswag", "default", "validation"),
    test=Source("Rowan/hellaswag", "default", "validation"),
    intermediate=True,
    train_rows=39_905,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="MIT",
    citation="Zellers et al. 2019, arXiv 1905.07830",
)

# The main branch has only a loading script; the hub's own conversion to parquet has the rows.
cosmos_qa = Task(
    name="cosmos_qa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    choices=4,
    adapt=_cosmos_qa,
    no_gold=(-1,),
    train=Source("allenai/cosmos_qa", "default", "train", revision="refs/convert/parquet"),
    dev=Source("allenai/cosmos_qa", "default", "validation", revision="refs/convert/parquet"),
    test=Source("allenai/cosmos_qa", "default", "validation", revision="refs/convert/parquet"),
    intermediate=True,
    train_rows=25_262,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="CC BY 4.0",
    citation="Huang et al. 2019, arXiv 1909.00277",
)

social_i_qa = Task(
    name="social_i_qa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    choices=3,
    adapt=_social_i_qa,
    train=Source("allenai/social_i_qa", "default", "train", mirrors=(Source("lighteval/siqa", "default", "train"),)),
    dev=Source(
        "allenai/social_i_qa", "default", "validation", mirrors=(Source("lighteval/siqa", "default", "validation"),)
    ),
    test=Source(
        "allenai/social_i_qa", "default", "validation", mirrors=(Source("lighteval/siqa", "default", "validation"),)
    ),
    intermediate=True,
    train_rows=33_410,
    recipes={XTREME: _XTREME},
    licence="CC BY 4.0",
    citation="Sap et al. 2019, arXiv 1904.09728",
)

commonsense_qa = Task(
    name="commonsense_qa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    choices=5,
    adapt=_commonsense_qa,
    no_gold=(-1,),
    train=Source("tau/commonsense_qa", "default", "train"),
    dev=Source("tau/commonsense_qa", "default", "validation"),
    test=Source("tau/commonsense_qa", "default", "validation"),
    intermediate=True,
    train_rows=9_741,
    recipes={X_STILTS: STILTS_INTERMEDIATE},
    licence="MIT",
    citation="Talmor et al. 2019, arXiv 1811.00937",
)

copa = Task(
    name="copa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    choices=2,
    adapt=_copa,
    train=Source("aps/super_glue", "copa", "train"),
    dev=Source("aps/super_glue", "copa", "validation"),
    test=Source("aps/super_glue", "copa", "validation"),
    intermediate=True,
    train_rows=400,
    recipes={XTREME: _XTREME},
    licence="BSD 2-clause",
    citation="Roemmele, Bejan and Gordon 2011",
)

xcopa = Task(
    name="xcopa",
    kind="choice",
    languages=tuple("et ht id it qu sw ta th tr vi zh".split()),
    columns=_CHOICE,
    choices=2,
    adapt=_copa,
    train_from=("social_i_qa", "copa"),
    train_languages=Source("cambridgeltl/xcopa", "{code}", "validation"),
    dev=Source("aps/super_glue", "copa", "validation"),
    test=Source("cambridgeltl/xcopa", "{code}", "test"),
    test_rows=500,
    parallel=True,
    equal_columns=("question", "label"),
    recipes={XTREME: _XTREME},
    licence="CC BY 4.0",
    citation="Ponti et al. 2020, arXiv 2005.00333",
)
