"""Head only, the linear probe: the encoder is not trained.

A head on the bare encoder is the weakest baseline. A head on an intermediate phase shows what the encoder knows then,
without further training (as the probing tasks of Pruksachatkun et al. 2020, arXiv 2005.00628).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from adaptstilts.methods.base import Method


def _read_method(value: Any) -> Any:
    """Read a method that a study file gives as its kind, or as a mapping with the kind.

    Raises:
        ValueError: a setting is not valid.
    """
    from adaptstilts import methods

    fields = {"kind": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        return value
    try:
        return methods.get(fields["kind"]).model_validate(fields)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise ValueError("; ".join(problems)) from None


class Head(Method):
    """The task's head alone, on the encoder as it is or as an intermediate phase left it.

    It can be trained on top of an intermediate adapter or a fine-tuned encoder, changes neither, and can be swapped.

    Attributes:
        over: the method of the intermediate phases, a kind or a mapping; required if a study has such phases.
    """

    kind: Literal["head"] = "head"
    over: Annotated[SerializeAsAny[Method] | None, BeforeValidator(_read_method)] = None
    default_lr: ClassVar[float] = 1e-3
    flops_per_weight: ClassVar[int] = 2

    def identity(self) -> dict[str, Any]:
        """Return the kind alone, because the parents of a phase are in its content key already."""
        return {"kind": self.kind}

    @property
    def label(self) -> str:
        """Return ``head``, and the method of the intermediate phases."""
        return f"head over {self.over.label}" if self.over else "head"

    @property
    def below(self) -> Method:
        """Return the method of the intermediate phases."""
        return self.over or self

    def layers(self, depth: int) -> tuple[int, ...]:
        """Return no layer."""
        return ()

    def trainable(self, shape: Mapping[str, int]) -> int:
        """Return zero."""
        return 0
