"""Multiple choice: Social IQa and CommonsenseQA, COPA, and XCOPA in eleven languages.

XCOPA has no training rows of its own: as in XTREME-R the model is trained on Social IQa, then on English COPA.
The first segment of an example and the choices are built as in jiant, the code of Phang et al. (2020).
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task

_CHOICE = {"context": "context", "choices": "choices", "label": "label"}
_COPA_QUESTION = {"cause": "What was the cause?", "effect": "What happened as a result?"}


def _social_i_qa(row: Row) -> dict[str, Any]:
    choices = [row["answerA"], row["answerB"], row["answerC"]]
    return {
        "context": f"{row['context']} {row['question']}",
        "choices": choices,
        "label": int(row["label"]) - 1,
    }


def _commonsense_qa(row: Row) -> dict[str, Any]:
    labels = list(row["choices"]["label"])
    label = labels.index(row["answerKey"]) if row["answerKey"] in labels else -1
    return {"context": row["question"], "choices": list(row["choices"]["text"]), "label": label}


def _copa(row: Row) -> dict[str, Any]:
    context = f"{row['premise']} {_COPA_QUESTION[row['question']]}"
    return {"context": context, "choices": [row["choice1"], row["choice2"]], "label": row["label"]}


social_i_qa = Task(
    name="social_i_qa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    adapt=_social_i_qa,
    train=Source("allenai/social_i_qa", "default", "train", mirrors=("lighteval/siqa",)),
    dev=Source("allenai/social_i_qa", "default", "validation", mirrors=("lighteval/siqa",)),
    test=Source("allenai/social_i_qa", "default", "validation", mirrors=("lighteval/siqa",)),
    intermediate=True,
    licence="CC BY 4.0",
    citation="Sap et al. 2019, arXiv 1904.09728",
)

commonsense_qa = Task(
    name="commonsense_qa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    adapt=_commonsense_qa,
    train=Source("tau/commonsense_qa", "default", "train"),
    dev=Source("tau/commonsense_qa", "default", "validation"),
    test=Source("tau/commonsense_qa", "default", "validation"),
    intermediate=True,
    licence="MIT",
    citation="Talmor et al. 2019, arXiv 1811.00937",
)

copa = Task(
    name="copa",
    kind="choice",
    languages=("en",),
    columns=_CHOICE,
    adapt=_copa,
    train=Source("aps/super_glue", "copa", "train"),
    dev=Source("aps/super_glue", "copa", "validation"),
    test=Source("aps/super_glue", "copa", "validation"),
    intermediate=True,
    licence="BSD 2-clause",
    citation="Roemmele, Bejan and Gordon 2011",
)

xcopa = Task(
    name="xcopa",
    kind="choice",
    languages=tuple("et ht id it qu sw ta th tr vi zh".split()),
    columns=_CHOICE,
    adapt=_copa,
    train_from=("social_i_qa", "copa"),
    dev=Source("aps/super_glue", "copa", "validation"),
    test=Source("cambridgeltl/xcopa", "{code}", "test"),
    parallel=True,
    licence="CC BY 4.0",
    citation="Ponti et al. 2020, arXiv 2005.00333",
)
