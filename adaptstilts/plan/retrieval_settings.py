"""Settings of retrieval on one model: layers by number, the model's own pooling by its name, prefixes in one form."""

from __future__ import annotations

from adaptstilts.models.locate import Model
from adaptstilts.study import Retrieve


def for_model(settings: Retrieve, model: Model) -> Retrieve:
    """Return settings that mean the same on a model, and that are equal if they do.

    Args:
        settings: as a study or a command line gives them. The pooling ``own`` stays if the model has none that can be
            used, see :func:`why_not_own`.
        model: the base model.
    """
    settings = settings.with_shortest_prefixes().with_numbered_layers(model.shape["layers"])
    if settings.pooling != "own" or model.pooling is None or why_not_own(settings, model):
        return settings
    layer = model.shape["layers"] if settings.layer is None else settings.layer
    return settings.model_copy(update={"pooling": model.pooling.name, "layer": layer})


def why_not_own(settings: Retrieve, model: Model) -> str | None:
    """Return why the model's own pooling, if settings ask for it, cannot be used; None if it can.

    Args:
        settings: may have prefixes.
        model: the base model.
    """
    pooling = model.pooling
    if settings.pooling != "own":
        return None
    if pooling is None:
        return f"the folder of {model.name} does not say how it pools (it has no modules.json); name a pooling"
    if pooling.reason:
        return f"{model.name}: {pooling.reason}; name a pooling"
    has_prefix = settings.prefix_of("foreign") or settings.prefix_of("english")
    if pooling.skips_prompt and has_prefix:
        return f"{model.name} leaves the tokens of a prefix out of its pooling, which is not supported; name a pooling"
    return None
