"""Small multilingual encoders from aligned text: recipe, corpus, vocabulary, starting vectors, batches, losses."""

from adaptstilts.pretrain.loading import load
from adaptstilts.pretrain.plan import PretrainPlan, expand
from adaptstilts.pretrain.recipe import Recipe

__all__ = ["PretrainPlan", "Recipe", "expand", "load"]
