"""Adapters in other people's formats: located, recognised and read."""
