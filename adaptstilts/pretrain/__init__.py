"""Making small multilingual encoders from aligned text: recipe, corpus, vocabulary, starting vectors, batches."""
