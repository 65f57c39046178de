"""Sequence labelling: universal part-of-speech tags (33 languages) and WikiANN named entities (40 languages)."""

from adaptstilts.tasks.base import Source, Task
from adaptstilts.tasks.recipe import X_STILTS, XTREME, stilts_target, xtreme

_UDPOS = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
_PANX = (
    "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw yo my zh kk"
    " tr et fi hu"
)
_WIKIANN = "unimelb-nlp/wikiann"  # has the languages that XTREME-R added

# No copy on the hub has the languages that XTREME-R added; put them into a data root in the same layout.
udpos = Task(
    name="udpos",
    kind="tagging",
    languages=tuple(_UDPOS.split()),
    more_languages=tuple("lt pl uk wo ro".split()),
    columns={"tokens": "tokens", "tags": "pos_tags"},
    labels=tuple("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()),
    train=Source("google/xtreme", "udpos.English", "train"),
    train_languages=Source("google/xtreme", "udpos.{name}", "validation"),  # copies have no others
    dev=Source("google/xtreme", "udpos.{name}", "validation"),
    test=Source("google/xtreme", "udpos.{name}", "test"),
    train_rows=21_253,
    licence="one per treebank, see the data card",
    citation="Nivre et al. 2018, Universal Dependencies 2.5",
    defaults={"epochs": 10},
    recipes={
        XTREME: xtreme(
            "train_udpos.sh", lr=2e-5, epochs=10, batch_size=32, max_length=128, keep="best", eval_every=500
        ),
        X_STILTS: stilts_target(epochs=10),
    },
)

panx = Task(
    name="panx",
    kind="tagging",
    languages=tuple(_PANX.split()),
    more_languages=tuple("qu pl uk az lt pa gu ro".split()),
    columns={"tokens": "tokens", "tags": "ner_tags"},
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    train=Source("google/xtreme", "PAN-X.en", "train"),
    train_languages=Source("google/xtreme", "PAN-X.{code}", "train", mirrors=(Source(_WIKIANN, "{code}", "train"),)),
    dev=Source("google/xtreme", "PAN-X.{code}", "validation", mirrors=(Source(_WIKIANN, "{code}", "validation"),)),
    test=Source("google/xtreme", "PAN-X.{code}", "test", mirrors=(Source(_WIKIANN, "{code}", "test"),)),
    train_rows=20_000,
    licence="derived from Wikipedia, CC BY-SA",
    citation="Pan et al. 2017; Rahimi, Li and Cohn 2019",
    defaults={"epochs": 10},
    recipes={
        XTREME: xtreme(
            "train_panx.sh", lr=2e-5, epochs=10, batch_size=32, max_length=128, keep="best", eval_every=1000
        ),
        X_STILTS: stilts_target(epochs=10),
    },
)
