"""Plans without data, weights or a connection: sizes as they were published.

Phases, sharing and rough costs are those of the real plan. The keys are not, because no data were read.
"""

from __future__ import annotations

from pathlib import Path

from adaptstilts.data import sources
from adaptstilts.data.sources import PACKAGED, Sources
from adaptstilts.errors import ConfigError
from adaptstilts.models import architectures
from adaptstilts.models.locate import BUILTIN, Fingerprint, Model
from adaptstilts.models.sentence_transformers import OwnPooling
from adaptstilts.study import Study
from adaptstilts.tasks import Source
from adaptstilts.workspace import UnreadSources, Workspace


class Outline(Workspace):
    """A workspace in which every split exists and is not read, and models on the hub have their published shapes."""

    def __init__(self, store: str | Path) -> None:
        super().__init__(store, None, offline=True, create=False)
        self.sources = UnreadSources(offline=True)
        self._packaged = Sources(offline=True)

    def model(self, study: Study) -> Model:
        """Return the base model of a study: a folder or built-in encoder as it is, or the shape of a hub id.

        Raises:
            ConfigError: the shape of the model is not known without fetching it.
            ArtifactError: the folder is not an encoder that is supported.
        """
        published = {name: known for known in architectures.known().values() for name in known.published}
        if study.model in published:
            architecture = published[study.model]
            shape = dict(architecture.published[study.model])
            sizes = {**shape, "parameters": architecture.parameters(shape)}
            fingerprint = Fingerprint("", "", "", "")
            return Model(self.store.folder, study.model, fingerprint, sizes, architecture, pooling=OwnPooling("mean"))
        if study.model.startswith(BUILTIN) or Path(study.model).expanduser().is_dir():
            return super().model(study)
        raise ConfigError(
            f"{study.model!r}: there is no such folder, and an outline fetches nothing; without fetching, the"
            f" shapes of these are known: {', '.join(published)}"
        )

    def size(self, source: Source) -> tuple[int, int] | None:
        """Return rows and bytes of a split that ships with the package; None for any other."""
        split = self._packaged.find(source) if (PACKAGED / source.repo).is_dir() else None
        return (sources.row_count(split), sources.byte_size(split)) if split else None
