"""XTREME's folders of predictions: scored, written and read."""
