"""JSON: everything that is known, values unrounded."""

from __future__ import annotations

import json
from dataclasses import dataclass

from adaptstilts.reports.formats.base import Document


@dataclass(frozen=True)
class Json:
    """Values for programs."""

    name: str = "json"
    endings: tuple[str, ...] = (".json",)

    def render(self, document: Document) -> str:
        """Return the data of a document."""
        return json.dumps(document.data, indent=1, allow_nan=False) + "\n"


JSON = Json()
