"""adaptstilts: intermediate-task training with adapters, zero-shot cross-lingual transfer, swapping and retrieval."""
