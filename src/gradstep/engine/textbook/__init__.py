"""The textbook's method: mini-batches, a step each."""
