"""Sentences in: encoding, pooling, the cache of sentence vectors, and mining of text files."""
