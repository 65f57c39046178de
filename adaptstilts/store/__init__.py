"""The content-addressed store and what reads it."""
