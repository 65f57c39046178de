"""Prediction folders in the layout of XTREME: written from a finished study, and scored as its script does."""
