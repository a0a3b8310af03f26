"""A model, a method with its strategy, and a kind of drift, each in a file of its own."""
