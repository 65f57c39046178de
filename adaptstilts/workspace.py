"""The place where a command works: store, data and models. Paths are here and never in a content key."""

from __future__ import annotations

import copy
from pathlib import Path

from adaptstilts import languages
from adaptstilts.data import sources
from adaptstilts.data.sources import Sources, Split
from adaptstilts.formats import recognize
from adaptstilts.formats.recognize import ForeignAdapter
from adaptstilts.io import hashing
from adaptstilts.models import locate as models
from adaptstilts.store.store import Store
from adaptstilts.study import Study
from adaptstilts.tasks import Source


class UnreadSources(Sources):
    """Sources in which every split exists, without files; a digest stands for the split's name alone."""

    def find(self, source: Source) -> Split:
        """Return the split without reading it."""
        return Split(source, (), f"unseen {source} {source.where}")


class Workspace:
    """A store, a data root (or the hub) and remembered file hashes.

    Args:
        store: the store, or its folder.
        data_root: local folder laid out like the hub, used instead of it.
        offline: open no socket.
        create: let the first write create the store; otherwise nothing is written unless the store exists. What may
            be written while a study is planned: hashes of input files, and what the data were when first loaded.
    """

    def __init__(
        self,
        store: str | Path | Store,
        data_root: str | Path | None = None,
        offline: bool = False,
        create: bool = True,
    ) -> None:
        self.store = store if isinstance(store, Store) else Store(store)
        self.offline = offline
        remembers = create or self.store.exists()
        self.memory = hashing.Digests(self.store.digests if remembers else None)
        self.prepared = self.store.prepared if remembers else None
        self.checked_rows = self.store.checked_rows if remembers else None
        root = Path(data_root) if data_root is not None else None
        self.sources = Sources(root, offline, self.store.pins if remembers else None, self.memory)
        self._models: dict[tuple[str, str | None], models.Model] = {}
        self._adapters: dict[tuple[str, models.Fingerprint], ForeignAdapter] = {}

    def model(self, study: Study) -> models.Model:
        """Return the base model of a study, located once; see :func:`adaptstilts.models.locate.locate`."""
        place = (study.model, study.revision)
        if place not in self._models:
            self._models[place] = self.locate(*place)
        return self._models[place]

    def locate(self, name: str, revision: str | None = None) -> models.Model:
        """Return a model; see :func:`adaptstilts.models.locate.locate`.

        Args:
            name: as study files give it.
            revision: commit, branch or tag on the hub.
        """
        return models.locate(name, revision, self.offline, self.memory, self.prepared)

    def without_data(self) -> Workspace:
        """Return this workspace with sources that read nothing; see :class:`UnreadSources`."""
        workspace = copy.copy(self)
        workspace.sources = UnreadSources(offline=True)
        return workspace

    def size(self, source: Source) -> tuple[int, int] | None:
        """Return the rows of a split and the bytes of their text, both roughly; None if the split is not read."""
        split = self.sources.get(source)
        if not split.files:
            return None
        return sources.row_count(split), sources.byte_size(split)

    def adapter(self, place: str, model: models.Model) -> ForeignAdapter:
        """Return an adapter that somebody else trained, recognised once; see :mod:`adaptstilts.formats.recognize`.

        Args:
            place: a folder, or ``owner/name[:folder][@revision]`` on the hub.
            model: the base model.
        """
        key = (place, model.fingerprint)
        if key not in self._adapters:
            self._adapters[key] = recognize.read(place, model, self.offline)
        return self._adapters[key]

    def split(self, source: Source, language: str = "en") -> Split:
        """Return a split of a source in one language.

        Args:
            source: source whose names may depend on the language.
            language: code or name of the language.
        """
        return self.sources.get(source.at(languages.resolve(language)))
