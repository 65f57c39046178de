"""Formats of other programs: what they read and what they write. One module each."""
