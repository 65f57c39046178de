"""The base class of every kind of phase: a spec, its digest as the key, and what planning must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

from adaptstilts.io import hashing
from adaptstilts.plan import specs
from adaptstilts.plan.passes import Pass
from adaptstilts.plan.readings import Reading
from adaptstilts.store import entries


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One unit of work, whose result is one entry of a store.

    A subclass is a frozen dataclass whose fields make up the spec (see :mod:`adaptstilts.plan.specs`). Keys of the
    phases that it depends on are in the fields that :func:`adaptstilts.store.entries.parents` knows, such as ``base``,
    ``stack``, ``of`` or ``target``.

    Attributes:
        kind: what content keys call this kind of phase; it never changes, unlike the name of the class.
        version: increased when the meaning of a spec changes.
        performer: ``module:function`` that does the work, imported when the phase runs. It is called with the phase,
            a :class:`adaptstilts.runtime.context.Runtime` and the folder to write the entry's files to.
        turn: phases of a lower turn run first, as far as their parents allow; equal ones in the order of the study.
        trains: whether weights are trained.
        is_portable: whether the key is the same on every machine, and the entry as well.
        title: what people call it; not part of the key.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    performer: ClassVar[str]
    turn: ClassVar[int] = 30
    trains: ClassVar[bool] = False
    is_portable: ClassVar[bool] = True

    title: str = field(default="", compare=False)

    @property
    def parents(self) -> tuple[str, ...]:
        """Keys of the phases whose entries this one reads."""
        return entries.parents(self.spec)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The plain values whose digest is the key."""
        return {"kind": self.kind, "version": self.version, **self.write_fields()}

    @cached_property
    def key(self) -> str:
        """The sha256 of the spec."""
        return hashing.of(self.spec)

    def write_fields(self) -> dict[str, Any]:
        """Return the spec without kind and version."""
        return specs.write(self)

    @classmethod
    def read_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the phase that :meth:`write_fields` wrote.

        Raises:
            ValueError: they are not the fields of this kind.
        """
        return specs.read(cls, fields)

    def weight_bytes(self, shape: Mapping[str, int]) -> int:
        """Return the size of the weights that this phase trains and stores, from the shape of the base model."""
        return 0

    def passes(self) -> list[Pass]:
        """Return what runs through the encoder, for a rough cost of the phase."""
        return []

    def readings(self) -> list[Reading]:
        """Return the splits whose rows are read, so that they are checked before anything runs."""
        return []
