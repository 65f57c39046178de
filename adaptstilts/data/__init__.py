"""Data: where rows come from, how they are checked, how they are batched."""
