"""Data sets: find the files of a split, read and check their rows, and choose batches."""
