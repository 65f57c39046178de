"""Models: where weights come from, the encoder with named deltas, the task heads."""
