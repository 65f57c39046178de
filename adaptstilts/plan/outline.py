"""A plan before there is anything: no data, no weights, no connection; sizes as they were published.

Phases, sharing and rough costs are those of the real plan. Its keys are not: these stand for data that nobody has seen.
"""

from __future__ import annotations

from pathlib import Path

from adaptstilts.data.sources import Sources, Split
from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.models.locate import Fingerprint, Model
from adaptstilts.study import Study
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

# hidden, layers, heads, intermediate size; vocabulary and positions are the same for all (their config.json)
_SHAPES = {
    "FacebookAI/xlm-roberta-base": (768, 12, 12, 3072),
    "FacebookAI/xlm-roberta-large": (1024, 24, 16, 4096),
    "facebook/xlm-roberta-xl": (2560, 36, 32, 10240),
    "facebook/xlm-roberta-xxl": (4096, 48, 32, 16384),
}
_VOCABULARY, _POSITIONS = 250_002, 514


class Outline(Workspace):
    """A workspace in which every split is there and empty, and the models are those whose shapes are known."""

    def __init__(self, store: str | Path) -> None:
        super().__init__(store, None, offline=True, create=False)
        self.sources = _Unseen(offline=True)

    def model(self, study: Study) -> Model:
        """The shape of the base model: from its folder where it is one, else of a known hub id.

        Raises:
            ConfigError: neither; the shape cannot be known without fetching it.
        """
        if study.model not in _SHAPES:
            try:
                return super().model(study)
            except AdaptstiltsError as error:
                known = ", ".join(_SHAPES)
                raise ConfigError(f"model {study.model!r}: no folder and not of known shape ({known})") from error
        hidden, layers, heads, inner = _SHAPES[study.model]
        shape = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": inner}
        shape |= {"vocabulary": _VOCABULARY, "positions": _POSITIONS}
        layer = 4 * hidden * hidden + 2 * hidden * inner + 9 * hidden + inner
        parameters = (_VOCABULARY + _POSITIONS + 3) * hidden + layers * layer
        return Model(self.store.folder, study.model, Fingerprint("", "", "", ""), {**shape, "parameters": parameters})


class _Unseen(Sources):
    """Every split is there, without files; told apart by its name."""

    def find(self, source: Source) -> Split:
        """The split."""
        return Split(source, (), f"unseen {source} {source.where}")
