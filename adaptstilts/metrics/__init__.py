"""Scores of predictions, intervals, and what the benchmarks average."""
