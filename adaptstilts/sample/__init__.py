"""The sample suite: a small parallel data set in ten languages that ships with the package, and its generator."""
