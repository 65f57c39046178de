"""A small parallel data set in ten languages that ships with the package, and the grammar that writes it."""
