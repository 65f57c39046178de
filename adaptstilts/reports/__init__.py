"""Records read from a store, and the tables made of them."""
