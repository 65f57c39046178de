"""Phases: a spec in, the files of one entry in a staging folder out."""
