"""A plan before there is anything: no data, no weights, no connection; sizes as they were published.

Phases, sharing and rough costs are those of the real plan. Its keys are not: these stand for data that nobody has seen.
"""

from __future__ import annotations

from pathlib import Path

from adaptstilts.errors import AdaptstiltsError, ConfigError
from adaptstilts.models import architectures
from adaptstilts.models.locate import Fingerprint, Model
from adaptstilts.study import Study
from adaptstilts.workspace import UnreadSources, Workspace


class Outline(Workspace):
    """A workspace in which every split is there and empty, and the models are those whose shapes are known."""

    def __init__(self, store: str | Path) -> None:
        super().__init__(store, None, offline=True, create=False)
        self.sources = UnreadSources(offline=True)

    def model(self, study: Study) -> Model:
        """The shape of the base model: from its folder where it is one, else of a known hub id.

        Raises:
            ConfigError: neither; the shape cannot be known without fetching it.
        """
        published = {name: each for each in architectures.known().values() for name in each.published}
        if study.model not in published:
            try:
                return super().model(study)
            except AdaptstiltsError as error:
                known = ", ".join(published)
                raise ConfigError(f"model {study.model!r}: no folder and not of known shape ({known})") from error
        architecture = published[study.model]
        shape = dict(architecture.published[study.model])
        sizes = {**shape, "parameters": architecture.parameters(shape)}
        return Model(self.store.folder, study.model, Fingerprint("", "", "", ""), sizes, architecture)
