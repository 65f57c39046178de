"""Head only: the linear probe. Nothing of the encoder is trained, whatever encoder the target phase stands on.

A head on the bare encoder is the weakest baseline; a head on what an intermediate phase left shows what is in it
without further training (as the probing tasks of Pruksachatkun et al. 2020, arXiv 2005.00628).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from adaptstilts.methods.base import Method


def _method(value: Any) -> Any:
    """A method as study files write it: its kind, or a mapping with it."""
    from adaptstilts import methods

    fields = {"kind": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        return value
    try:
        return methods.get(fields["kind"]).model_validate(fields)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ValueError("; ".join(told)) from None


class Head(Method):
    """The task's head alone, on the encoder as it is or as an intermediate phase left it.

    It can stand on an intermediate adapter or a fine-tuned encoder, changes neither, and can be swapped.

    Attributes:
        over: the method of the intermediate phases, a kind or a mapping; needed where a study has any.
    """

    kind: Literal["head"] = "head"
    over: Annotated[SerializeAsAny[Method] | None, BeforeValidator(_method)] = None
    default_lr: ClassVar[float] = 1e-3
    flops_per_weight: ClassVar[int] = 2

    def identity(self) -> dict[str, Any]:
        """The kind alone: what a target phase stands on is in its own content key."""
        return {"kind": self.kind}

    @property
    def label(self) -> str:
        """``head``, and what it is on."""
        return f"head over {self.over.label}" if self.over else "head"

    @property
    def below(self) -> Method:
        """The method of the intermediate phases."""
        return self.over or self

    def layers(self, depth: int) -> tuple[int, ...]:
        """None has a module."""
        return ()

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Nothing of the encoder."""
        return 0
