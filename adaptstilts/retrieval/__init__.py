"""Sentence retrieval: nearest neighbours and what is made of them."""
